"""Bar length: parsing, naming and arithmetic."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ffm_core.errors import ConfigError

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_SPELLING = re.compile(r"^(\d+)\s*(s|min|m|h|d)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Timeframe:
    """Length of a bar.

    Parameters
    ----------
    seconds : int
        Positive number of seconds between two bar opens.
    """

    seconds: int

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise ConfigError(
                f"a timeframe must be positive, got {self.seconds} s",
                fix="write it like 5m, 30m, 1h or 1d",
            )

    @classmethod
    def parse(cls, text: str) -> Timeframe:
        """Read ``5m``, ``30min``, ``1h`` or ``1d``.

        Raises
        ------
        ConfigError
            When the text is no timeframe.
        """
        found = _SPELLING.match(text.strip())
        if found is None:
            raise ConfigError(f"{text!r} is not a timeframe", fix="write it like 5m, 30m, 1h or 1d")
        return cls(int(found[1]) * _UNITS[found[2].lower()])

    @property
    def name(self) -> str:
        """Shortest usual spelling: ``5m``, ``1h``, ``1d``."""
        for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
            if self.seconds % size == 0:
                return f"{self.seconds // size}{unit}"
        return f"{self.seconds}s"

    @property
    def us(self) -> int:
        """Length in microseconds."""
        return self.seconds * 1_000_000

    def __str__(self) -> str:
        return self.name
