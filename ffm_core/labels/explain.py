"""The arithmetic of one label, in lines a trader can follow with a calculator."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.errors import UsageError
from ffm_core.labels.kernels import on_ticks
from ffm_core.labels.policies import setting
from ffm_core.labels.step import rules_on
from ffm_core.records import REASONS, VOIDS, Decisions, ExitPolicy, Outcomes, Params

_SHOWN = 3  # bars printed before the walk is cut short
_WHY_VOID = {
    "no_next_bar": "there is no bar after the signal to enter at",
    "data_end": "the data stop before the trade does",
    "roll": "the contract rolls between signal and exit, so the prices are of two contracts",
    "hole": "a session's length of scheduled time is missing between signal and exit",
    "small_risk": "the stop is nearer than four ticks",
    "stop_beyond_open": "the entry opens beyond the stop",
    "tie_skipped": "one bar touches stop and target, and the tie policy leaves it out",
}
_WHY_EXIT = {
    "stop": "the bar touches the stop",
    "stop_gap": "the bar opens beyond the stop and fills there",
    "target": "the bar reaches the target first",
    "target_gap": "the bar opens beyond the target",
    "timeout": "the horizon ends; closed at the bar's close",
    "session_end": "the session ends; closed at the bar's close",
    "trail": "the bar reaches the stop that followed the best price",
    "data_end": "the data end; closed at the last close",
    "ordered": "the exit policy ordered to leave; filled at the open",
    "skipped": "the bar touches stop and target; left out",
}


def explain(
    bars: Bars,
    decisions: Decisions,
    outcomes: Outcomes,
    row: int,
    policy: ExitPolicy,
    params: Params | None = None,
) -> list[str]:
    """Return the arithmetic of one decision's label, one step per line.

    Parameters
    ----------
    bars, decisions, outcomes
        The stream, its decisions and what became of them.
    row : int
        Row of ``decisions``.
    policy, params
        The exit policy ``outcomes`` were made with, and its settings.

    Returns
    -------
    list of str
        Signal, entry, risk, levels, bars walked, gross, costs and net, or as
        many of these as a void row has, and why it is void.

    Raises
    ------
    UsageError
        When there is no such row.
    """
    if not 0 <= row < len(decisions):
        raise UsageError(
            f"there is no decision {row} on {bars.stream}",
            fix=f"choose one from 0 to {len(decisions) - 1}",
        )
    lines = [_signal(bars, decisions, row)]
    void = VOIDS[outcomes.void_reason[row]]
    if int(outcomes.entry_bar[row]) >= 0:
        lines += _levels(bars, decisions, outcomes, row, policy, params or {})
        lines += _walk(bars, outcomes, row)
        if void == "none":
            lines += _result(bars, decisions, outcomes, row)
    elif void in ("small_risk", "stop_beyond_open"):
        lines.append(_refused(bars, decisions, row))
    if void != "none":
        lines.append(f"void     {void}: {_WHY_VOID[void]}; counted, not traded")
    return lines


def _stamp(bars: Bars, bar: int) -> str:
    moment = datetime.fromtimestamp(int(bars.ts_us[bar]) / 1e6, tz=UTC)
    return moment.strftime("%Y-%m-%d %H:%MZ")


def _signal(bars: Bars, decisions: Decisions, row: int) -> str:
    bar = int(decisions.bar[row])
    side = "long" if decisions.side[row] > 0 else "short"
    return (
        f"signal   {side}, known at the close of bar {bar} ({bars.stream}, "
        f"opened {_stamp(bars, bar)}), close {bars.close[bar]:.10g}"
    )


def _refused(bars: Bars, decisions: Decisions, row: int) -> str:
    bar = int(decisions.bar[row]) + 1
    if decisions.stop_price is not None:
        stop = f"stop at {decisions.stop_price[row]:.10g}"
    else:
        assert decisions.risk is not None
        stop = f"risk {decisions.risk[row]:.10g} points"
    return (
        f"entry    bar {bar} would open at {bars.open[bar]:.10g}; {stop}, "
        f"tick {bars.instrument.tick_size:g}"
    )


def _levels(
    bars: Bars, decisions: Decisions, table: Outcomes, row: int, policy: ExitPolicy, params: Params
) -> list[str]:
    bar, entry, risk = int(table.entry_bar[row]), table.entry_price[row], table.risk[row]
    side = int(decisions.side[row])
    sign, against = ("+", "−") if side > 0 else ("−", "+")
    ticks = risk / bars.instrument.tick_size
    lines = [
        f"entry    open of bar {bar} ({_stamp(bars, bar)}) = {entry:.6f}",
        f"risk     {risk:.6f} points = {ticks:.1f} ticks",
        f"stop     {entry:.6f} {against} {risk:.6f} = {entry - side * risk:.6f}",
    ]
    if policy.batch is not None or not (policy.declares("rr") or policy.kind == "predicted"):
        pairs = [f" {p.name} {setting(policy, params, p.name)}" for p in policy.params]
        lines.append(f"exit     {policy.name}:{','.join(pairs)}; no fixed target")
    else:
        multiple = table.target_r[row]
        target = entry + side * multiple * risk
        lines.append(f"target   {entry:.6f} {sign} {multiple:g} × {risk:.6f} = {target:.6f}")
        rules = rules_on(bars.instrument.tick_size)
        placed = float(on_ticks(np.array([target]), np.array([side > 0]), rules)[0])
        if placed != target:
            lines.append(f"         {placed:.6f}, the first tick at or beyond it")
    return lines


def _walk(bars: Bars, table: Outcomes, row: int) -> list[str]:
    first, last = int(table.entry_bar[row]), int(table.exit_bar[row])
    shown = [*range(first, min(first + _SHOWN, last))]
    lines = [_bar_line(bars, bar) for bar in shown]
    left_out = last - first - len(shown)
    if left_out:
        lines.append(f"         … {left_out} bars that touch neither level")
    reason = REASONS[table.reason[row]]
    lines.append(_bar_line(bars, last) + f" ← {reason}: {_WHY_EXIT[reason]}")
    return lines


def _bar_line(bars: Bars, bar: int) -> str:
    return (
        f"bar      {bar} {_stamp(bars, bar)} O {bars.open[bar]:.10g} H {bars.high[bar]:.10g} "
        f"L {bars.low[bar]:.10g} C {bars.close[bar]:.10g}"
    )


def _result(bars: Bars, decisions: Decisions, table: Outcomes, row: int) -> list[str]:
    instrument = bars.instrument
    entry, price, risk = table.entry_price[row], table.exit_price[row], table.risk[row]
    parts = (price, entry) if decisions.side[row] > 0 else (entry, price)
    commission = 2.0 * instrument.commission_per_side
    fees = 2.0 * instrument.fees_per_side
    ticks, tick = float(table.slippage_ticks[row]), float(table.tick_size[row])
    slippage = 2.0 * ticks * tick
    fixed = float(table.cost_points[row])
    points = fixed + slippage
    money = f"commission {commission:.2f} + fees {fees:.2f} {instrument.currency} a round trip"
    slip = f"slippage 2 × {ticks:g} ticks × {tick:g}"
    return [
        f"gross    ({parts[0]:.6f} − {parts[1]:.6f}) / {risk:.6f} = {table.r_gross[row]:+.6f} R",
        f"costs    {money} / {instrument.point_value:g} per point = {fixed:.6f} points",
        f"         {slip} = {slippage:.6f} points",
        f"         {points:.6f} / {risk:.6f} = {points / risk:.6f} R",
        f"net      {table.r_gross[row]:+.6f} − {points / risk:.6f} = {table.r_net[row]:+.6f} R",
        f"label    {int(table.label[row])} (net above zero is 1)",
        f"peak     {table.peak_r[row]:.6f} R, the best before the stop if there were no target",
    ]
