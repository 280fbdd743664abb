"""From decisions to entries: next-bar opens with a stop, a target and a horizon."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import cast

import numpy as np

from ffm_core.bars.primitives import atr_wilder
from ffm_core.bars.table import Bars
from ffm_core.labels.kernels import next_flat, on_ticks
from ffm_core.labels.policies import setting
from ffm_core.labels.step import rules_on
from ffm_core.records import VOIDS, Decisions, ExitPolicy, Params, answers
from ffm_core.records.forms import require_rows
from ffm_core.types import Float64, Int8, Int32, Int64

ATR_BARS = 14  # the ATR an exit policy is told
MIN_RISK_TICKS = 4.0
TICK_SLACK = 1e-9  # of a tick: prices are decimals stored in binary


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Trades before their entry bar; arrays (N,), prices in points.

    Stops and targets lie on ticks, rounded against the trader.
    """

    bar: Int64  # whose open is the entry
    price: Float64
    side: Int8
    risk: Float64  # distance to the stop at entry, what 1 R is
    stop: Float64
    target: Float64  # infinite where there is none
    target_r: Float64  # as the decision or the policy asks, R
    horizon_bars: Int32
    atr: Float64  # at the signal bar; NaN where not known
    flat_at: Int64  # (T,) next bar that ends a session; (0,) when positions may be held

    def __len__(self) -> int:
        return len(self.bar)

    def take(self, rows: Int64) -> Entries:
        """Return the chosen entries, in the order given."""
        chosen = {f.name: getattr(self, f.name) for f in fields(self)}
        return Entries(**{name: v if name == "flat_at" else v[rows] for name, v in chosen.items()})


def entries_of(
    bars: Bars,
    decisions: Decisions,
    policy: ExitPolicy,
    params: Params,
    *,
    horizon_bars: int,
    flat_at_session_end: bool = False,
    min_risk_ticks: float = MIN_RISK_TICKS,
) -> tuple[Entries, Int8]:
    """Turn decisions into entries at the next bar's open.

    Parameters
    ----------
    bars : Bars
        The stream, length ``T``.
    decisions : Decisions
        ``N`` rows.
    policy, params
        The exit policy, which says whether there is a target at entry, and its settings.
    horizon_bars : int
        Bars of rows that bring none, counting the entry bar.
    flat_at_session_end : bool
        Whether positions close with the scheduled end of the session.
    min_risk_ticks : float
        Smallest risk that counts.

    Returns
    -------
    (Entries, int8 (N,))
        One entry per decision and, per row, an index into ``VOIDS``. Void rows
        hold harmless numbers (the last bar, risk 1) and must not be walked.

    Raises
    ------
    StrategyError
        When a decision points outside the bars or holds a number that cannot be
        a risk, stop, target or horizon.
    """
    n, count = len(decisions), len(bars)
    if decisions.horizon_bars is None:
        decisions = replace(decisions, horizon_bars=np.full(n, horizon_bars, dtype=np.int32))
    horizons = cast("Int32", decisions.horizon_bars)
    answers.require_known_bars(decisions, bars)
    answers.require_tradable(decisions, bars)
    entry = decisions.bar + 1
    void = np.zeros(n, dtype=np.int8)
    void[entry >= count] = VOIDS.index("no_next_bar")
    entry = np.minimum(entry, max(count - 1, 0))
    side = decisions.side.astype(np.float64)
    price = bars.open[entry]
    if decisions.risk is not None:
        stop = price - side * decisions.risk
    else:
        assert decisions.stop_price is not None
        stop = decisions.stop_price
        void[(void == 0) & (side * (price - stop) <= 0)] = VOIDS.index("stop_beyond_open")
    rules, tick = rules_on(bars.instrument.tick_size), bars.instrument.tick_size
    stop = on_ticks(stop, side < 0, rules)
    risk = side * (price - stop)
    void[(void == 0) & (risk < (min_risk_ticks - TICK_SLACK) * tick)] = VOIDS.index("small_risk")
    risk = np.where(void == 0, risk, 1.0)
    has_rr, target_r = policy.declares("rr"), decisions.target_r
    if target_r is None:
        target_r = np.full(n, float(setting(policy, params, "rr")) if has_rr else 1.0)
    reward = target_r if has_rr or policy.kind == "predicted" else np.full(n, np.inf)
    entries = Entries(
        bar=np.ascontiguousarray(entry),
        price=price,
        side=decisions.side,
        risk=risk,
        stop=stop,
        target=on_ticks(price + side * reward * risk, side > 0, rules),
        target_r=target_r,
        horizon_bars=horizons,
        atr=_signal_atr(bars, decisions, policy),
        flat_at=_flat_at(bars, flat=flat_at_session_end or policy.flat_at_session_end),
    )
    return entries, void


def _signal_atr(bars: Bars, decisions: Decisions, policy: ExitPolicy) -> Float64:
    if policy.step is None and not policy.needs_atr:
        return np.full(len(decisions), np.nan)
    atr = atr_wilder(bars.high, bars.low, bars.close, ATR_BARS)[decisions.bar]
    if policy.needs_atr:
        require_rows(
            f"ATR({ATR_BARS})", atr, ~np.isnan(atr), decisions.bar,
            f"and exit policy {policy.name!r} needs it",
            f"make no decisions before bar {ATR_BARS - 1}", bars=bars,
        )  # fmt: skip
    return atr


def _flat_at(bars: Bars, *, flat: bool) -> Int64:
    if not flat:
        return next_flat(None)
    from ffm_core.bars.sessions import session_end_mask  # calendars load only when needed

    return next_flat(session_end_mask(bars))


__all__ = ["ATR_BARS", "MIN_RISK_TICKS", "TICK_SLACK", "Entries", "entries_of"]
