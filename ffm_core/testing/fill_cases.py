"""The fill rules as ten small trades with their answers.

Whoever fills orders (a walk over arrays, an environment, a broker) must give these
answers; ``docs/reference/fill-rules.md`` shows the same table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

NAN = float("nan")
Prices: TypeAlias = tuple[float, float, float, float]  # open, high, low, close
Ordered: TypeAlias = tuple[float, float, bool]  # stop, target (NaN: unchanged), leave


@dataclass(frozen=True, slots=True, kw_only=True)
class FillCase:
    """One trade: a long or short entered at the open of the first bar.

    Parameters
    ----------
    name : str
        What the case shows.
    rule : str
        The rule in one sentence.
    bars : tuple of (open, high, low, close)
        From the entry bar on.
    side : int
        +1 long, -1 short.
    stop, target : float
        Levels at entry; the target may be infinite.
    orders : dict of int to (stop, target, leave)
        What is ordered at the close of a bar, by its index in ``bars``.
    horizon_bars : int
        Bars the trade may last, the entry bar among them.
    session_end : int, optional
        Index of the bar that ends the session; None when positions may be held.
    exit_bar, exit_price, reason : int, float, str
        The answer. ``reason`` is one of :data:`ffm_core.records.REASONS`.
    """

    name: str
    rule: str
    bars: tuple[Prices, ...]
    exit_bar: int
    exit_price: float
    reason: str
    side: int = 1
    stop: float = 98.0
    target: float = 104.0
    orders: dict[int, Ordered] = field(default_factory=dict)
    horizon_bars: int = 10
    session_end: int | None = None

    @property
    def r(self) -> float:
        """Gross result as a multiple of the risk."""
        entry = self.bars[0][0]
        return self.side * (self.exit_price - entry) / abs(entry - self.stop)


_QUIET: Prices = (100.0, 101.0, 99.5, 100.5)

FILL_CASES = (
    FillCase(
        name="tie",
        rule="One bar touches stop and target: the stop counts.",
        bars=(_QUIET, (100.5, 104.5, 97.5, 103.0)),
        exit_bar=1, exit_price=98.0, reason="stop",
    ),
    FillCase(
        name="gap beyond the stop",
        rule="A bar that opens beyond the stop fills at its open.",
        bars=(_QUIET, (96.5, 97.0, 96.0, 96.75)),
        exit_bar=1, exit_price=96.5, reason="stop_gap",
    ),
    FillCase(
        name="gap beyond the target",
        rule="A bar that opens beyond the target fills at its open.",
        bars=(_QUIET, (105.0, 105.5, 104.5, 105.0)),
        exit_bar=1, exit_price=105.0, reason="target_gap",
    ),
    FillCase(
        name="entry bar",
        rule="The entry bar counts like any other.",
        bars=((100.0, 100.5, 97.75, 100.25), _QUIET),
        exit_bar=0, exit_price=98.0, reason="stop",
    ),
    FillCase(
        name="trail on the bar of its high",
        rule="A stop moved at a close holds from the next open, not on the bar that moved it.",
        bars=((100.0, 103.0, 99.75, 102.5), (102.5, 103.0, 101.75, 102.75)),
        orders={0: (102.0, NAN, False)},
        exit_bar=1, exit_price=102.0, reason="trail",
    ),
    FillCase(
        name="break-even",
        rule="A moved stop never loosens: the order to put it back is not obeyed.",
        bars=((100.0, 102.5, 99.75, 102.0), (102.0, 102.5, 101.0, 101.5),
              (101.5, 102.0, 99.0, 99.5)),
        orders={0: (100.0, NAN, False), 1: (98.5, NAN, False)},
        exit_bar=2, exit_price=100.0, reason="trail",
    ),
    FillCase(
        name="ordered exit",
        rule="An exit ordered at a close fills at the next open.",
        bars=(_QUIET, (100.75, 104.5, 97.5, 103.0)),
        orders={0: (NAN, NAN, True)},
        exit_bar=1, exit_price=100.75, reason="ordered",
    ),
    FillCase(
        name="session end",
        rule="The scheduled end of the session closes at the close, after stop and target.",
        side=-1, stop=102.0, target=96.0,
        bars=(_QUIET, (100.5, 101.5, 99.0, 99.25), _QUIET),
        session_end=1,
        exit_bar=1, exit_price=99.25, reason="session_end",
    ),
    FillCase(
        name="horizon",
        rule="The horizon counts the entry bar and closes at the close of its last bar.",
        bars=(_QUIET, (100.5, 101.0, 100.0, 100.75), _QUIET),
        horizon_bars=2,
        exit_bar=1, exit_price=100.75, reason="timeout",
    ),
    FillCase(
        name="data end",
        rule="Where the data end first, the trade is counted and not judged.",
        bars=(_QUIET, (100.5, 101.0, 100.0, 100.25)),
        exit_bar=1, exit_price=100.25, reason="data_end",
    ),
)  # fmt: skip

__all__ = ["FILL_CASES", "FillCase"]
