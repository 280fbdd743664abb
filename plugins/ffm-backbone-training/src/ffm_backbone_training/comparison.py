"""Two backbones on the same decisions: what the picks of one earn over the other's.

Both arms are whole evaluations that differ in one block of columns. The rule below is
fixed and hashed before either result is seen, and each arm is a trial in the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl

from ffm_core.errors import CausalityError, ConfigError, SampleError
from ffm_core.evaluate import Evaluation, Job, evaluate, job_of
from ffm_core.evaluate.progress import Progress
from ffm_core.ruler.bootstrap import DaySums, Estimate
from ffm_core.ruler.intervals import SAMPLING, difference_estimate
from ffm_core.ruler.judging import FEWEST_DRAWS, bounds, number
from ffm_core.runs.canonical import sha256_json
from ffm_core.runs.config import EvalConfig
from ffm_core.types import Float64

Judgement: TypeAlias = Literal["adds value", "hurts", "no material difference", "inconclusive"]

MINIMUM_EFFECT = 0.10  # R a trade
RULE = (
    "adds value: the interval of B − A lies above 0 and its value is at least the minimum effect; "
    "hurts: the mirror image; no material difference: the interval lies within ± the minimum "
    "effect; inconclusive: anything else, or a model that may have seen the test months"
)
_SAME = ("stream", "bar_time", "side", "fold", "sealed", "trading_day")
_NORMAL = 1.959964  # standard errors on each side of a 95 % interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One backbone's evaluation, in numbers."""

    name: str
    real: float  # mean net R a trade
    shuffle: float  # mean over draws, NaN without any
    shuffle_se: float
    n_trades: int
    decision: str  # of its own verdict
    overlaps: bool  # whether a model of it may have seen the test months


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What B earns over A, in R a trade.

    ``real`` is the difference of REAL, paired by day. ``edge`` is the difference of REAL
    minus SHUFFLE; its interval is wider by the spread of the SHUFFLE draws.
    """

    a: Arm
    b: Arm
    n_decisions: int
    n_days: int
    real: Estimate
    edge: Estimate
    judgement: Judgement
    reason: str
    promise: dict[str, Any]

    def record(self) -> dict[str, Any]:
        """Return it as JSON types, NaN as null."""
        arms = [
            {**asdict(arm), "shuffle": number(arm.shuffle), "shuffle_se": number(arm.shuffle_se)}
            for arm in (self.a, self.b)
        ]
        differences = {
            name: {"value": number(found.value), "interval": bounds(found), "se": number(found.se)}
            for name, found in (("real", self.real), ("edge", self.edge))
        }
        return {
            "a": arms[0], "b": arms[1], "n_decisions": self.n_decisions, "n_days": self.n_days,
            "differences": differences, "judgement": self.judgement, "reason": self.reason,
            "promise": self.promise,
        }  # fmt: skip


def promise_of(
    config: EvalConfig, a: str, b: str, effect: float = MINIMUM_EFFECT
) -> dict[str, Any]:
    """Return what is fixed before any result, with its hash.

    Raises
    ------
    ConfigError
        When the two are one, there is no learner, or the effect is no positive number.
    """
    if a == b:
        raise ConfigError(f"--a and --b are both {a!r}", fix="name two backbones")
    if config.learner == "none":
        raise ConfigError("without a learner no column changes a pick", fix="leave --learner out")
    if not (math.isfinite(effect) and effect > 0.0):
        raise ConfigError(f"the minimum effect is {effect}", fix="give a positive number of R")
    fixed = {
        "a": a, "b": b, "minimum_effect_r": effect, "rule": RULE,
        "level": SAMPLING["level"], "block_days": SAMPLING["block_days"],
        "resamples": config.resamples, "seed": config.seed, "blocks": list(config.features),
    }  # fmt: skip
    return {**fixed, "hash": sha256_json(fixed)}


def jobs_of(config: EvalConfig, a: str, b: str, home: Path) -> tuple[Job, Job]:
    """Return the evaluations of both arms: the blocks of ``config``, and a backbone.

    Raises
    ------
    FFMError
        For an unknown name, unreadable data, or a plug-in at fault.
    """
    jobs = []
    for name in (a, b):
        kept = tuple(block for block in config.features if block not in (a, b))
        job = job_of(config.model_copy(update={"features": (*kept, name)}), home)
        if name not in [embedder.name for embedder in job.parts.embedders]:
            raise ConfigError(
                f"{name!r} is not a backbone", fix="'ffm backbone list' shows which there are"
            )
        jobs.append(job)
    return jobs[0], jobs[1]


def compare(
    jobs: tuple[Job, Job], promise: dict[str, Any], progress: Progress
) -> tuple[Comparison, tuple[Evaluation, Evaluation]]:
    """Evaluate both arms and compare them day by day.

    Raises
    ------
    CausalityError
        When something reads the future.
    SampleError
        When the arms did not judge the same decisions.
    FFMError
        For faults of data, plug-ins or configuration.
    """
    found = [_evaluated(job, progress) for job in jobs]
    require_same(found[0].decisions, found[1].decisions)
    names = (promise["a"], promise["b"])
    a, b = (_arm(name, one) for name, one in zip(names, found, strict=True))
    sums = [_day_sums(one) for one in found]
    real = _difference(sums, jobs[0].config)
    edge = _edge(real, a, b)
    judgement, reason = judge(real, promise["minimum_effect_r"])
    seen = [arm.name for arm in (a, b) if arm.overlaps]
    if seen:
        reason = f"a model of arm {' and of arm '.join(seen)} may have seen the test months"
        if not jobs[0].config.accept_overlap:
            judgement = "inconclusive"
    tested = int(found[0].decisions["fold"].is_not_null().sum())
    comparison = Comparison(
        a=a, b=b, n_decisions=tested, n_days=len(sums[0].total),
        real=real, edge=edge, judgement=judgement, reason=reason, promise=promise,
    )  # fmt: skip
    return comparison, (found[0], found[1])


def require_same(left: pl.DataFrame, right: pl.DataFrame) -> None:
    """Make sure that two arms judged the same decisions in the same folds.

    Raises
    ------
    SampleError
        When they did not.
    """
    if not left.select(_SAME).equals(right.select(_SAME)):
        raise SampleError(
            "the two arms judged different decisions",
            fix="run it again; if it happens twice, the strategy draws at random",
        )


def judge(difference: Estimate, effect: float) -> tuple[Judgement, str]:
    """Apply the rule to a difference and say why."""
    low, high, value = difference.low, difference.high, difference.value
    if not (math.isfinite(low) and math.isfinite(high)):
        return "inconclusive", "too few days hold trades of both arms"
    if low > 0.0 and value >= effect:
        return "adds value", f"B earns {value:+.3f} R a trade over A"
    if high < 0.0 and value <= -effect:
        return "hurts", f"B earns {value:+.3f} R a trade over A"
    if -effect < low and high < effect:
        return "no material difference", f"a difference of {effect:.2f} R is excluded"
    return "inconclusive", f"a difference of {effect:.2f} R is neither shown nor excluded"


def _evaluated(job: Job, progress: Progress) -> Evaluation:
    found = evaluate(job, progress)
    if found.decision == "REFUSED":
        name = job.strategy["name"]
        raise CausalityError(
            f"{name} was REFUSED for look-ahead or a broken contract",
            fix=f"run 'ffm check {name}' to see what was found",
        )
    return found


def _arm(name: str, evaluation: Evaluation) -> Arm:
    result = evaluation.record["result"]
    draws = np.array(result["plots"]["nulls"].get("shuffle_full", {}).get("draws", []), dtype=float)
    real = evaluation.trades.filter(pl.col("arm") == "REAL")
    return Arm(
        name=name,
        real=float(real["r_net"].to_numpy().mean()) if len(real) else math.nan,
        shuffle=float(draws.mean()) if len(draws) else math.nan,
        shuffle_se=_spread_of(draws),
        n_trades=len(real),
        decision=evaluation.decision,
        overlaps=any(cut["overlaps"] for cut in result.get("cut_offs", [])),
    )


def _spread_of(draws: Float64) -> float:
    """Return the standard error of the mean of draws; NaN when too few make an interval."""
    enough = len(draws) >= FEWEST_DRAWS
    return float(draws.std(ddof=1) / math.sqrt(len(draws))) if enough else math.nan


def _day_sums(evaluation: Evaluation) -> DaySums:
    """Total REAL's net R by trading day, on the grid of test days."""
    days = pl.Series(evaluation.record["result"]["plots"]["equity"]["days"]).str.to_date()
    real = evaluation.trades.filter(pl.col("arm") == "REAL")
    traded = evaluation.decisions["trading_day"].gather(real["row"])
    place = np.searchsorted(days.to_numpy(), traded.to_numpy())
    total = np.bincount(place, weights=real["r_net"].to_numpy(), minlength=len(days))
    weight = np.bincount(place, minlength=len(days))
    return DaySums(total=total.astype(np.float64), weight=weight.astype(np.float64))


def _difference(sums: Sequence[DaySums], config: EvalConfig) -> Estimate:
    """Return B − A in mean R a trade, paired by day."""
    a, b = sums
    return difference_estimate(b, a, {**SAMPLING, "resamples": config.resamples}, seed=config.seed)


def _edge(real: Estimate, a: Arm, b: Arm) -> Estimate:
    """Return the difference of REAL − SHUFFLE; errors of the two add in quadrature."""
    value = real.value - (b.shuffle - a.shuffle)
    spread = math.hypot(a.shuffle_se, b.shuffle_se)
    below = math.hypot(real.value - real.low, _NORMAL * spread)
    above = math.hypot(real.high - real.value, _NORMAL * spread)
    return Estimate(
        value=value, low=value - below, high=value + above, se=math.hypot(real.se, spread)
    )
