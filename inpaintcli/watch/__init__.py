"""Fill the photos that come into a folder: when a file is complete, which pair is ready."""
