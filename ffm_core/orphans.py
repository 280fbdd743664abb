"""Processes that end when the one that started them is gone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_LOOK_SECONDS = 1.0


def end_with(parent: int) -> None:
    """End this process when its parent is gone, however it went."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()
