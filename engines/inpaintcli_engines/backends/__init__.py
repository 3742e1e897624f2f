"""One backend a module, each a `base.Backend`. Heavy imports stay inside the functions."""
