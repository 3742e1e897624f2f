"""Models: their cards, how they are found and verified; the shipped ones."""
