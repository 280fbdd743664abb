"""The check set ``classic``: six checks of earlier work, as they stand.

They use fixed margins and no interval, and the first chooses its threshold on
the test rows, which is said in its reason. A check that lacks what it reads is
``n/a`` and gates nothing.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ffm_core.records import CheckResult, CheckSet, Evidence, Outcome, Trades, stated
from ffm_core.records.verdict import MAX_BOUND
from ffm_core.ruler.checks import judge_certificate
from ffm_core.ruler.judging import Constants, arm, make_check
from ffm_core.ruler.monthly import MONTHLY
from ffm_core.types import Float64

_ON_TEST = "threshold chosen on the test rows"


def _not_applicable(name: str, reason: str) -> CheckResult:
    return CheckResult(name=name, outcome="n/a", gates=False, reason=stated(reason))


def _mean(trades: Trades) -> float:
    return float((trades.r_net * trades.weight).sum() / trades.weight.sum())


def _ruled(passes: bool) -> Outcome:
    return "pass" if passes else "fail"


def judge_threshold(constants: Constants, evidence: Evidence) -> CheckResult:
    """Check 1: some probability threshold wins often and much; chosen on test."""
    name = "classic-threshold"
    p, r = evidence.extra.get("probability"), evidence.extra.get("r_dynamic")
    if p is None or r is None:
        return _not_applicable(name, "needs probabilities and dynamic-target results")
    rows = _threshold_rows(p, r, constants)
    good = [row for row in rows if _threshold_holds(row, constants)]
    best = good[0] if good else max(rows, key=lambda row: row[2], default=None)
    if best is None:
        nothing = stated(f"no decision reaches a threshold; {_ON_TEST}")
        return CheckResult(name=name, outcome="fail", threshold=constants["mean_r"], reason=nothing)
    level, n, mean, wins = best
    return CheckResult(
        name=name, outcome=_ruled(bool(good)), value=mean, threshold=constants["mean_r"],
        reason=stated(f"at probability {level:.2f}: {n} trades, {wins:.0%} winners, mean "
                      f"{mean:+.2f} R; {_ON_TEST}"),
    )  # fmt: skip


def _threshold_rows(
    p: Float64, r: Float64, constants: Constants
) -> list[tuple[float, int, float, float]]:
    """Return (threshold, trades, mean R, win rate) of each threshold that takes something."""
    usable = np.isfinite(p) & np.isfinite(r)
    out = []
    for step in range(int(constants["steps"])):
        level = round(constants["first"] + step * constants["step"], 10)
        taken = r[usable & (p >= level)]
        if len(taken):
            out.append((level, len(taken), float(taken.mean()), float((taken > 0).mean())))
    return out


def _threshold_holds(row: tuple[float, int, float, float], constants: Constants) -> bool:
    _, n, mean, wins = row
    return (
        wins >= constants["win_rate"]
        and mean >= constants["mean_r"]
        and n >= constants["min_trades"]
    )


def _judge_lift(
    name: str, other: float, against: str, constants: Constants, evidence: Evidence
) -> CheckResult:
    """Compare REAL's mean with another mean by a fixed margin."""
    trades, margin = arm(evidence, "REAL"), constants["margin"]
    if not math.isfinite(other):
        return _not_applicable(name, f"no {against} arm")
    if trades is None:
        return CheckResult(name=name, outcome="fail", threshold=margin,
                           reason=stated("no trade was taken"))  # fmt: skip
    lift = _mean(trades) - other
    return CheckResult(name=name, outcome=_ruled(lift >= margin), value=lift, threshold=margin,
                       reason=stated(f"{lift:+.3f} R over {against}; no interval"))  # fmt: skip


def _finite_mean(values: Float64) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else math.nan


def judge_over_shuffle(constants: Constants, evidence: Evidence) -> CheckResult:
    """Check 2: REAL beats training on permuted labels by a margin."""
    test = evidence.shuffle.get("full")
    other = _finite_mean(test.draws) if test is not None else math.nan
    return _judge_lift("classic-shuffle", other, "permuted labels", constants, evidence)


def judge_over_random(constants: Constants, evidence: Evidence) -> CheckResult:
    """Check 3: REAL beats random picks by a margin."""
    other = _finite_mean(evidence.random_means)
    return _judge_lift("classic-random", other, "random picks", constants, evidence)


def judge_over_naive(constants: Constants, evidence: Evidence) -> CheckResult:
    """Check 4: REAL beats taking everything by a margin."""
    everything = arm(evidence, "NAIVE")
    other = _mean(everything) if everything is not None else math.nan
    return _judge_lift("classic-naive", other, "taking every decision", constants, evidence)


def judge_risk_head(constants: Constants, evidence: Evidence) -> CheckResult:
    """Check 5: the risk head's error is small and its prediction correlated."""
    name = "classic-risk"
    predicted, peak = evidence.extra.get("predicted_r"), evidence.extra.get("peak_r")
    if predicted is None or peak is None:
        return _not_applicable(name, "no risk head in this run")
    usable = np.isfinite(predicted) & np.isfinite(peak)
    a, b = predicted[usable], peak[usable]
    if len(a) < 2:
        return CheckResult(name=name, outcome="fail", threshold=constants["max_mae"],
                           reason=stated("fewer than two predictions"))  # fmt: skip
    error = float(np.abs(a - b).mean())
    varies = np.ptp(a) > 0 and np.ptp(b) > 0
    correlation = float(np.corrcoef(a, b)[0, 1]) if varies else 0.0
    passes = error <= constants["max_mae"] and correlation >= constants["min_correlation"]
    return CheckResult(
        name=name, outcome=_ruled(passes), value=error, threshold=constants["max_mae"],
        reason=stated(f"mean absolute error {error:.2f} R, correlation {correlation:+.2f}"),
    )  # fmt: skip


def judge_instruments(constants: Constants, evidence: Evidence) -> CheckResult:
    """Check 6: at least two instruments do better than taking everything."""
    name, wanted = "classic-instruments", constants["min_instruments"]
    names = [stream.split("/", 1)[0] for stream in evidence.streams]
    instruments = list(dict.fromkeys(names))
    if len(instruments) < 2:
        return _not_applicable(name, "one instrument only")
    real, everything = arm(evidence, "REAL"), arm(evidence, "NAIVE")
    if everything is None:
        return _not_applicable(name, "no arm that takes every decision")
    of_stream = np.array([instruments.index(item) for item in names])
    better = [
        item
        for number, item in enumerate(instruments)
        if real is not None
        and _instrument_mean(real, of_stream, number)
        > _instrument_mean(everything, of_stream, number)
    ]
    return CheckResult(
        name=name, outcome=_ruled(len(better) >= wanted), value=float(len(better)),
        threshold=wanted, reason=stated(f"{len(better)} of {len(instruments)} instruments do "
                                        "better than taking every decision"),
    )  # fmt: skip


def _instrument_mean(trades: Trades, of_stream: np.ndarray, number: int) -> float:
    """Mean R of one instrument; NaN without a trade, which beats nothing."""
    rows = of_stream[trades.stream] == number
    weight = trades.weight[rows]
    return float((trades.r_net[rows] * weight).sum() / weight.sum()) if rows.any() else math.nan


_LIFT = {"margin": 0.10}

CERTIFICATE = make_check(
    "certificate", judge_certificate, {"max_bound": MAX_BOUND}, "nothing reads the future"
)
THRESHOLD = replace(
    make_check("classic-threshold", judge_threshold,
               {"win_rate": 0.50, "mean_r": 1.50, "min_trades": 100.0, "first": 0.50,
                "step": 0.05, "steps": 9.0},
               "some probability threshold wins often and much", "selection"),
    reads=("probability", "r_dynamic"),
)  # fmt: skip
SHUFFLE = make_check("classic-shuffle", judge_over_shuffle, _LIFT,
                     "beats permuted labels", "selection")  # fmt: skip
RANDOM = make_check("classic-random", judge_over_random, _LIFT, "beats random picks", "selection")
NAIVE = make_check("classic-naive", judge_over_naive, _LIFT, "beats taking everything", "selection")
RISK = replace(
    make_check("classic-risk", judge_risk_head, {"max_mae": 2.50, "min_correlation": 0.10},
               "the risk head is accurate", "selection"),
    reads=("predicted_r", "peak_r"),
)  # fmt: skip
INSTRUMENTS = make_check("classic-instruments", judge_instruments, {"min_instruments": 2.0},
                         "several instruments improve", "selection")  # fmt: skip

CLASSIC = CheckSet(
    name="classic",
    checks=(CERTIFICATE, THRESHOLD, SHUFFLE, RANDOM, NAIVE, RISK, INSTRUMENTS, MONTHLY),
    summary="six checks of earlier work, with fixed margins and no interval",
)
