"""The check set ``strict``.

Each judge is a function of its constants and the evidence. A check passes when
the lower end of the 95 % interval clears the threshold, fails when the upper end
lies below the effect asked for, and is inconclusive between the two. The
constants are part of the pre-registration and its hash.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import TypeAlias

import numpy as np

from ffm_core.records import (
    CheckResult,
    Evidence,
    Outcome,
    Reason,
    ShuffleResult,
    VerdictCheck,
    because,
)
from ffm_core.records.verdict import MAX_BOUND
from ffm_core.ruler.arms import p_value
from ffm_core.ruler.bootstrap import Estimate, day_sums
from ffm_core.ruler.intervals import SAMPLING
from ffm_core.ruler.judging import (
    FEWEST_DRAWS,
    Constants,
    arm,
    bounded,
    bounds,
    difference_of,
    estimated,
    make_check,
    mean_of,
    nothing_to_compare,
    number,
    open_question,
)
from ffm_core.ruler.monthly import MONTHLY
from ffm_core.ruler.power import (
    Z_BOUND,
    Z_DETECT,
    Z_POWER,
    minimum_detectable,
    months_to_settle,
    power_at,
)
from ffm_core.ruler.sharpe import Deflated, deflated

_NORMAL = NormalDist()
_DELTA = 0.15  # R per trade: the smallest edge worth having


def judge_certificate(constants: Constants, evidence: Evidence) -> CheckResult:
    """Refuse when the falsifier found look-ahead; hold back when it could prove too little."""
    found = evidence.certificate
    count, bound, most = len(found.failures), found.detection_bound, constants["max_bound"]
    outcome: Outcome = "pass" if bound <= most else "inconclusive"
    if found.status != "clean":
        outcome, reason = "refused", because("failures_found", count=count)
    elif outcome == "pass":
        reason = because("no_look_ahead", cuts=found.cuts, bound=bound)
    else:
        reason = because("little_proven", cuts=found.cuts, bound=bound, most=most)
    return CheckResult(
        name="certificate", outcome=outcome, value=float(count), threshold=0.0, reason=reason
    )


def judge_sample(constants: Constants, evidence: Evidence) -> CheckResult:
    """Ask for enough trades, days with trades and test months; never fails."""
    trades = arm(evidence, "REAL")
    have = {
        "trades": 0 if trades is None else len(trades),
        "days": 0 if trades is None else len(np.unique(trades.day)),
        "months": evidence.n_test_months,
    }
    least = {name: constants[f"min_{name}"] for name in have}
    shares = [have[name] / least[name] for name in have if least[name] > 0]
    enough = all(share >= 1.0 for share in shares)
    scarce = min(shares, default=1.0)
    months = None if enough or scarce <= 0 else evidence.n_test_months / scarce
    needed = {f"min_{name}": least[name] for name in have}
    reason = (
        because("sample_enough", **have) if enough else because("sample_short", **have, **needed)
    )
    return CheckResult(
        name="sample", outcome="pass" if enough else "inconclusive", value=float(have["trades"]),
        threshold=least["trades"], months_needed=months, reason=reason,
    )  # fmt: skip


def judge_profit(constants: Constants, evidence: Evidence) -> CheckResult:
    """Ask whether the taken trades earn after costs."""
    trades = arm(evidence, "REAL")
    if trades is None:
        return open_question("profit", because("no_trade"), threshold=0.0)
    estimate = mean_of(evidence, trades, constants)
    return bounded("profit", evidence, estimate, constants["delta"], measure="profit")


def judge_naive(constants: Constants, evidence: Evidence) -> CheckResult:
    """Ask whether picking beats taking every decision."""
    blocked = nothing_to_compare(evidence, "naive")
    trades, everything = arm(evidence, "REAL"), arm(evidence, "NAIVE")
    if blocked or trades is None or everything is None:
        return blocked or open_question("naive", because("arm_missing", arm="NAIVE"))
    estimate = difference_of(evidence, trades, everything, constants)
    effect = constants["delta"] * (1.0 - evidence.take_rate)
    return bounded("naive", evidence, estimate, effect, measure="naive")


def judge_entry(constants: Constants, evidence: Evidence) -> CheckResult:
    """Ask whether the decisions beat random bars of the same months and hours."""
    trades, random_bars = arm(evidence, "REAL"), arm(evidence, "ENTRY")
    if trades is None:
        return open_question("entry", because("no_trade"), threshold=0.0)
    if random_bars is None:
        return open_question("entry", because("no_random_entry"), threshold=0.0)
    estimate = difference_of(evidence, trades, random_bars, constants)
    return bounded("entry", evidence, estimate, constants["delta"],
                   measure="entry")  # fmt: skip


def judge_random(constants: Constants, evidence: Evidence) -> CheckResult:
    """Ask whether REAL lies above the random picks of the same size."""
    blocked = nothing_to_compare(evidence, "random")
    trades = arm(evidence, "REAL")
    if blocked or trades is None:
        return blocked or open_question("random", because("no_trade"))
    draws = evidence.random_means[np.isfinite(evidence.random_means)]
    if len(draws) < constants["min_draws"]:
        least = constants["min_draws"]
        return open_question("random", because("few_draws", draws=len(draws), needed=least))
    real = day_sums(trades, evidence.days).mean
    tail = constants["tail"]
    estimate = Estimate(
        value=real - float(draws.mean()),
        low=real - float(np.quantile(draws, 1.0 - tail, method="higher")),
        high=real - float(np.quantile(draws, tail, method="lower")),
        se=float(draws.std(ddof=1)),
    )
    effect = constants["delta"] * (1.0 - evidence.take_rate)
    return bounded("random", evidence, estimate, effect, measure="random")


def judge_shuffle(constants: Constants, evidence: Evidence) -> CheckResult:
    """Ask whether the head learns from labels: full and block permutations."""
    blocked = nothing_to_compare(evidence, "shuffle")
    if blocked:
        return blocked
    kinds = ("full", "block")
    absent = [kind for kind in kinds if kind not in evidence.shuffle]
    if absent:
        return open_question("shuffle", because("no_permutations", variant=absent[0]),
                             threshold=constants["alpha"])  # fmt: skip
    effect = constants["delta"] * (1.0 - evidence.take_rate)
    found = {kind: _permuted(evidence.shuffle[kind], constants, evidence, effect) for kind in kinds}
    outcome, p, gap = max(found.values(), key=lambda one: (_SEVERITY[one[0]], one[1]))
    months = None
    if outcome == "inconclusive":
        months = months_to_settle(evidence.n_test_months, gap.value, gap.se, effect=effect)
    return CheckResult(
        name="shuffle", outcome=outcome, value=p, interval=None, threshold=constants["alpha"],
        effect=effect, power=number(power_at(effect, gap.se)),
        minimum_detectable=number(minimum_detectable(gap.se)), months_needed=months,
        reason=_shuffle_reason(evidence.shuffle, found, outcome, constants["alpha"], effect),
    )  # fmt: skip


_SEVERITY: Mapping[Outcome, int] = {"pass": 0, "inconclusive": 1, "fail": 2}
_Permuted: TypeAlias = tuple[Outcome, float, Estimate]


def _permuted(
    test: ShuffleResult, constants: Constants, evidence: Evidence, effect: float
) -> _Permuted:
    """Judge one permutation test by its own draws: outcome, p, and REAL − permuted in R.

    Fewer draws than make an interval exclude nothing. The random picks, which have no skill
    either, then lend their spread to what the test could have seen.
    """
    p, draws = p_value(test), test.draws[np.isfinite(test.draws)]
    gap = Estimate(value=math.nan, low=math.nan, high=math.nan, se=math.nan)
    if len(draws) and math.isfinite(test.real):
        enough = len(draws) >= constants["min_draws"]
        lender = draws if enough else evidence.random_means[np.isfinite(evidence.random_means)]
        spread = float(lender.std(ddof=1)) if len(lender) > 1 else math.nan
        se = spread * math.sqrt(1.0 + 1.0 / len(draws))  # the centre is estimated too
        value, reach = test.real - float(draws.mean()), Z_BOUND * se if enough else math.nan
        gap = Estimate(value=value, low=value - reach, high=value + reach, se=se)
    if not test.stopped and p <= constants["alpha"] + 1e-12:
        return "pass", p, gap
    return ("fail" if gap.high < effect else "inconclusive"), p, gap


def _shuffle_reason(
    tests: Mapping[str, ShuffleResult],
    found: Mapping[str, _Permuted],
    outcome: Outcome,
    alpha: float,
    effect: float,
) -> Reason:
    """Return what each test drew and found; both compare with REAL of one seed."""
    told: dict[str, float | str] = {"alpha": alpha}
    if outcome != "pass":
        told["effect"] = effect
    for kind, (judged, p, gap) in found.items():
        test = tests[kind]
        told |= {
            f"{kind}_outcome": judged, f"{kind}_p": p, f"{kind}_real": test.real,
            f"{kind}_draws": len(test.draws), f"{kind}_planned": test.planned,
            f"{kind}_stopped": int(test.stopped), **estimated(f"{kind}_over", gap),
        }  # fmt: skip
    kinds: Mapping[Outcome, str] = {"pass": "shuffle_passed", "fail": "shuffle_excluded"}
    return because(kinds.get(outcome, "shuffle_open"), **told)


def judge_deflated(constants: Constants, evidence: Evidence) -> CheckResult:
    """Ask whether the daily Sharpe ratio survives the number of trials; never fails."""
    trades = arm(evidence, "REAL")
    level = constants["level_deflated"]
    if trades is None:
        return open_question("deflated", because("no_trade"), threshold=level)
    found = deflated(day_sums(trades, evidence.days).total, evidence.trial)
    if not math.isfinite(found.value):
        return open_question("deflated", because("no_variation"), threshold=level)
    passes = found.value >= level
    return CheckResult(
        name="deflated", outcome="pass" if passes else "inconclusive", value=found.value,
        threshold=level, power=number(_deflated_power(found, trades_per_day(evidence), constants)),
        months_needed=None if passes else _deflated_months(found, evidence.n_test_months, level),
        reason=because("deflated", probability=found.value, asked=level, luck=found.benchmark,
                       trials=evidence.trial.n_trials, sharpe=found.moments.sharpe),
    )  # fmt: skip


def trades_per_day(evidence: Evidence) -> tuple[float, float]:
    """Return REAL's trades per test day and the standard deviation of its daily R."""
    sums = day_sums(evidence.trades["REAL"], evidence.days)
    return float(sums.weight.mean()), float(sums.total.std(ddof=1))


def _deflated_power(found: Deflated, pace: tuple[float, float], constants: Constants) -> float:
    """Probability of passing with a true mean of delta R per trade."""
    per_day, sd = pace
    wanted = _NORMAL.inv_cdf(constants["level_deflated"])
    sharpe = constants["delta"] * per_day / sd
    return _NORMAL.cdf((sharpe - found.benchmark) / found.moments.se - wanted)


def _deflated_months(found: Deflated, months: int, level: float) -> float | None:
    """Months after which the present Sharpe ratio would probably pass; None if never."""
    distance = found.moments.sharpe - found.benchmark
    if distance <= 0 or months <= 0:
        return None
    wanted = _NORMAL.inv_cdf(level) + Z_POWER
    return months * max(1.0, (wanted * found.moments.se / distance) ** 2)


def judge_generalisation(constants: Constants, evidence: Evidence) -> CheckResult:
    """Ask whether the edge shrinks too much from validation to test."""
    name, limit = "generalisation", constants["max_gap"]
    trades, seen = arm(evidence, "REAL"), evidence.validation_trades
    if trades is None:
        return open_question(name, because("no_trade"), threshold=limit)
    if seen is None or not len(seen):
        return open_question(name, because("no_validation_trade"), threshold=limit)
    days = np.union1d(evidence.days, seen.day).astype(np.int32)
    gap = difference_of(evidence, seen, trades, constants, days=days)
    outcome: Outcome = "pass" if gap.value <= limit else "inconclusive"
    if gap.low > limit:
        outcome = "fail"
    months = None
    if outcome == "inconclusive" and evidence.n_test_months and math.isfinite(gap.se):
        months = evidence.n_test_months * max(1.0, (Z_DETECT * gap.se / (gap.value - limit)) ** 2)
    return CheckResult(
        name=name, outcome=outcome, value=number(gap.value), interval=bounds(gap),
        threshold=limit, effect=limit, months_needed=months,
        minimum_detectable=number(minimum_detectable(gap.se, threshold=limit)),
        reason=because("generalisation", **estimated("value", gap), limit=limit),
    )  # fmt: skip


_INTERVAL = {"delta": _DELTA, **SAMPLING}

STRICT: tuple[VerdictCheck, ...] = (
    make_check("certificate", judge_certificate, {"max_bound": MAX_BOUND},
               "nothing reads the future"),
    make_check("sample", judge_sample, {"min_trades": 100.0, "min_days": 60.0, "min_months": 6.0},
               "enough trades, days and months to judge"),
    make_check("profit", judge_profit, _INTERVAL, "the taken trades earn after costs"),
    make_check("naive", judge_naive, _INTERVAL, "picking beats taking every decision",
               "selection"),
    make_check("random", judge_random, {"delta": _DELTA, "min_draws": 200.0, "tail": 0.025},
               "picking beats random picks of the same number", "selection"),
    make_check("shuffle", judge_shuffle,
               {"delta": _DELTA, "alpha": 0.025, "min_draws": float(FEWEST_DRAWS)},
               "the model beats itself trained on permuted labels", "selection"),
    make_check("entry", judge_entry, _INTERVAL,
               "the decisions beat random bars of the same months and hours", "trigger"),
    make_check("deflated", judge_deflated, {"level_deflated": 0.95, "delta": _DELTA},
               "the edge survives the number of trials"),
    make_check("generalisation", judge_generalisation, {"max_gap": 0.30, **SAMPLING},
               "the edge holds from validation to test", "selection"),
    MONTHLY,
)  # fmt: skip
