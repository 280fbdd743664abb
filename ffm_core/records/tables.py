"""What records made of columns have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Self, cast

import numpy as np

from ffm_core.types import Bool, Int64


class ArrayTable:
    """A frozen dataclass whose fields are arrays of one length."""

    __slots__ = ()

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Return the names of the fields, in order."""
        return tuple(field.name for field in fields(cast("Any", cls)))

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return every column by name."""
        return {name: getattr(self, name) for name in self.columns()}

    def take(self, rows: Int64 | Bool) -> Self:
        """Return the chosen rows, in the order given."""
        return type(self)(**{name: values[rows] for name, values in self.arrays().items()})

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of all parts, one after the other; at least one part."""
        return cls(
            **{name: np.concatenate([getattr(p, name) for p in parts]) for name in cls.columns()}
        )


__all__ = ["ArrayTable"]
