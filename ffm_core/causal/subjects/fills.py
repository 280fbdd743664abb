"""What an exit policy said of all orders, and whether the bars allow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.blame.line import Blame, accuse, blame, origin
from ffm_core.causal.trial.findings import Call, Notes, caller, stamp_at, unlike
from ffm_core.errors import StrategyError
from ffm_core.keyed import keyed
from ffm_core.labels.kernels import next_flat
from ffm_core.labels.step import DATA_END, SKIPPED
from ffm_core.records import REASONS, Examined, ExitPolicy, Fills, Orders, Params
from ffm_core.types import Bool, Float64, Int64

COMPARED = ("exit_bar", "exit_price", "reason", "mfe_r", "mae_r", "r_gross")
LEAD_BARS = 256  # bars before an entry that are shown first; if they do not do, all are
PURITY_FIX = "return new arrays, keep nothing between calls and draw from no global generator"
_TOGETHER = 48  # orders asked for at one cut


@dataclass(frozen=True, slots=True)
class Asked:
    """What a policy is called with."""

    bars: Bars
    orders: Orders

    def __len__(self) -> int:
        return len(self.bars)


class Trial:
    """One policy on one stream: how it is asked, and what it said of everything."""

    full: Fills

    def __init__(
        self,
        policy: ExitPolicy,
        bars: Bars,
        orders: Orders,
        params: Params,
        seed: int,
        call: Call | None,
    ) -> None:
        self.policy = policy
        self.name = f"exit {policy.name}"
        self.bars = Bars(bars.frame.rechunk(), bars.instrument, bars.timeframe)
        self.orders = orders
        self.params = dict(params)
        self.notes = Notes(Examined("exit", policy.name, bars.stream))
        self.whole = False  # whether orders must be asked for together, and from the first bar
        self._seed = seed
        self._call = caller(self.name, call, "it must accept any orders inside the bars")

    def __len__(self) -> int:
        return len(self.orders.entry_bar)

    def rng(self, purpose: str) -> np.random.Generator:
        """Return the generator of one purpose."""
        return keyed(self._seed, "exit", purpose, self.policy.name, self.bars.stream)

    def ask(self, bars: Bars, orders: Orders) -> Fills | None:
        """Return fills of ``orders``; None, and a note, when some are left out."""
        given = {f.name: getattr(orders, f.name) for f in fields(Orders)}
        copies: dict[str, Any] = {k: None if v is None else v.copy() for k, v in given.items()}
        answer = self._call(self.policy.simulate, bars, Orders(**copies), dict(self.params))
        for name, copy in copies.items():
            if copy is not None and unlike(np.asarray(given[name]), copy).any():
                message = f"it edits orders.{name}, which it is given"
                self.notes.add("purity", message, column=name, fix=PURITY_FIX, line=self.read)
        return self._checked(answer, len(orders.entry_bar))

    def _checked(self, answer: Any, n: int) -> Fills | None:
        if not isinstance(answer, Fills):
            raise StrategyError(
                f"{self.name} returned {type(answer).__name__}, expected Fills",
                fix="return ffm_core.records.Fills with one row per order",
            )
        arrays = {f.name: np.asarray(getattr(answer, f.name)) for f in fields(Fills)}
        short = [name for name, values in arrays.items() if values.shape != (n,)]
        if short:
            shape = arrays[short[0]].shape
            self.notes.add(
                "completeness",
                f"{n} orders are answered with {short[0]} of shape {shape}",
                column=short[0],
                fix="return one row per order, in their order, losers among them",
            )
            return None
        return Fills(**arrays)

    def of_window(self, rows: Int64, start: int, stop: int) -> Orders:
        """Return some orders as seen from bars ``start`` to ``stop``."""
        flat = self.orders.flat
        return replace(
            take(self.orders, rows),
            entry_bar=self.orders.entry_bar[rows] - start,
            flat=None if flat is None else flat[start:stop],
        )

    def read(self) -> Blame | None:
        """Return a line that looks impure."""
        return accuse(self.policy.simulate, "purity")

    def made(self, row: int, column: str) -> Blame | None:
        """Return the line after which an order's wrong answer first stands."""
        value = float(getattr(self.full, column)[row])
        given = Asked(self.bars, self.orders)
        return origin(self.simulate, given, int(self.orders.entry_bar[row]), value)

    def parted(self, one: Asked, other: Asked, bar: int) -> Blame | None:
        """Return the line where two calls part, for the order entered at ``bar`` of both."""
        return blame(self.simulate, one, other, bar, bar + 1)

    @property
    def simulate(self) -> Callable[[Asked], Any]:
        """The policy as a function of bars and orders together."""
        function, params = self.policy.simulate, self.params
        return lambda asked: function(asked.bars, asked.orders, dict(params))

    def near(self, cut: int, first: int | None = None) -> Int64:
        """Return orders entered before a cut that ended shortly before it, or later."""
        entry, ends = self.orders.entry_bar, self.full.exit_bar
        if self.whole:
            return np.flatnonzero(entry < cut)
        rows = np.flatnonzero((entry < cut) & (ends >= cut - LEAD_BARS))
        distance = np.abs(ends[rows] + 1 - cut)
        rows = rows[np.argsort(distance, kind="stable")[:_TOGETHER]]
        if first is not None:
            rows = np.append(rows, first)
        return np.unique(rows)


def take(orders: Orders, rows: Int64) -> Orders:
    """Return the chosen orders, in the order given."""
    return replace(
        orders,
        **{
            f.name: getattr(orders, f.name)[rows]
            for f in fields(Orders)
            if f.name != "flat" and getattr(orders, f.name) is not None
        },
    )


# What may be wrong with an answer: detector, column, words, and how to mend it.
_FAULTS = {
    "outside": (
        "horizon", "exit_bar", "it ends at bar {exit_bar}, before its entry bar or after the data",
        "an exit bar lies from the entry bar to the last bar",
    ),
    "unknown": (
        "completeness", "reason", "it ends without a reason",
        "give every order one of ffm_core.records.REASONS, by index",
    ),
    "silent": (
        "completeness", "exit_price", "it is left without an exit price",
        "every order ends somewhere: give price and R, losses too",
    ),
    "early": (
        "completeness", "reason",
        "it is void for the end of the data at bar {exit_bar}, where the data go on",
        "only the last bar ends the data",
    ),
    "left out": (
        "completeness", "reason", "it is left out",
        "leave out none but, with tie='skip', those whose bar touches both stop and target",
    ),
    "entry": (
        "values", "entry_price", "its entry is not the open of its entry bar",
        "enter at bars.open[orders.entry_bar]",
    ),
    "late": (
        "horizon", "exit_bar",
        "it is held to bar {exit_bar}, past its horizon or the session's end",
        "leave at entry_bar + horizon_bars - 1, or at a flat bar, at the latest",
    ),
    "gross": (
        "values", "r_gross", "r_gross {r_gross:.6g} is not side * (exit - entry) / risk",
        "compute r_gross from the prices returned, without costs",
    ),
    "dream": (
        "values", "exit_price",
        "it leaves at {exit_price:.6g}, better than any price of bar {exit_bar}",
        "fill inside the bar's range; a gap fills at the open",
    ),
    "mfe_r": (
        "values", "mfe_r", "mfe_r {mfe_r:.6g} is not between its result and the best price held",
        "measure the excursion from entry bar to exit bar",
    ),
    "mae_r": (
        "values", "mae_r", "mae_r {mae_r:.6g} is not between its result and the worst price held",
        "measure the excursion from entry bar to exit bar",
    ),
}  # fmt: skip


def complete(trial: Trial) -> bool:
    """Note orders without an answer; return whether the others can be built on."""
    full, orders = trial.full, trial.orders
    total = len(trial.bars)
    outside = (full.exit_bar < orders.entry_bar) | (full.exit_bar >= total)
    skipped = full.reason == SKIPPED
    note_first(trial, "outside", outside)
    note_first(trial, "unknown", (full.reason <= 0) | (full.reason >= len(REASONS)))
    priced = np.isfinite(full.exit_price) & np.isfinite(full.r_gross)
    note_first(trial, "silent", ~skipped & ~priced)
    if outside.any():
        return False
    untold = skipped & ~_tied(trial)
    note_first(trial, "left out", untold)
    return not untold.any()


def _tied(trial: Trial) -> Bool:
    """Orders that the documented tie policy may leave out."""
    declared = {param.name: param for param in trial.policy.params}
    tie = declared.get("tie")
    if tie is None or trial.params.get("tie", tie.default) != "skip":
        return np.zeros(len(trial), dtype=np.bool_)
    bars, orders, at = trial.bars, trial.orders, trial.full.exit_bar
    entry = bars.open[orders.entry_bar]
    stop = entry - orders.side * orders.risk
    target = entry + orders.side * orders.target_r * orders.risk
    slack = 1e-6 * bars.instrument.tick_size
    both = bars.low[at] <= np.minimum(stop, target) + slack
    both &= bars.high[at] >= np.maximum(stop, target) - slack
    return np.asarray(both | (trial.policy.kind == "managed"))


def sound(trial: Trial) -> None:
    """Note prices and multiples that the bars do not allow."""
    bars, orders, full = trial.bars, trial.orders, trial.full
    entry = bars.open[orders.entry_bar]
    if not trial.notes.found("horizon"):
        early = (full.reason == DATA_END) & (full.exit_bar != len(bars) - 1)
        note_first(trial, "early", early)
    wrong = (full.entry_bar != orders.entry_bar) | ~(np.abs(full.entry_price - entry) <= 1e-9)
    note_first(trial, "entry", wrong)
    latest = orders.entry_bar + orders.horizon_bars - 1
    if orders.flat is not None:
        latest = np.minimum(latest, next_flat(orders.flat)[orders.entry_bar])
    late = full.exit_bar > latest
    note_first(trial, "late", late)
    known = (full.reason != SKIPPED) & np.isfinite(full.exit_price)
    gross = orders.side * (full.exit_price - entry) / orders.risk
    same = np.abs(full.r_gross - gross) <= 1e-9 * (1.0 + np.abs(gross))
    note_first(trial, "gross", known & ~same)
    best = np.where(orders.side > 0, bars.high[full.exit_bar], bars.low[full.exit_bar])
    slack = 1e-6 * bars.instrument.tick_size
    note_first(trial, "dream", known & (orders.side * (full.exit_price - best) > slack))
    _excursions(trial, known & ~late, gross)


def _excursions(trial: Trial, known: Bool, gross: Float64) -> None:
    bars, orders, full = trial.bars, trial.orders, trial.full
    entry, last = orders.entry_bar, full.exit_bar
    pairs = np.column_stack([entry, last + 1]).ravel()
    top = np.maximum.reduceat(np.append(bars.high, -np.inf), pairs)[::2]
    bottom = np.minimum.reduceat(np.append(bars.low, np.inf), pairs)[::2]
    price = bars.open[entry]
    up, down = (top - price) / orders.risk, (price - bottom) / orders.risk
    best, worst = np.where(orders.side > 0, up, down), np.where(orders.side > 0, down, up)
    for name, limit, least in (("mfe_r", best, gross), ("mae_r", worst, -gross)):
        value = getattr(full, name)
        room = 1e-9 * (1.0 + np.abs(limit))
        inside = value >= np.maximum(least, 0.0) - room
        inside &= value <= np.maximum(limit, least) + room
        note_first(trial, name, known & ~inside)


def note_first(trial: Trial, fault: str, bad: Bool) -> None:
    """Note the earliest order that shows a fault."""
    rows = np.flatnonzero(bad)
    if len(rows) == 0:
        return
    check, column, message, fix = _FAULTS[fault]
    row = int(rows[np.argmin(trial.orders.entry_bar[rows])])
    bar = int(trial.orders.entry_bar[row])
    told = message.format(**{name: getattr(trial.full, name)[row] for name in COMPARED})
    trial.notes.add(
        check,
        f"{len(rows)} of {len(trial)} orders; the first, entered at bar {bar}: {told}",
        column=column,
        bar=bar,
        stamp=stamp_at(trial.bars, bar),
        fix=fix,
        line=lambda: trial.made(row, column),
    )


__all__ = ["COMPARED", "LEAD_BARS", "PURITY_FIX", "Asked", "Trial", "complete", "sound", "take"]
