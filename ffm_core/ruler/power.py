"""What a run could have seen: power, smallest detectable effect, months to settle.

Normal theory throughout. A check at the 2.5 % bound finds an effect of 2.80
standard errors in 80 of 100 runs (1.96 + 0.84).
"""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()
Z_BOUND = _NORMAL.inv_cdf(0.975)
Z_POWER = _NORMAL.inv_cdf(0.80)
Z_DETECT = Z_BOUND + Z_POWER  # 2.80


def power_at(effect: float, se: float, *, threshold: float = 0.0) -> float:
    """Probability that a true ``effect`` puts the lower 95 % bound above ``threshold``.

    Parameters
    ----------
    effect, se, threshold : float
        In R per trade. NaN where the standard error is unknown.
    """
    if not (math.isfinite(effect) and math.isfinite(se)):
        return math.nan
    if se <= 0:
        return 1.0 if effect > threshold else 0.0
    return _NORMAL.cdf((effect - threshold) / se - Z_BOUND)


def minimum_detectable(se: float, *, threshold: float = 0.0) -> float:
    """Smallest effect found in 80 of 100 runs: ``threshold + 2.80 · se``."""
    return threshold + Z_DETECT * se if math.isfinite(se) else math.nan


def months_to_settle(
    months: int, value: float, se: float, *, effect: float, threshold: float = 0.0
) -> float | None:
    """Months of test data that would probably end an open question.

    If the estimate stays where it is, more data end it either way: the interval
    leaves the threshold behind (a pass) or the effect asked for (a fail). The
    longer of the two distances is used, at 80 % probability, and the standard
    error shrinks with the square root of time.

    Returns
    -------
    float or None
        Total months including the present ones; None when no amount of data of
        this kind would (no effect asked for, or no standard error).
    """
    if months <= 0 or not all(map(math.isfinite, (value, se, effect))):
        return None
    distance = max(value - threshold, effect - value)
    if effect <= threshold or distance <= 0 or se <= 0:
        return None
    return months * max(1.0, (Z_DETECT * se / distance) ** 2)


def smallest_edge(
    n_trades: float, n_days: float, rr: float, *, take_rate: float = 0.5
) -> dict[str, float]:
    """Smallest detectable edge from counts and the target alone; no outcome is read.

    Parameters
    ----------
    n_trades : float
        Trades expected to be taken over all test months.
    n_days : float
        Trading days with at least one of them.
    rr : float
        Target as a multiple of risk. A bet that wins ``rr`` or loses 1 and breaks
        even has a standard deviation of ``√rr`` R.
    take_rate : float
        Share of decisions taken; the others are what selection is compared with.

    Returns
    -------
    dict
        Mean R per trade, NaN where there is nothing to count: ``independent`` takes trades
        as independent, ``day_bound`` all trades of a day as one, and the truth lies between;
        ``selection`` is the edge of taken trades over taking everything, from independent
        ones. ``sd`` is the deviation of a bet that was assumed.
    """
    sd = math.sqrt(rr)

    def edge(n: float) -> float:
        return Z_DETECT * sd / math.sqrt(n) if n > 0 else math.nan

    left = 1.0 - take_rate
    # REAL − NAIVE = (1 − take) · (taken − left out): its variance over n taken trades
    # is sd² · (1 − take) / n.
    selection = edge(n_trades) * math.sqrt(left) if left > 0 else math.nan
    by_day = edge(min(n_days, n_trades))
    return {
        "independent": edge(n_trades), "day_bound": by_day, "selection": selection, "sd": sd,
    }  # fmt: skip
