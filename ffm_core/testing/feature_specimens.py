"""Red twins of the checks of feature sets: each breaks exactly one of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.records import Column, FeatureSet
from ffm_core.testing import feature_twins as twins
from ffm_core.testing import peeks
from ffm_core.testing.building import SPAN
from ffm_core.testing.feature_twins import features, matrix, move
from ffm_core.types import Float32

Batch = Callable[[Bars], Float32]


@dataclass(frozen=True, slots=True)
class FeatureSpecimen:
    """A feature set and the one check that must catch it; an empty name means clean."""

    name: str
    feature_set: FeatureSet
    breaks: str = ""


def _doubles(bars: Bars) -> Any:
    return twins.mean_ratio(bars).astype(np.float64)


def _without_warmup(bars: Bars) -> Float32:
    return twins.mean_ratio(bars)[SPAN - 1 :]


def _silence(bars: Bars) -> Float32:
    return matrix(np.full(len(bars), np.nan))


def _column(column: Callable[[Bars], Any]) -> Batch:
    def batch(bars: Bars) -> Float32:
        with np.errstate(divide="ignore", invalid="ignore"):
            return matrix(column(bars))

    return batch


def _first_price(bars: Bars) -> Float32:
    if bars.open[0] < 0:
        raise ValueError("negative price")
    return twins.mean_ratio(bars)


def _no_holes(bars: Bars) -> Float32:
    if (np.diff(bars.ts_us) > 8 * 86_400_000_000).any():
        raise ValueError("the data have a hole")
    return twins.mean_ratio(bars)


def _few_contracts(bars: Bars) -> Float32:
    if "contract" in bars.frame.columns and bars.frame["contract"].n_unique() > 4:
        raise ValueError("too many contracts")
    return twins.mean_ratio(bars)


def _local_time(bars: Bars) -> Float32:
    zone = bars.instrument.timezone
    wall = bars.frame["ts"].dt.convert_time_zone(zone).dt.replace_time_zone(None)
    wall.dt.replace_time_zone(zone)  # no such hour in spring, two of them in autumn
    return twins.mean_ratio(bars)


class _OneWindow(twins.MeanStream):
    """The window belongs to the class, and the newest stream empties it."""

    window: ClassVar[deque[float]] = deque(maxlen=SPAN)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.window.clear()
        self._closes = self.window


class _Lengths:
    """Divides by the number of different lengths it has been asked for."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def __call__(self, bars: Bars) -> Float32:
        self.seen.add(len(bars))
        return matrix(move(bars) / len(self.seen))


def _plain(batch: Batch, **declared: Any) -> FeatureSet:
    given: dict[str, Any] = {"warmup_bars": SPAN - 1, "history_bars": SPAN} | declared
    return features("plain", batch, **given)


def _streamed(stream: type[twins.MeanStream]) -> FeatureSet:
    return replace(_plain(twins.mean_ratio), stream=stream)


# Module attributes, so that another process can find them.
CLEAN_SET = _plain(twins.mean_ratio)
HASHED_SET = features("hashed", twins.weighed_by_a_text, warmup_bars=1, history_bars=2)

_SETS: dict[str, tuple[str, FeatureSet]] = {
    "a column without a unit": (
        "record_is_sound",
        replace(CLEAN_SET, columns=(Column(name="value", unit=""),)),
    ),
    "float64": ("returns_a_row_per_bar", _plain(_doubles)),
    "fewer rows than bars": ("returns_a_row_per_bar", _plain(_without_warmup)),
    "always NaN": ("says_something", _plain(_silence)),
    "edits its input": ("input_is_not_edited", _plain(twins.edits_closes)),
    "answers by chance": ("calls_agree", _plain(twins.noisy_move)),
    "an infinite value": ("nothing_is_infinite", _plain(twins.over_the_body, history_bars=1)),
    "a warm-up that is too short": (
        "warmup_is_honest",
        _plain(twins.over_a_long_mean, warmup_bars=20, history_bars=200),
    ),
    "counts lengths": ("keeps_no_state", _plain(_Lengths(), warmup_bars=1, history_bars=None)),
    "hashes text": ("fresh_process_agrees", HASHED_SET),
    "the next close": ("past_ignores_removed_future", _plain(twins.next_move, missing="last")),
    "the next roll": (
        "past_ignores_changed_future",
        _plain(twins.next_roll, warmup_bars=0, history_bars=None),
    ),
    "too short a history": (
        "history_is_sufficient",
        _plain(twins.over_a_long_top, warmup_bars=99, history_bars=50),
    ),
    "a list of days": (
        "answers_are_computed",
        _plain(_column(peeks.on_listed_days), warmup_bars=0, history_bars=1),
    ),
    "crashes on no bars": ("few_bars", _plain(_first_price)),
    "a stream that starts early": ("stream_equals_batch", _streamed(twins.EagerStream)),
    "one array for all rows": ("stream_equals_batch", _streamed(twins.ReusingStream)),
    "one window for all streams": ("streams_are_apart", _streamed(_OneWindow)),
    "half a snapshot": ("snapshots_continue", _streamed(twins.ForgetfulStream)),
    "divides by the range": ("flat_prices", _plain(_column(peeks.place_in_range))),
    "divides by volume": ("no_volume", _plain(_column(peeks.volume_weighted))),
    "tolerates no holes": ("gaps", _plain(_no_holes)),
    "tolerates few contracts": ("rolls", _plain(_few_contracts)),
    "reads the wall clock back": ("clock_change", _plain(_local_time)),
}

FEATURE_SPECIMENS: tuple[FeatureSpecimen, ...] = tuple(
    FeatureSpecimen(name, replace(made, name=name.replace(" ", "-")) if made is not HASHED_SET
                    else made, breaks)
    for name, (breaks, made) in _SETS.items()
)  # fmt: skip

__all__ = ["CLEAN_SET", "FEATURE_SPECIMENS", "FeatureSpecimen"]
