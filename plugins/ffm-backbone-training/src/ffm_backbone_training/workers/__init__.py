"""Processes of their own, which may import torch."""
