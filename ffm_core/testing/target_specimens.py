"""Red twins of the checks of targets: each breaks exactly one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.records import Target, TargetValues

_SPAN = 12


def next_move(bars: Bars) -> TargetValues:
    """Return the log return of the next twelve bars."""
    value, end = np.full(len(bars), np.nan, np.float32), np.full(len(bars), -1, np.int64)
    if len(bars) > _SPAN:
        value[:-_SPAN] = np.log(bars.close[_SPAN:] / bars.close[:-_SPAN])
        end[:-_SPAN] = np.arange(_SPAN, len(bars))
    return TargetValues(value=value, end_bar=end)


def in_doubles(bars: Bars) -> TargetValues:
    """Forget the cast."""
    found = next_move(bars)
    return TargetValues(value=found.value.astype(np.float64), end_bar=found.end_bar)


def unseeded(bars: Bars) -> TargetValues:
    """Add noise without a seed."""
    found = next_move(bars)
    noise = np.random.default_rng().normal(size=len(bars)).astype(np.float32)
    return TargetValues(value=found.value + noise, end_bar=found.end_bar)


def known_too_early(bars: Bars) -> TargetValues:
    """Say that a return over twelve bars is known after six."""
    found = next_move(bars)
    return TargetValues(
        value=found.value, end_bar=np.where(found.end_bar < 0, -1, found.end_bar - _SPAN // 2)
    )


def _made(name: str, compute: Callable[[Bars], TargetValues]) -> Target:
    return Target(
        name=f"specimen/{name}",
        group="specimen",
        kind="regression",
        compute=compute,
        horizon_bars=_SPAN,
        summary="the next move, for tests",
    )


CLEAN_TARGET = _made("next_move", next_move)
# What it is called: the target, and the one check that must catch it.
TARGET_SPECIMENS: dict[str, tuple[Target, str]] = {
    "no group": (replace(CLEAN_TARGET, name="next_move"), "record_is_sound"),
    "doubles": (_made("doubles", in_doubles), "answers_in_form"),
    "noise without a seed": (_made("unseeded", unseeded), "calls_agree"),
    "a warm-up that is too long": (
        replace(CLEAN_TARGET, warmup_bars=50), "values_match_the_record",
    ),
    "known too early": (_made("early", known_too_early), "end_bars_are_honest"),
}  # fmt: skip
