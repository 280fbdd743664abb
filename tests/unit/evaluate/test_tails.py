"""What hangs on a few trades, and what the formerly sealed months show by themselves."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ffm_core.evaluate.tails import far_trades, opened_tail
from helpers.evidence import evidence, trades, world  # noqa: F401


def test_far_trades_are_named_largest_first(evidence, world, trades):  # noqa: F811
    base = evidence(world(), seed=1)
    real = trades(base.days[:6], [1.0, -9.0, 6.0, 5.0, -1.0, 12.0])
    found = far_trades(replace(base, trades={"REAL": real}))
    assert (found["n"], found["total_r"]) == (3, 9.0)
    assert found["share"] == pytest.approx(9 / 14)
    assert [one["r_net"] for one in found["largest"]] == [12.0, -9.0, 6.0]
    assert found["largest"][0]["stream"] == "ES/5m"
    assert far_trades(replace(base, trades={"REAL": trades([], [])})) == {}


def test_an_opened_tail_counts_its_own_days_only(evidence, world):  # noqa: F811
    base = evidence(world(marked=0.6, skill=0.9), seed=1)
    first = int(base.days[-60])
    found = opened_tail(SimpleNamespace(seal=SimpleNamespace(day=first, opened=True)), base)
    real = base.trades["REAL"]
    own = real.r_net[real.day >= first]
    assert found["n_trades"] == len(own)
    assert found["mean_r"] == pytest.approx(own.mean())
    assert found["interval"][0] < found["mean_r"] < found["interval"][1]
    assert 0 < found["minimum_detectable"] < 1
    assert opened_tail(SimpleNamespace(seal=SimpleNamespace(day=first, opened=False)), base) == {}


def test_a_tail_without_a_trade_says_so(evidence, world):  # noqa: F811
    base = evidence(world(), seed=1)
    first = int(base.days[-10])
    early = base.trades["REAL"].take(np.flatnonzero(base.trades["REAL"].day < first))
    seal = SimpleNamespace(day=first, opened=True)
    found = opened_tail(SimpleNamespace(seal=seal), replace(base, trades={"REAL": early}))
    assert found["n_trades"] == 0
