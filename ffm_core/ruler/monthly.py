"""Every test month profitable: reported with its power, never gating.

At realistic numbers of trades most real edges lose in some month, so the rule
says little; its power is printed next to it to make that plain.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from ffm_core.records import CheckResult, Evidence, because
from ffm_core.ruler.bootstrap import day_sums
from ffm_core.ruler.judging import Constants, arm, make_check
from ffm_core.types import Float64, Int32

_NORMAL = NormalDist()


def month_totals(daily: Float64, month_days: Int32) -> tuple[Int32, Float64]:
    """Return the months and what each adds up to, from daily values (D,)."""
    months, place = np.unique(month_days, return_inverse=True)
    totals = np.bincount(place, weights=daily, minlength=len(months))
    return months.astype(np.int32), totals.astype(np.float64)


def judge_monthly(constants: Constants, evidence: Evidence) -> CheckResult:
    """Report the share of profitable test months and the power of asking for all."""
    trades = arm(evidence, "REAL")
    if trades is None or not len(evidence.days):
        return CheckResult(name="months", outcome="info", gates=False, threshold=1.0,
                           reason=because("no_trade"))  # fmt: skip
    sums = day_sums(trades, evidence.days)
    _, totals = month_totals(sums.total, evidence.month_days)
    good = int((totals > 0).sum())
    power = _power(sums.total, sums.weight, evidence.month_days, constants["delta"])
    return CheckResult(
        name="months", outcome="info", gates=False, value=good / len(totals), threshold=1.0,
        effect=constants["delta"], power=power,
        reason=because("months_up", good=good, months=len(totals), effect=constants["delta"],
                       power=power),
    )  # fmt: skip


def _power(total: Float64, weight: Float64, month_days: Int32, delta: float) -> float:
    """Probability that every month wins when each trade earns ``delta`` on average."""
    mean = float(total.sum() / weight.sum())
    noise = (total - mean * weight) ** 2  # what a day deviates, squared
    _, spread = month_totals(noise, month_days)
    _, count = month_totals(weight, month_days)
    power = 1.0
    for variance, n in zip(spread.tolist(), count.tolist(), strict=True):
        if variance <= 0:
            power *= 1.0 if n > 0 else 0.0
        else:
            power *= _NORMAL.cdf(delta * n / math.sqrt(variance))
    return power


MONTHLY = make_check(
    "months", judge_monthly, {"delta": 0.15}, "every test month is profitable (reported only)"
)
