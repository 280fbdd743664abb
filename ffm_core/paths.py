"""Where FFM keeps what outlives a run: ledger, cache, seals, compiled kernels."""

from __future__ import annotations

import os
from pathlib import Path


def ffm_home() -> Path:
    """Return the folder of ledger and cache; ``FFM_HOME`` moves it.

    Returns
    -------
    pathlib.Path
        Not created here; writers create it.
    """
    moved = os.environ.get("FFM_HOME")
    if moved:
        return Path(moved).expanduser()
    from platformdirs import user_data_path

    return user_data_path("ffm", appauthor=False)
