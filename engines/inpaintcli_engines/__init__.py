"""Run a trained model: one interface, one backend a file, one door that chooses."""
