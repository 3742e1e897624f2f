"""The training run: steps, validation, what lies in its folder."""
