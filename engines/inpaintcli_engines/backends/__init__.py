"""One engine a file: NAME, PACKAGE, `why_not`, `load`. Heavy imports stay inside the functions."""
