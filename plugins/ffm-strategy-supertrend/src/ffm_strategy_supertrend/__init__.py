"""SuperTrend flips, judged by ``ffm eval supertrend``."""
