"""Run a trained model: one interface, a module for each backend, `select` chooses among them."""
