"""ruler."""
