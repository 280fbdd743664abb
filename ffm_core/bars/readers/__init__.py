"""Read market data files into validated, audited bars."""

from __future__ import annotations

from ffm_core.bars.readers._sniff import LAYOUTS, Layout
from ffm_core.bars.readers.loading import (
    LoadedBars,
    load,
    load_many,
)
from ffm_core.bars.readers.options import Options, parse_data_option

__all__ = ["LAYOUTS", "Layout", "LoadedBars", "Options", "load", "load_many", "parse_data_option"]
