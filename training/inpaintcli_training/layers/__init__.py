"""Building blocks that several generators share."""
