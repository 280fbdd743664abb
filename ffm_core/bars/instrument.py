"""What a contract is worth: tick, money per point, costs, session.

The table of known contracts lives in :mod:`ffm_core.bars.instruments`; this
module only says what a row of it means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ffm_core.errors import ContractError

_COSTS = ("commission_per_side", "fees_per_side", "fee_rate_per_side", "slippage_ticks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One tradable contract or proxy.

    Parameters
    ----------
    symbol : str
        Upper-case root, for example ``ES``.
    tick_size : float
        Smallest price step, in points.
    point_value : float
        Money per 1.0 point and contract, in ``currency``.
    commission_per_side, fees_per_side : float
        Money per contract and side, in ``currency``.
    fee_rate_per_side : float
        Share of the traded price per side, beside that money: 0.0005 is 0.05 %.
    slippage_ticks : float
        Ticks lost per side in the headline result.
    calendar : str
        Calendar name of pandas_market_calendars, or ``24/7``.
    timezone : str
        IANA zone of the session columns.
    session_open, session_close : str
        ``HH:MM`` local; equal values mean around the clock. An open later than
        the close means the session starts on the evening before its date.
    rth_open, rth_close : str
        Regular trading hours, ``HH:MM`` local.
    rth_timezone : str
        IANA zone of the regular hours when it is not ``timezone``.
    months : str
        Month-code cycle, empty for instruments that do not roll.
    """

    symbol: str
    name: str
    exchange: str
    group: str
    tick_size: float
    point_value: float
    currency: str = "USD"
    commission_per_side: float = 0.0
    fees_per_side: float = 0.0
    fee_rate_per_side: float = 0.0
    slippage_ticks: float = 1.0
    months: str = ""
    calendar: str = "24/7"
    timezone: str = "America/New_York"
    session_open: str = "18:00"
    session_close: str = "17:00"
    rth_open: str = "09:30"
    rth_close: str = "16:00"
    kind: Literal["future", "proxy", "perpetual", "simulated"] = "future"
    source: str = ""
    rth_timezone: str = ""

    def __post_init__(self) -> None:
        fix = "correct the declaration of the instrument"
        for name in ("tick_size", "point_value"):
            if not 0 < getattr(self, name) < math.inf:
                raise ContractError(
                    f"{self.symbol}: {name} must be positive, got {getattr(self, name)!r}", fix=fix
                )
        for name in _COSTS:
            if not 0 <= getattr(self, name) < math.inf:
                raise ContractError(
                    f"{self.symbol}: {name} must be 0 or more, got {getattr(self, name)!r}",
                    fix=fix,
                )

    @property
    def tick_value(self) -> float:
        """Money per tick and contract, in ``currency``."""
        return self.tick_size * self.point_value

    @property
    def around_the_clock(self) -> bool:
        """Whether the instrument trades without sessions."""
        return self.session_open == self.session_close

    def ticks(self, points: float) -> int:
        """Return ``points`` as a whole number of ticks, rounded to nearest."""
        return round(points / self.tick_size)

    def cost_points(
        self, slippage_ticks: float | None = None, *, price: float | None = None
    ) -> float:
        """Cost of one round trip in points, charged once.

        Parameters
        ----------
        slippage_ticks : float, optional
            Ticks per side; default the instrument's own.
        price : float, optional
            At which both sides are traded; without it no share of a price is charged.

        Returns
        -------
        float
            ``2 · ((commission + fees) / point_value + rate · price + slippage · tick)``.
        """
        slip = self.slippage_ticks if slippage_ticks is None else slippage_ticks
        money = 2.0 * (self.commission_per_side + self.fees_per_side)
        share = 2.0 * self.fee_rate_per_side * (price or 0.0)
        return money / self.point_value + share + 2.0 * slip * self.tick_size

    def money(self, points: float, contracts: float = 1.0) -> float:
        """Return ``points`` of one contract in ``currency``."""
        return points * self.point_value * contracts
