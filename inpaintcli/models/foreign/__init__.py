"""Models of other programs: a kind of contract a file, `kinds.py` lists them."""
