"""What is done with objects."""
