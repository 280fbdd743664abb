"""Write the reference pages from the code, or check that they still agree with it.

``python docs/generate.py`` writes ``docs/reference/*.md``; with ``--check`` nothing is
written, stale pages are named, and the exit code is 1 when there are any.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))

from _pages import checks, cli, config, errors, hooks, instruments, kit, records  # noqa: E402

PAGES: Mapping[str, Callable[[], str]] = {
    "hooks.md": hooks.page,
    "records.md": records.page,
    "cli.md": cli.page,
    "config.md": config.page,
    "errors.md": errors.page,
    "checks.md": checks.page,
    "contract-kit.md": kit.page,
    "instruments.md": instruments.page,
}
_MARK = "<!-- Written by docs/generate.py from the code; edit the code, not this page. -->\n\n"


def pages() -> dict[str, str]:
    """Return the text of every generated page, by file name.

    Instruments a user declared and settings of the environment stay out of it.
    """
    with tempfile.TemporaryDirectory() as empty:
        kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("FFM_")}
        os.environ["FFM_HOME"] = empty
        try:
            return {name: _MARK + write() for name, write in PAGES.items()}
        finally:
            del os.environ["FFM_HOME"]
            os.environ.update(kept)


def stale(folder: Path) -> list[str]:
    """Return the generated pages of ``folder`` that are missing or differ from the code."""
    found = []
    for name, text in pages().items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            found.append(name)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages; return the exit code."""
    parser = argparse.ArgumentParser(description="Write or check the reference pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when stale")
    parser.add_argument("--folder", type=Path, default=DOCS / "reference")
    asked = parser.parse_args(arguments)
    if asked.check:
        names = stale(asked.folder)
        for name in names:
            print(f"stale: {asked.folder / name}", file=sys.stderr)
        if names:
            print("  fix: python docs/generate.py", file=sys.stderr)
        return 1 if names else 0
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (asked.folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
