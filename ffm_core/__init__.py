"""FFM tells futures traders whether an edge is real.

The names here are all a plug-in author needs. They load on first use, so that
``import ffm_core`` and ``ffm --help`` stay light.
"""

from __future__ import annotations

import sys

# ``python -m ffm_core`` puts the working folder first on the path, where a file called
# ``json.py`` would be taken for the library's.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    del sys.path[0]

from importlib import import_module
from typing import TYPE_CHECKING

from ffm_core.hookspecs import HOOK_API, hookimpl

if TYPE_CHECKING:
    from ffm_core.bars import Bars, Instrument, Timeframe
    from ffm_core.errors import FFMError
    from ffm_core.features.expressions import expression_set
    from ffm_core.records import (
        CheckSet,
        Column,
        Control,
        Decisions,
        Embedder,
        ExitPolicy,
        FeatureSet,
        Input,
        Labeler,
        Param,
        VerdictCheck,
    )

__version__ = "0.1.0"

_HOMES = {
    "Bars": "ffm_core.bars",
    "CheckSet": "ffm_core.records",
    "Instrument": "ffm_core.bars",
    "Timeframe": "ffm_core.bars",
    "FFMError": "ffm_core.errors",
    "Column": "ffm_core.records",
    "Control": "ffm_core.records",
    "Decisions": "ffm_core.records",
    "Embedder": "ffm_core.records",
    "ExitPolicy": "ffm_core.records",
    "FeatureSet": "ffm_core.records",
    "Input": "ffm_core.records",
    "Labeler": "ffm_core.records",
    "Param": "ffm_core.records",
    "VerdictCheck": "ffm_core.records",
    "expression_set": "ffm_core.features.expressions",
}

__all__ = [
    "HOOK_API",
    "Bars",
    "CheckSet",
    "Column",
    "Control",
    "Decisions",
    "Embedder",
    "ExitPolicy",
    "FFMError",
    "FeatureSet",
    "Input",
    "Instrument",
    "Labeler",
    "Param",
    "Timeframe",
    "VerdictCheck",
    "__version__",
    "expression_set",
    "hookimpl",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ffm_core' has no attribute {name!r}")
