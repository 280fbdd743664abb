"""Exit policies the core offers: fixed RR, dynamic target, ATR trail."""

from __future__ import annotations

from functools import partial

import numpy as np

from ffm_core.bars.primitives import frozen
from ffm_core.bars.table import Bars
from ffm_core.errors import ConfigError
from ffm_core.labels.kernels import Walked, fill_barriers, fill_trail, next_flat
from ffm_core.labels.step import TIES
from ffm_core.records import ExitPolicy, Fills, Orders, Param, Params, ParamValue
from ffm_core.types import Float64

_FILL_PARAMS = (
    Param(
        name="tie",
        default="stop_first",
        choices=TIES,
        description="who wins when one bar touches stop and target; skip voids the row",
    ),
    Param(
        name="target_gap",
        default="open",
        choices=("open", "target"),
        description="fill of a bar that opens beyond the target",
    ),
)
_RR = Param(name="rr", default=3.0, minimum=1.0, description="target as a multiple of risk")
_FRACTION = Param(
    name="fraction",
    default=0.8,
    minimum=0.0,
    description="share of the predicted peak excursion taken as target",
)
_FLOOR = Param(name="floor_r", default=1.5, minimum=1.0, description="smallest target, R")
_CAP = Param(name="cap_r", default=8.0, minimum=1.0, description="largest target, R")
_TRAIL_K = Param(
    name="trail_atr", default=2.0, minimum=0.0, description="distance of the trail, ATR at signal"
)
_ACTIVATE = Param(
    name="activate_r", default=1.0, minimum=0.0, description="excursion that arms the trail, R"
)
TRAIL_ATR_BARS = 14  # the ATR of ``Orders.atr``


def setting(policy: ExitPolicy, params: Params, name: str) -> ParamValue:
    """Return a parameter of ``policy``: the given value, else its default.

    Raises
    ------
    ConfigError
        When the policy declares no such parameter, or the value is outside it.
    """
    for param in policy.params:
        if param.name == name:
            return _checked(policy.name, param, params.get(name, param.default))
    raise ConfigError(f"exit policy {policy.name!r} has no parameter {name!r}")


def _checked(owner: str, param: Param, value: ParamValue) -> ParamValue:
    if param.choices and value not in param.choices:
        raise ConfigError(
            f"{owner}.{param.name} is {value!r}", fix=f"use one of {', '.join(param.choices)}"
        )
    if isinstance(param.default, float):
        number = float(value)
        low = -np.inf if param.minimum is None else param.minimum
        high = np.inf if param.maximum is None else param.maximum
        if not low <= number <= high:
            raise ConfigError(
                f"{owner}.{param.name} is {number:g}", fix=f"use a value from {low:g} to {high:g}"
            )
        return number
    return value


def _fills(bars: Bars, orders: Orders, walked: Walked) -> Fills:
    exit_bar, exit_price, reason, best, worst = walked
    entry = bars.open[orders.entry_bar]
    return Fills(
        entry_bar=orders.entry_bar,
        entry_price=entry,
        exit_bar=exit_bar,
        exit_price=exit_price,
        reason=reason,
        mfe_r=best,
        mae_r=worst,
        r_gross=orders.side * (exit_price - entry) / orders.risk + 0.0,  # no −0
    )


def _prices(bars: Bars) -> tuple[Float64, Float64, Float64, Float64]:
    return frozen(bars.open), frozen(bars.high), frozen(bars.low), frozen(bars.close)


def _simulate_barriers(name: str, bars: Bars, orders: Orders, params: Params) -> Fills:
    policy = _BY_NAME[name]
    walked = fill_barriers(
        *_prices(bars),
        next_flat(orders.flat),
        orders.entry_bar,
        orders.side,
        orders.risk,
        orders.target_r,
        orders.horizon_bars,
        TIES.index(str(setting(policy, params, "tie"))),
        setting(policy, params, "target_gap") == "open",
    )
    return _fills(bars, orders, walked)


def _simulate_trail(bars: Bars, orders: Orders, params: Params) -> Fills:
    distance = float(setting(ATR_TRAIL, params, "trail_atr")) * orders.atr
    walked = fill_trail(
        *_prices(bars),
        next_flat(orders.flat),
        orders.entry_bar,
        orders.side,
        orders.risk,
        distance,
        orders.horizon_bars,
        float(setting(ATR_TRAIL, params, "activate_r")),
    )
    return _fills(bars, orders, walked)


def _dynamic_target(predicted_r: Float64, params: Params) -> Float64:
    fraction = float(setting(DYNAMIC_TARGET, params, "fraction"))
    floor = float(setting(DYNAMIC_TARGET, params, "floor_r"))
    cap = float(setting(DYNAMIC_TARGET, params, "cap_r"))
    return np.clip(fraction * predicted_r, floor, cap)


FIXED_RR = ExitPolicy(
    name="fixed_rr",
    kind="static",
    simulate=partial(_simulate_barriers, "fixed_rr"),
    params=(_RR, *_FILL_PARAMS),
    summary="Stop at 1 R, target at a fixed multiple of the risk.",
)
DYNAMIC_TARGET = ExitPolicy(
    name="dynamic_target",
    kind="predicted",
    simulate=partial(_simulate_barriers, "dynamic_target"),
    params=(_FRACTION, _FLOOR, _CAP, *_FILL_PARAMS),
    target_of=_dynamic_target,
    summary="Stop at 1 R, target from the predicted peak excursion.",
)
ATR_TRAIL = ExitPolicy(
    name="atr_trail",
    kind="managed",
    simulate=_simulate_trail,
    params=(_TRAIL_K, _ACTIVATE),
    needs_atr=True,
    summary="Stop at 1 R, then a trail behind the best price.",
)
EXIT_POLICIES = (FIXED_RR, DYNAMIC_TARGET, ATR_TRAIL)
_BY_NAME = {policy.name: policy for policy in EXIT_POLICIES}
