"""What all checks share: estimates from evidence, and one rule for their outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from ffm_core.errors import ConfigError
from ffm_core.records import (
    CheckResult,
    Claim,
    Evidence,
    Outcome,
    Reason,
    Trades,
    VerdictCheck,
    because,
)
from ffm_core.ruler.bootstrap import Estimate, day_sums
from ffm_core.ruler.intervals import LEVELS, difference_estimate, mean_estimate
from ffm_core.ruler.power import minimum_detectable, months_to_settle, power_at
from ffm_core.types import Int32
from ffm_core.wording import span_words

Constants = Mapping[str, float]
Judge = Callable[[Constants, Evidence], CheckResult]

# An interval of fewer draws, of random picks or permuted labels, would say nothing.
FEWEST_DRAWS = 20
# Differences this small are rounding, not evidence.
_NOISE = 1e-9


# What a constant may be, by name; outside of it an interval has no meaning.
_ANY = (0.0, 1e9)
_RANGES: Mapping[str, tuple[float, float]] = {
    "level": LEVELS, "level_deflated": (0.5, 0.9999), "tail": (1e-4, 0.5),
    "alpha": (1e-4, 0.5), "resamples": (100, 10_000_000), "block_days": (1, 250),
    "lag": (0.1, 10.0), "min_draws": (FEWEST_DRAWS, 1e9),
}  # fmt: skip


def make_check(
    name: str, judge: Judge, constants: Constants, summary: str, *claims: Claim
) -> VerdictCheck:
    """Bind a judge to its constants, which thereby belong to the pre-registration."""
    shown = MappingProxyType(dict(constants))  # the judge keeps a plain copy: proxies don't pickle
    return VerdictCheck(
        name=name, judge=partial(judge, dict(constants)), constants=shown, summary=summary,
        claims=claims or ("selection", "trigger"),
    )  # fmt: skip


def with_constants(
    checks: tuple[VerdictCheck, ...], changes: Mapping[str, Mapping[str, float]]
) -> tuple[VerdictCheck, ...]:
    """Return the checks with some constants replaced, as a set of its own.

    Raises
    ------
    ConfigError
        When a check or a constant does not exist, or a value is no number or outside of
        what the statistics are defined for.
    """
    unknown = set(changes) - {check.name for check in checks}
    if unknown:
        raise ConfigError(
            f"no check named {sorted(unknown)[0]!r}",
            fix="the checks are " + ", ".join(check.name for check in checks),
        )
    return tuple(_replaced(check, changes.get(check.name, {})) for check in checks)


def _replaced(check: VerdictCheck, change: Mapping[str, float]) -> VerdictCheck:
    for key, value in change.items():
        if key not in check.constants:
            raise ConfigError(
                f"check {check.name!r} has no constant {key!r}",
                fix="its constants are " + (", ".join(check.constants) or "none"),
            )
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise ConfigError(
                f"{check.name}.{key} is {value!r}, expected a finite number",
                fix=f"leave it out for the default, {check.constants[key]:g}",
            )
        low, high = _RANGES.get(key, _ANY)
        if not low <= value <= high:
            raise ConfigError(
                f"{check.name}.{key} is {value:g}",
                fix=f"{span_words(low, high)}; the default is {check.constants[key]:g}",
            )
    if not change:
        return check
    if not isinstance(check.judge, partial):
        raise ConfigError(f"the constants of check {check.name!r} cannot be replaced")
    constants = {**check.constants, **{key: float(value) for key, value in change.items()}}
    return make_check(check.name, check.judge.func, constants, check.summary, *check.claims)


def arm(evidence: Evidence, name: str) -> Trades | None:
    """Return an arm's trades, None when it is absent or took nothing."""
    trades = evidence.trades.get(name)
    return trades if trades is not None and len(trades) else None


def mean_of(evidence: Evidence, trades: Trades, constants: Constants) -> Estimate:
    """Mean net R per trade of one arm."""
    seed = int(evidence.settings.get("seed", 0))
    return mean_estimate(day_sums(trades, evidence.days), constants, seed=seed)


def difference_of(
    evidence: Evidence,
    trades: Trades,
    other: Trades,
    constants: Constants,
    *,
    days: Int32 | None = None,
) -> Estimate:
    """Difference of mean net R per trade, paired by day."""
    grid = evidence.days if days is None else days
    left, right = day_sums(trades, grid), day_sums(other, grid)
    seed = int(evidence.settings.get("seed", 0))
    return difference_estimate(left, right, constants, seed=seed)


def by_bounds(estimate: Estimate, effect: float) -> Outcome:
    """Pass above zero, fail when the effect asked for is excluded, else open."""
    if estimate.low > _NOISE:
        return "pass"
    if estimate.high < effect - _NOISE:
        return "fail"
    return "inconclusive"


def number(value: float) -> float | None:
    """Return None for anything that is not finite."""
    return float(value) if math.isfinite(value) else None


def bounds(estimate: Estimate) -> tuple[float, float] | None:
    """Return the interval, None where there is none."""
    low, high = number(estimate.low), number(estimate.high)
    return None if low is None or high is None else (low, high)


def excludes(result: CheckResult) -> bool:
    """Say whether a failed check excludes the effect it asks for: all of its interval lies below.

    A rule without an effect, or without an interval, has failed and excludes nothing.
    """
    if result.outcome != "fail" or result.effect is None:
        return False
    told = result.reason.numbers if result.reason else {}
    highs = [told.get(f"{name}_high", math.nan) for name in ("value", "full_over", "block_over")]
    if result.interval is not None:
        highs = [result.interval[1]]
    return any(high < result.effect for high in highs)


def bounded(
    name: str, evidence: Evidence, estimate: Estimate, effect: float, *, measure: str
) -> CheckResult:
    """Judge an estimate in R against zero and the effect asked for.

    ``measure`` names the quantity in the reason, for example ``profit``.
    """
    outcome = by_bounds(estimate, effect)
    months = None
    if outcome == "inconclusive":
        months = months_to_settle(
            evidence.n_test_months, estimate.value, estimate.se, effect=effect
        )
    return CheckResult(
        name=name,
        outcome=outcome,
        value=number(estimate.value),
        interval=bounds(estimate),
        threshold=0.0,
        effect=effect,
        power=number(power_at(effect, estimate.se)),
        minimum_detectable=number(minimum_detectable(estimate.se)),
        months_needed=months,
        reason=_reason_of(outcome, estimate, effect, measure),
    )


def _reason_of(outcome: Outcome, estimate: Estimate, effect: float, measure: str) -> Reason:
    kind = {"pass": "shown", "fail": "excluded"}.get(outcome, "open")
    if kind == "open" and bounds(estimate) is None:
        kind = "no_interval"
    return because(kind, measure=measure, effect=effect, **estimated("value", estimate))


def estimated(name: str, estimate: Estimate) -> dict[str, float]:
    """Return an estimate as numbers of a reason: ``name``, ``name_low`` and ``name_high``."""
    found = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {key: value for key, value in found.items() if math.isfinite(value)}


def open_question(name: str, reason: Reason, *, threshold: float | None = None) -> CheckResult:
    """Return an inconclusive result that no measurement went into."""
    return CheckResult(name=name, outcome="inconclusive", threshold=threshold, reason=reason)


def nothing_to_compare(evidence: Evidence, name: str) -> CheckResult | None:
    """Return an open question when the model took no decision, or every one."""
    if arm(evidence, "REAL") is None:
        return open_question(name, because("no_trade"))
    if not evidence.take_rate < 1.0 - _NOISE:
        return open_question(name, because("took_everything"))
    return None
