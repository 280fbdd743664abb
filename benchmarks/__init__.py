"""Benchmarks: ratios against plain references, measured in one run."""
