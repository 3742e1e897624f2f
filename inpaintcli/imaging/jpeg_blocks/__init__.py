"""JPEG by its coefficients: blocks are replaced, and all others keep every bit."""
