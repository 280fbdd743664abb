"""From decisions to outcomes: entries, fills, voids, costs.

A void row is counted, never trained on and never traded; its R columns are NaN.
The reasons, in the order in which they are given when several apply: no next
bar, stop beyond the entry open, risk too small, both levels in one bar under the
tie policy ``skip``, a roll between the signal bar and the exit bar, a contract
without a name or a hole in the data there, an entry or exit on a bar without
volume where the file has volumes, the data's end before the trade's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ffm_core.bars.primitives import frozen
from ffm_core.bars.sessions import holes
from ffm_core.bars.table import Bars
from ffm_core.labels.entries import Entries, entries_of
from ffm_core.labels.exits import exit_columns, fill
from ffm_core.labels.kernels import Walked, peak_excursion
from ffm_core.labels.step import DATA_END, ORDERED, SKIPPED, STOP_GAP, TARGET_GAP, TRAIL
from ffm_core.records import VOIDS, Decisions, ExitPolicy, Outcomes, Params
from ffm_core.types import Bool, Float64, Int8, Int64


def outcomes(
    bars: Bars,
    decisions: Decisions,
    policy: ExitPolicy,
    params: Params | None = None,
    *,
    horizon_bars: int,
    flat_at_session_end: bool = False,
    target_r: Float64 | None = None,
    columns: Float64 | None = None,
    broken: Int64 | None = None,
    horizon_max: int | None = None,
    roll_table: Int64 | None = None,
    slippage_ticks: float | None = None,
    tie: str | None = None,
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
    columns : float64 (T, K), optional
        The policy's columns on these bars, where they are known already.
    broken : int64 (T,), optional
        Holes up to each bar, where they are known already; see
        :func:`~ffm_core.bars.sessions.holes`.
    horizon_max : int, optional
        Longest horizon any policy of the run allows; moves ``t_end_max`` only.
    roll_table : int64 (R,), optional
        Moments, microseconds UTC, from which a new contract is quoted; added
        to the changes of the contract column.
    slippage_ticks : float, optional
        Ticks lost per side; default the instrument table's.
    tie : str, optional
        Who wins when one bar touches stop and target, instead of what the policy says.

    Returns
    -------
    Outcomes
        One row per decision, in the same order. ``t_exit`` is the time of the fill:
        the open of the exit bar for a gap or an ordered exit, else its close. ``t_end``
        is the close of the exit bar, ``t_end_max`` the close of the last bar any policy could hold.
        ``mae_r`` is non-negative. A row with no next bar ends at its own bar.

    Raises
    ------
    StrategyError
        When decisions break their contract.
    ConfigError
        When a setting of the policy is unknown or out of range.
    """
    params = {} if params is None else params
    if target_r is not None:
        decisions = replace(decisions, target_r=target_r)
    entries, void = entries_of(
        bars, decisions, policy, params, horizon_bars=horizon_bars,
        flat_at_session_end=flat_at_session_end,
    )  # fmt: skip
    if columns is None:
        columns = exit_columns(policy, bars, params)
    live = np.flatnonzero(void == 0)
    chosen = entries.take(live)
    walked = fill(bars, chosen, policy, params, columns, tie)
    peak = _peak(bars, chosen, walked)
    void[live] = _later_voids(bars, decisions.bar[live], walked, roll_table, broken)
    return _table(bars, decisions, entries, void, live, walked, peak, horizon_max, slippage_ticks)


def _peak(bars: Bars, entries: Entries, walked: Walked) -> Float64:
    peak = peak_excursion(
        frozen(bars.open), frozen(bars.high), frozen(bars.low), entries.flat_at, entries.bar,
        entries.side, entries.stop, entries.risk, entries.horizon_bars,
    )  # fmt: skip
    return np.fmax(peak, walked.best)  # a target filled first on a tie was reached


def _later_voids(
    bars: Bars, bar: Int64, walked: Walked, roll_table: Int64 | None, broken: Int64 | None
) -> Int8:
    void = np.zeros(len(bar), dtype=np.int8)
    void[walked.reason == DATA_END] = VOIDS.index("data_end")
    idle = bars.volume <= 0
    if not idle.all():
        void[idle[np.minimum(bar + 1, len(bars) - 1)] | idle[walked.exit_bar]] = VOIDS.index(
            "no_volume"
        )
    broken = holes(bars) if broken is None else broken
    void[broken[walked.exit_bar] > broken[bar]] = VOIDS.index("hole")
    rolled = bars.rolls_with(roll_table)
    void[rolled[walked.exit_bar] > rolled[bar]] = VOIDS.index("roll")
    nameless = np.cumsum(bars.unnamed)
    touched = nameless[walked.exit_bar] - nameless[bar] + bars.unnamed[bar]
    void[touched > 0] = VOIDS.index("contract_unknown")
    void[walked.reason == SKIPPED] = VOIDS.index("tie_skipped")
    return void


def _filled_at_open(bars: Bars, walked: Walked) -> Bool:
    """Mark fills at a bar's open; one inside the bar is stamped with its close."""
    gapped = np.isin(walked.reason, (STOP_GAP, TARGET_GAP, ORDERED))
    opened = walked.exit_price == bars.open[walked.exit_bar]
    return np.asarray(gapped | ((walked.reason == TRAIL) & opened))


def _gross(entries: Entries, walked: Walked) -> Float64:
    return entries.side * (walked.exit_price - entries.price) / entries.risk + 0.0  # no −0


def _table(
    bars: Bars,
    decisions: Decisions,
    entries: Entries,
    void: Int8,
    live: Int64,
    walked: Walked,
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
    exit_bar[live] = walked.exit_bar
    entry_bar = np.full(n, -1, dtype=np.int64)
    entry_bar[live] = entries.bar[live]
    reason = np.zeros(n, dtype=np.int8)
    reason[live] = walked.reason
    at_open = np.zeros(n, dtype=np.bool_)
    at_open[live] = _filled_at_open(bars, walked)
    held = np.maximum(entries.horizon_bars, horizon_max or 0).astype(np.int64)
    last = np.minimum(decisions.bar + held, len(bars) - 1)
    last = np.maximum(last, exit_bar)
    risk = spread(entries.risk[live], keep_void=True)
    instrument = bars.instrument
    traded = np.zeros(n)  # both fills, points
    traded[live] = entries.price[live] + walked.exit_price
    slippage = instrument.slippage_ticks if slippage_ticks is None else slippage_ticks
    return Outcomes(
        entry_bar=entry_bar,
        entry_price=spread(entries.price[live], keep_void=True),
        risk=risk,
        target_r=entries.target_r,
        exit_bar=exit_bar,
        exit_price=spread(walked.exit_price, keep_void=True),
        r_gross=spread(_gross(entries.take(live), walked)),
        cost_points=instrument.cost_points(0.0) + instrument.fee_rate_per_side * traded,
        tick_size=np.full(n, instrument.tick_size),
        slippage_ticks=np.full(n, float(slippage)),
        peak_r=spread(peak),
        mfe_r=spread(walked.best),
        mae_r=spread(walked.worst),
        t_entry=bars.ts_us[entries.bar],
        t_exit=bars.ts_us[exit_bar] + np.where(at_open, 0, bars.timeframe.us),
        t_end=bars.ts_us[exit_bar] + bars.timeframe.us,
        t_end_max=bars.ts_us[last] + bars.timeframe.us,
        reason=reason,
        void_reason=void,
    )
