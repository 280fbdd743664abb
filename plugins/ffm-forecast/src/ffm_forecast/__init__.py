"""Forecasts: predictive distributions, their risk and their errors."""
