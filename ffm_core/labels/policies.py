"""Exit policies the core offers: fixed RR, dynamic target, session end, two trails."""

from __future__ import annotations

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.errors import ConfigError
from ffm_core.labels.step import TIES
from ffm_core.labels.trails import RS_COLUMNS, atr_trail, rs_columns, rs_trail
from ffm_core.records import ExitPolicy, Param, Params, ParamValue
from ffm_core.types import Float64, Int64

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
_RS = (
    Param(
        name="stop_rs", default=3.0, minimum=0.0,
        description="the stop lies at most this far from the entry, RS volatility at signal",
    ),
    Param(
        name="activate_rs", default=0.5, minimum=0.0,
        description="excursion that arms the trail, RS volatility at signal",
    ),
    Param(
        name="trail_rs", default=0.5, minimum=0.0,
        description="distance of the trail from the best price, RS volatility now",
    ),
    Param(
        name="swing_rs", default=0.1, minimum=0.0,
        description="room beyond the last confirmed swing, RS volatility now",
    ),
)  # fmt: skip


def setting(policy: ExitPolicy, params: Params, name: str) -> ParamValue:
    """Return a parameter of ``policy``: the given value, else its default.

    Raises
    ------
    ConfigError
        When the policy declares no such parameter, or the value is outside it.
    """
    for param in policy.params:
        if param.name == name:
            return param.checked(params.get(name, param.default), policy.name)
    raise ConfigError(f"exit policy {policy.name!r} has no parameter {name!r}")


def _dynamic_target(predicted_r: Float64, params: Params) -> Float64:
    fraction = float(setting(DYNAMIC_TARGET, params, "fraction"))
    floor = float(setting(DYNAMIC_TARGET, params, "floor_r"))
    cap = float(setting(DYNAMIC_TARGET, params, "cap_r"))
    return np.clip(fraction * predicted_r, floor, cap)


def _constants(policy: ExitPolicy, params: Params) -> tuple[Float64, Int64, Float64]:
    """Return a step's first state, three numbers and one flag, and its settings in order."""
    k = np.array([float(setting(policy, params, param.name)) for param in policy.params])
    return np.zeros(3), np.zeros(1, dtype=np.int64), k


def _start_atr_trail(params: Params) -> tuple[Float64, Int64, Float64]:
    return _constants(ATR_TRAIL, params)


def _start_rs_trail(params: Params) -> tuple[Float64, Int64, Float64]:
    return _constants(RS_TRAIL, params)


def _rs_batch(bars: Bars, params: Params) -> Float64:
    return rs_columns(bars)


FIXED_RR = ExitPolicy(
    name="fixed_rr",
    kind="static",
    params=(_RR, *_FILL_PARAMS),
    summary="Stop at 1 R, target at a fixed multiple of the risk.",
)
DYNAMIC_TARGET = ExitPolicy(
    name="dynamic_target",
    kind="predicted",
    params=(_FRACTION, _FLOOR, _CAP, *_FILL_PARAMS),
    target_of=_dynamic_target,
    summary="Stop at 1 R, target from the predicted peak excursion.",
)
SESSION_END = ExitPolicy(
    name="session_end",
    kind="static",
    summary="Stop at 1 R, no target; out with the scheduled end of the session.",
    flat_at_session_end=True,
)
ATR_TRAIL = ExitPolicy(
    name="atr_trail",
    kind="managed",
    params=(_TRAIL_K, _ACTIVATE),
    step=atr_trail,
    start=_start_atr_trail,
    needs_atr=True,
    summary="Stop at 1 R, then a trail behind the best price.",
)
RS_TRAIL = ExitPolicy(
    name="rs_trail",
    kind="managed",
    params=_RS,
    columns=RS_COLUMNS,
    batch=_rs_batch,
    step=rs_trail,
    start=_start_rs_trail,
    summary="A trail in Rogers-Satchell volatility, or the last swing where that is tighter.",
)
EXIT_POLICIES = (FIXED_RR, DYNAMIC_TARGET, SESSION_END, ATR_TRAIL, RS_TRAIL)
