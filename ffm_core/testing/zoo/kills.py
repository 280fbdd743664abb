"""Which detectors find which fault when they run alone, as measured on the zoo's bars."""

from __future__ import annotations

from collections.abc import Mapping

KILLS: Mapping[str, tuple[str, ...]] = {}
