"""Files of this machine, or names in a store."""
