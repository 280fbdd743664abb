"""What a plug-in carries beside its code is found by following names from its functions."""

from __future__ import annotations

import datetime as dt
import functools

import numpy as np
import polars as pl
import pytest

from ffm_core.causal.process.carried import carried, unnamed
from ffm_core.records.proofs import told

DAYS = [dt.date(2024, 1, 1) + dt.timedelta(n) for n in range(37)]
TEXT_DAYS = tuple(map(str, DAYS))
FRAME = pl.DataFrame({"a": range(540)})
LAZY = FRAME.lazy()
WEIGHTS = np.arange(1_000)
BY_DAY = dict.fromkeys(DAYS, 1.0)
SPANS = (5, 10, 20)
NAMES = {"open": 1, "close": 2}
UNUSED = list(range(99))


def plain(bars):
    return DAYS


def nested(bars):
    return [day in TEXT_DAYS for day in bars]


def through(bars):
    return helper(bars)


def helper(bars):
    return FRAME


def lazy(bars):
    return LAZY.collect()


def defaults(bars, days=DAYS, *, weights=WEIGHTS):
    return days, weights


def closure():
    kept = set(range(12))

    def column(bars):
        return kept

    return column


class Model:
    """An object that holds something."""

    weights = WEIGHTS

    def __init__(self):
        self.days = BY_DAY

    def decide(self, bars):
        return self.days


@functools.cache
def cached(bars):
    return DAYS


def honest(bars, period=10):
    return SPANS, NAMES, np.zeros(3), dt.date(2024, 1, 1)


def described(function):
    return [told(one) for one in carried([function], lambda file: file == __file__)]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (plain, ["DAYS: a list of 37 dates"]),
        (nested, ["TEXT_DAYS: a tuple of 37 dates"]),
        (through, ["FRAME: a frame of 540 rows"]),
        (lazy, ["LAZY: a lazy frame"]),
        (defaults, ["days: a list of 37 dates", "weights: an array of 1,000 numbers"]),
        (closure(), ["kept: a set of 12 numbers"]),
        (Model().decide,
         ["days: a mapping of 37 dates", "Model.weights: an array of 1,000 numbers"]),
        (functools.partial(plain, period=3), ["DAYS: a list of 37 dates"]),
        (cached, ["DAYS: a list of 37 dates"]),
        (honest, []),
        (functools.partial(max, WEIGHTS), ["an array of 1,000 numbers"]),
    ],
)  # fmt: skip
def test_what_functions_reach_is_described(function, words):
    assert described(function) == words


def test_of_a_private_plug_in_no_name_is_said():
    found = carried([plain], lambda file: file == __file__)
    assert [told(one) for one in unnamed(found)] == ["a list of 37 dates"]
