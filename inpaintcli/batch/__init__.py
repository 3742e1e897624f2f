"""Many photos: planned, run, recorded."""
