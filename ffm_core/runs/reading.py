"""Reading the small files that people write and hand on: bounded, whatever they turn out to be."""

from __future__ import annotations

import errno
from pathlib import Path

MOST_BYTES = 64 * 2**20


def small_text(path: Path) -> str:
    """Return the text of a configuration, manifest or record.

    Raises
    ------
    OSError
        When it cannot be read, or does not end within :data:`MOST_BYTES`, as a device does not.
    UnicodeDecodeError
        When it is not UTF-8.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"it holds more than {MOST_BYTES // 2**20} MiB", str(path))
    return data.decode("utf-8")
