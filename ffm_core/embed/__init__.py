"""Embedders: what the last bars look like to a frozen time-series model."""
