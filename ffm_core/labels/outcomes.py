"""From decisions to outcomes: entries, fills, voids, costs.

A void row is counted, never trained on and never traded; its R columns are NaN.
The reasons, in the order in which they are given when several apply: no next
bar, stop beyond the entry open, risk too small, both levels in one bar under the
tie policy ``skip``, a roll between the signal bar and the exit bar, a hole in
the data there, the data's end before the trade's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ffm_core.bars.primitives import atr_wilder, frozen
from ffm_core.bars.sessions import holes
from ffm_core.bars.table import Bars
from ffm_core.errors import StrategyError
from ffm_core.labels.kernels import next_flat, peak_excursion
from ffm_core.labels.policies import TRAIL_ATR_BARS, setting
from ffm_core.labels.step import DATA_END, SKIPPED
from ffm_core.records import VOIDS, Decisions, ExitPolicy, Fills, Orders, Outcomes, Params
from ffm_core.types import Bool, Float64, Int8, Int32, Int64

MIN_RISK_TICKS = 4.0
_SLACK = 1e-9  # of a tick: prices are decimals stored in binary


def prepare_orders(
    bars: Bars,
    decisions: Decisions,
    *,
    default_rr: float,
    default_horizon: int,
    flat: Bool | None = None,
    min_risk_ticks: float = MIN_RISK_TICKS,
    with_atr: bool = False,
) -> tuple[Orders, Int8]:
    """Turn decisions into entries at the next bar's open.

    Parameters
    ----------
    bars : Bars
        The stream, length ``T``.
    decisions : Decisions
        ``N`` rows.
    default_rr : float
        Target of rows that bring none, as a multiple of risk.
    default_horizon : int
        Bars of rows that bring none, counting the entry bar.
    flat : bool (T,), optional
        Session-end mask; None when positions may be held.
    min_risk_ticks : float
        Smallest risk that counts.
    with_atr : bool
        Whether the policy needs the ATR at the signal bar.

    Returns
    -------
    (Orders, int8 (N,))
        One order per decision and, per row, an index into ``VOIDS``. Void rows
        hold harmless numbers (the last bar, risk 1) and must not be simulated.

    Raises
    ------
    StrategyError
        When a decision points outside the bars or holds a number that cannot be
        a risk, stop, target or horizon.
    """
    n, count = len(decisions), len(bars)
    _check_range(decisions, count)
    entry = decisions.bar + 1
    void = np.zeros(n, dtype=np.int8)
    void[entry >= count] = VOIDS.index("no_next_bar")
    entry = np.minimum(entry, max(count - 1, 0))
    side = decisions.side.astype(np.float64)
    if decisions.risk is not None:
        risk = decisions.risk.copy()
    else:
        assert decisions.stop_price is not None
        _check_finite("stop_price", decisions.stop_price, decisions)
        risk = side * (bars.open[entry] - decisions.stop_price)
        void[(void == 0) & (risk <= 0)] = VOIDS.index("stop_beyond_open")
    _check_finite("risk", risk, decisions)
    smallest = (min_risk_ticks - _SLACK) * bars.instrument.tick_size
    void[(void == 0) & (risk < smallest)] = VOIDS.index("small_risk")
    risk[void != 0] = 1.0
    orders = Orders(
        entry_bar=np.ascontiguousarray(entry),
        side=decisions.side,
        risk=risk,
        target_r=_targets(decisions, default_rr),
        horizon_bars=_horizons(decisions, default_horizon),
        atr=_signal_atr(bars, decisions) if with_atr else np.full(n, np.nan),
        flat=flat,
    )
    return orders, void


def _check_range(decisions: Decisions, count: int) -> None:
    if len(decisions) == 0:
        return
    low, high = int(decisions.bar[0]), int(decisions.bar[-1])
    if low < 0 or high >= count:
        raise StrategyError(
            f"decisions.bar runs from {low} to {high}, but there are {count} bars",
            fix="use the index of the last known bar, from 0",
        )


def _check_finite(name: str, values: Float64, decisions: Decisions) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        row = int(bad[0])
        raise StrategyError(
            f"decisions.{name}[{row}] is {values[row]} (bar {int(decisions.bar[row])})",
            fix="leave out decisions during warm-up, where the stop is not known yet",
        )


def _targets(decisions: Decisions, default_rr: float) -> Float64:
    if decisions.target_r is None:
        return np.full(len(decisions), float(default_rr))
    bad = np.flatnonzero(~(decisions.target_r >= 1.0))
    if len(bad):
        row = int(bad[0])
        raise StrategyError(
            f"decisions.target_r[{row}] is {decisions.target_r[row]}, below 1",
            fix="give a target of at least 1 R; a nearer one only buys its hit rate with costs",
        )
    return decisions.target_r


def _horizons(decisions: Decisions, default_horizon: int) -> Int32:
    if decisions.horizon_bars is None:
        horizon = np.full(len(decisions), default_horizon, dtype=np.int32)
    else:
        horizon = decisions.horizon_bars
    bad = np.flatnonzero(horizon < 1)
    if len(bad):
        raise StrategyError(
            f"the horizon of decision {int(bad[0])} is {int(horizon[bad[0]])} bars",
            fix="a trade lasts at least one bar, its entry bar",
        )
    return horizon


def _signal_atr(bars: Bars, decisions: Decisions) -> Float64:
    atr = atr_wilder(bars.high, bars.low, bars.close, TRAIL_ATR_BARS)[decisions.bar]
    bad = np.flatnonzero(np.isnan(atr))
    if len(bad):
        row = int(bad[0])
        raise StrategyError(
            f"decision {row} is at bar {int(decisions.bar[row])}, where ATR({TRAIL_ATR_BARS}), "
            "which the exit policy needs, is not known yet",
            fix=f"make no decisions before bar {TRAIL_ATR_BARS - 1}",
        )
    return atr


def outcomes(
    bars: Bars,
    decisions: Decisions,
    policy: ExitPolicy,
    params: Params | None = None,
    *,
    horizon_bars: int,
    flat_at_session_end: bool = False,
    target_r: Float64 | None = None,
    horizon_max: int | None = None,
    roll_table: Int64 | None = None,
    slippage_ticks: float | None = None,
) -> Outcomes:
    """Judge every decision under one exit policy, costs included once.

    Parameters
    ----------
    bars : Bars
        The stream the decisions were made on.
    decisions : Decisions
        ``N`` rows.
    policy : ExitPolicy
        How trades end.
    params : mapping, optional
        Settings of the policy; its defaults fill in.
    horizon_bars : int
        The labeler's horizon, for rows that bring none.
    flat_at_session_end : bool
        Whether positions close with the scheduled end of the session.
    target_r : float64 (N,), optional
        Targets that replace the decisions' own (a predicted policy).
    horizon_max : int, optional
        Longest horizon any policy of the run allows; moves ``t_end_max`` only.
    roll_table : int64 (R,), optional
        Moments, microseconds UTC, from which a new contract is quoted; added
        to the changes of the contract column.
    slippage_ticks : float, optional
        Ticks lost per side; default the instrument table's.

    Returns
    -------
    Outcomes
        One row per decision, in the same order. ``t_end`` is the close of the
        exit bar, ``t_end_max`` the close of the last bar any policy could hold.
        ``mae_r`` is non-negative. A row with no next bar ends at its own bar.

    Raises
    ------
    StrategyError
        When decisions break their contract.
    ConfigError
        When a setting of the policy is unknown or out of range.
    """
    params = {} if params is None else params
    has_rr = any(param.name == "rr" for param in policy.params)
    if target_r is not None:
        decisions = replace(decisions, target_r=target_r)
    orders, void = prepare_orders(
        bars,
        decisions,
        default_rr=float(setting(policy, params, "rr")) if has_rr else 1.0,
        default_horizon=horizon_bars,
        flat=_flat_mask(bars) if flat_at_session_end else None,
        with_atr=policy.needs_atr,
    )
    live = np.flatnonzero(void == 0)
    fills = policy.simulate(bars, _take(orders, live), params)
    peak = _peak(bars, _take(orders, live), fills)
    void[live] = _later_voids(bars, decisions.bar[live], fills, roll_table)
    return _table(bars, decisions, orders, void, live, fills, peak, horizon_max, slippage_ticks)


def _flat_mask(bars: Bars) -> Bool:
    from ffm_core.bars.sessions import session_end_mask  # calendars load only when needed

    return session_end_mask(bars)


def _take(orders: Orders, rows: Int64) -> Orders:
    return Orders(
        entry_bar=orders.entry_bar[rows],
        side=orders.side[rows],
        risk=orders.risk[rows],
        target_r=orders.target_r[rows],
        horizon_bars=orders.horizon_bars[rows],
        atr=orders.atr[rows],
        flat=orders.flat,
    )


def _peak(bars: Bars, orders: Orders, fills: Fills) -> Float64:
    walked = peak_excursion(
        frozen(bars.open),
        frozen(bars.high),
        frozen(bars.low),
        next_flat(orders.flat),
        orders.entry_bar,
        orders.side,
        orders.risk,
        orders.horizon_bars,
    )
    return np.fmax(walked, fills.mfe_r)  # a target filled first on a tie was reached


def _later_voids(bars: Bars, bar: Int64, fills: Fills, roll_table: Int64 | None) -> Int8:
    void = np.zeros(len(bar), dtype=np.int8)
    void[fills.reason == DATA_END] = VOIDS.index("data_end")
    broken = holes(bars)
    void[broken[fills.exit_bar] > broken[bar]] = VOIDS.index("hole")
    rolled = bars.rolls_with(roll_table)
    void[rolled[fills.exit_bar] > rolled[bar]] = VOIDS.index("roll")
    void[fills.reason == SKIPPED] = VOIDS.index("tie_skipped")
    return void


def _table(
    bars: Bars,
    decisions: Decisions,
    orders: Orders,
    void: Int8,
    live: Int64,
    fills: Fills,
    peak: Float64,
    horizon_max: int | None,
    slippage_ticks: float | None,
) -> Outcomes:
    n = len(decisions)
    good = void[live] == 0

    def spread(values: Float64, *, keep_void: bool = False) -> Float64:
        out = np.full(n, np.nan)
        out[live] = values if keep_void else np.where(good, values, np.nan)
        return out

    exit_bar = decisions.bar.copy()
    exit_bar[live] = fills.exit_bar
    entry_bar = np.full(n, -1, dtype=np.int64)
    entry_bar[live] = fills.entry_bar
    reason = np.zeros(n, dtype=np.int8)
    reason[live] = fills.reason
    held = np.maximum(orders.horizon_bars, horizon_max or 0).astype(np.int64)
    last = np.minimum(decisions.bar + held, len(bars) - 1)
    last = np.maximum(last, exit_bar)
    risk = spread(orders.risk[live], keep_void=True)
    instrument = bars.instrument
    slippage = instrument.slippage_ticks if slippage_ticks is None else slippage_ticks
    return Outcomes(
        entry_bar=entry_bar,
        entry_price=spread(fills.entry_price, keep_void=True),
        risk=risk,
        target_r=orders.target_r,
        exit_bar=exit_bar,
        exit_price=spread(fills.exit_price, keep_void=True),
        r_gross=spread(fills.r_gross),
        cost_points=np.full(n, instrument.cost_points(0.0)),
        tick_size=np.full(n, instrument.tick_size),
        slippage_ticks=np.full(n, float(slippage)),
        peak_r=spread(peak),
        mfe_r=spread(fills.mfe_r),
        mae_r=spread(fills.mae_r),
        t_entry=bars.ts_us[orders.entry_bar],
        t_end=bars.ts_us[exit_bar] + bars.timeframe.us,
        t_end_max=bars.ts_us[last] + bars.timeframe.us,
        reason=reason,
        void_reason=void,
    )
