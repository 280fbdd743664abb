from __future__ import annotations

from helpers.barrier_by_hand import walk_of  # noqa: F401
from helpers.evidence import evidence, trades, world  # noqa: F401
from helpers.label_bars import es, free, make_bars, torn  # noqa: F401
