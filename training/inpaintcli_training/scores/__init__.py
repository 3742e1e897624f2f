"""Scores by deep features for `inpaintcli evaluate`."""
