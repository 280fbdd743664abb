"""Faults that hide below a tolerance, in warm-up rows or on a single row, and their twins."""
