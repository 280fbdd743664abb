from __future__ import annotations

from helpers.evidence import broken, evidence, trades, world  # noqa: F401
