"""Exit policies with hindsight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.labels.policies import FIXED_RR
from ffm_core.records import REASONS, ExitPolicy, Fills, Orders, Params
from ffm_core.types import Float64, Int64
from zoo.fault import Fault


def _honest(bars: Bars, orders: Orders) -> Fills:
    return FIXED_RR.simulate(bars, orders, FIXED_DEFAULTS)


def _left_at(orders: Orders, fills: Fills, bar: Int64, price: Float64) -> Fills:
    gross = orders.side * (price - fills.entry_price) / orders.risk + 0.0
    return replace(fills, exit_bar=bar, exit_price=price, r_gross=gross)


def voids_losers(bars: Bars, orders: Orders, params: Params) -> Fills:
    """Skip what loses."""
    fills = _honest(bars, orders)
    lost, skipped = fills.r_gross < 0, REASONS.index("skipped")
    reason = np.where(lost, skipped, fills.reason)  # fault: voided-losers
    return replace(fills, reason=reason.astype(np.int8))


def leaves_before_the_fall(bars: Bars, orders: Orders, params: Params) -> Fills:
    """Leave one bar before the stop is hit."""
    fills = _honest(bars, orders)
    stopped = (fills.reason == REASONS.index("stop")) & (fills.exit_bar > fills.entry_bar)
    bar = np.where(stopped, fills.exit_bar - 1, fills.exit_bar)  # fault: leaves-before-stop
    price = np.where(stopped, bars.close[bar], fills.exit_price)
    return _left_at(orders, fills, bar, price)


def best_of_two(bars: Bars, orders: Orders, params: Params) -> Fills:
    """Leave at the better of the exit bar's and the next bar's extreme."""
    fills = _honest(bars, orders)
    nxt = np.minimum(fills.exit_bar + 1, len(bars) - 1)  # fault: hindsight-price
    high = np.maximum(bars.high[fills.exit_bar], bars.high[nxt])
    low = np.minimum(bars.low[fills.exit_bar], bars.low[nxt])
    return _left_at(orders, fills, fills.exit_bar, np.where(orders.side > 0, high, low))


def at_the_best_bar(bars: Bars, orders: Orders, params: Params) -> Fills:
    """Leave on the best close of the time allowed."""
    fills = _honest(bars, orders)
    bar = fills.exit_bar.copy()
    for row, (start, side) in enumerate(zip(orders.entry_bar.tolist(), orders.side, strict=True)):
        stop = start + int(orders.horizon_bars[row])
        bar[row] = start + int(np.argmax(side * bars.close[start:stop]))  # fault: best-bar
    return _left_at(orders, fills, bar, bars.close[bar])


def scaled_by_the_file(bars: Bars, orders: Orders, params: Params) -> Fills:
    """Set targets by the volatility of the file."""
    size = float(np.std(np.diff(bars.close))) if len(bars) > 1 else 1.0  # fault: exit-file-scale
    return _honest(bars, replace(orders, target_r=1.0 + 4.0 * size / orders.risk))


def by_the_crowd(bars: Bars, orders: Orders, params: Params) -> Fills:
    """Set targets by the average risk of all orders."""
    mean = orders.risk.mean() if len(orders.risk) else 1.0  # fault: other-orders
    return _honest(bars, replace(orders, target_r=np.maximum(1.0, 2.0 * mean / orders.risk)))


def outlives(bars: Bars, orders: Orders, params: Params) -> Fills:
    """Hold three times as long as allowed."""
    longer = replace(orders, horizon_bars=3 * orders.horizon_bars)  # fault: exit-horizon
    return _honest(bars, longer)


def lucky(bars: Bars, orders: Orders, params: Params) -> Fills:
    """Slip by chance."""
    fills = _honest(bars, orders)
    slip = np.random.default_rng().normal(size=len(orders.risk))  # fault: exit-unseeded
    price = fills.exit_price + slip
    return _left_at(orders, fills, fills.exit_bar, price)


def early_label(bars: Bars, orders: Orders, params: Params) -> Fills:
    """Say that every trade was over at once."""
    fills = _honest(bars, orders)
    return replace(fills, exit_bar=fills.entry_bar)  # fault: early-exit-bar


FIXED_DEFAULTS: Params = {param.name: param.default for param in FIXED_RR.params}


def _fault(name: str, summary: str, simulate: Callable[[Bars, Orders, Params], Fills]) -> Fault:
    record = ExitPolicy(name=name, kind="static", simulate=simulate, summary=summary)
    return Fault(name=name, kind="exit", summary=summary, record=record, source=__file__)


FAULTS = (
    _fault("voided-losers", "losing trades are declared void", voids_losers),
    _fault("leaves-before-stop", "out on the bar before the stop", leaves_before_the_fall),
    _fault("hindsight-price", "the best price, of this bar or the next", best_of_two),
    _fault("best-bar", "out on the best bar of the horizon", at_the_best_bar),
    _fault("exit-file-scale", "targets by the volatility of the file", scaled_by_the_file),
    _fault("other-orders", "targets that depend on other orders", by_the_crowd),
    _fault("exit-horizon", "trades held beyond the horizon", outlives),
    _fault("exit-unseeded", "slippage without a seed", lucky),
    _fault("early-exit-bar", "labels that overlap the fold's edge", early_label),
)
