"""Context heads: what the market is likely to do next, with honest probabilities."""
