"""What can be read in a folder, and in a sentence."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq


def everything_said(folder: Path) -> dict[str, str]:
    """Return all that can be read in a folder, by file; tables are opened."""
    found = {}
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            found[path.name] = f"{table.schema.to_string()} {table.to_pylist()}"
        elif path.is_file():
            found[path.name] = path.read_bytes().decode("latin-1")
    return found


def plain(text: str) -> str:
    """Return text with ordinary spaces where a line must not break."""
    return text.replace("\N{NO-BREAK SPACE}", " ")
