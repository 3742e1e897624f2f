"""A folder that is filled as photos come in."""
