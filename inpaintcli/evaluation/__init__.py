"""Fills scored against untouched photos: frozen masks, methods, scores, tally, report."""
