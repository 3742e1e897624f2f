"""Photos, masks and crops to train on."""
