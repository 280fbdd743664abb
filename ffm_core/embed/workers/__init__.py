"""Processes that may import torch; the host never does."""
