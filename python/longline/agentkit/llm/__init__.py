"""Language models: an adapter is a file."""
