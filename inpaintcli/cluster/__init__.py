"""Many photos on a Ray cluster."""
