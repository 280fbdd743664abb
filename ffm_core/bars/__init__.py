"""Bars: one instrument, one timeframe, validated once."""

from __future__ import annotations

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.table import Bars
from ffm_core.bars.timeframe import Timeframe

__all__ = ["Bars", "Instrument", "Timeframe"]
