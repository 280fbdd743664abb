"""What the reference computed, as it computed it; to compare with earlier work."""
