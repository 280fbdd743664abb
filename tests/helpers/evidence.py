"""Evidence made from numbers alone, with a known truth behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from ffm_core.records import (
    Certificate,
    Evidence,
    Examined,
    Failure,
    ShuffleResult,
    Trades,
    TrialContext,
    because,
)

SUBJECT = Examined("labeler", "x", "ES/5m")
CLEAN = Certificate(
    status="clean",
    subjects=(SUBJECT,),
    cuts=2000,
    rows_compared=4000,
    detection_bound=0.0023,
)
BROKEN = Certificate(
    status="broken", subjects=(SUBJECT,), cuts=2000, rows_compared=4000, detection_bound=0.0023,
    failures=(
        Failure(subject=SUBJECT, check="prefix", column="x", bar=7, stamp="2024-01-02T00:00Z",
                first_future_bar=8, reason=because("late", last=7, later=8,
                                                   later_stamp="2024-01-02T00:05Z")),
    ),
)  # fmt: skip


def make_trades(day, r, *, weight=None, stream=None) -> Trades:
    r = np.asarray(r, float)
    n = len(r)
    return Trades(
        row=np.arange(n), day=np.asarray(day, np.int32),
        stream=np.zeros(n, np.int16) if stream is None else np.asarray(stream, np.int16),
        side=np.ones(n, np.int8), quantity=np.ones(n), t_entry=np.arange(n),
        t_exit=np.arange(n) + 1, entry_price=np.full(n, 100.0), exit_price=100.0 + r,
        risk=np.ones(n), point_value=np.full(n, 100.0), currency=np.full(n, "USD"),
        r_net=r, r_gross=r + 0.05, worst_r=np.ones(n), best_r=np.ones(n),
        weight=np.ones(n) if weight is None else np.asarray(weight, float),
    )  # fmt: skip


@dataclass(frozen=True)
class World:
    """Decisions of which half are marked; bets win 3 or lose 1, with a given mean."""

    base: float = 0.0  # mean R of every decision
    marked: float = 0.0  # more on the marked half
    skill: float = 0.0  # 0: picks at random, 1: picks the marked half
    share: float = 0.5
    n_days: int = 420
    per_day: int = 12
    months: int = 20
    gap: float = 0.0  # validation earns this much more than test
    claim: str = "selection"
    entry: float = 0.0  # what random bars earn
    shared: float = 0.1  # what the bets of a day have in common


def bets(rng: np.random.Generator, mean: np.ndarray, day: np.ndarray, shared: float) -> np.ndarray:
    """Return bets of +3 or −1 whose chances move together within a day."""
    lean = rng.normal(0, shared, day.max(initial=-1) + 1)[day]
    return np.where(rng.random(len(mean)) < 0.25 + (mean + lean) / 4, 3.0, -1.0)


def unskilled(rng: np.random.Generator, r: np.ndarray, taken: int, draws: int) -> np.ndarray:
    """Return means of random picks, by the law of drawing without replacement."""
    spread = r.std() * np.sqrt((1 - taken / len(r)) / max(taken, 1))
    return rng.normal(r.mean(), spread, draws)


def build(world: World, seed: int = 0, **changes: object) -> Evidence:
    rng = np.random.default_rng(seed)
    days = np.arange(19000, 19000 + world.n_days, dtype=np.int32)
    day = np.repeat(np.arange(world.n_days), world.per_day)
    mark = rng.random(len(day)) < 0.5
    r = bets(rng, world.base + world.marked * mark, day, world.shared)
    score = world.skill * mark + (1.0 - world.skill) * rng.random(len(day))
    taken = score >= np.quantile(score, 1.0 - world.share) if world.share < 1 else score >= -1
    if world.claim == "trigger":
        taken = np.ones(len(day), bool)
    real = r[taken].mean()
    validation = bets(rng, np.full(taken.sum(), real + world.gap), day[taken], world.shared)
    random_bars = bets(rng, np.full(len(day), world.entry), day, world.shared)
    planned = 39
    tests = {
        kind: ShuffleResult(real=real, draws=unskilled(rng, r, taken.sum(), planned),
                            planned=planned, stopped=False)
        for kind in ("full", "block")
    }  # fmt: skip
    fields: dict[str, object] = {
        "claim": world.claim, "certificate": CLEAN, "days": days, "n_test_months": world.months,
        "trades": {
            "REAL": make_trades(days[day[taken]], r[taken]),
            "NAIVE": make_trades(days[day], r),
            "ENTRY": make_trades(days[day], random_bars, weight=np.full(len(day), 0.05)),
        },
        "take_rate": float(taken.mean()), "random_means": unskilled(rng, r, taken.sum(), 200),
        "shuffle": tests, "validation_mean_r": float(validation.mean()),
        "validation_trades": make_trades(days[day[taken]] - 21, validation),
        "trial": TrialContext(n_trials=1, sharpe_variance=0.0, effective_n=1.0, ledger_since=""),
        "streams": ("ES/5m",), "currencies": ("USD",),
        "month_days": (24000 + np.arange(world.n_days) * world.months // world.n_days).astype(
            np.int32
        ),
        "settings": {"seed": 0.0},
    }  # fmt: skip
    fields.update(changes)
    return Evidence(**fields)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def world() -> type[World]:
    return World


@pytest.fixture(scope="session")
def evidence() -> Callable[..., Evidence]:
    return build


@pytest.fixture(scope="session")
def trades() -> Callable[..., Trades]:
    return make_trades


@pytest.fixture(scope="session")
def broken() -> Certificate:
    return BROKEN
