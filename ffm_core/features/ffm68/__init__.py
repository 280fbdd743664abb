"""``ffm68``: sixty-eight causal features of bars, in ten groups."""
