"""Scores of fills against untouched photos: masks, methods, metrics, a table and a report."""
