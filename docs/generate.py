"""Write the reference pages from the code, or check that they still agree with it.

``python docs/generate.py`` writes the pages and plots below ``docs/reference``, and those of
the feature sets in ``plugins`` below ``docs`` there; with
``--check`` nothing is written, stale pages and missing plots are named, and the exit code
is 1 when there are any. Plots are not compared: their last digits may differ between
machines.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))

from _pages import (  # noqa: E402
    backbones,
    checks,
    cli,
    config,
    errors,
    features,
    fills,
    hooks,
    instruments,
    kit,
    reasons,
    records,
    zoo,
)

PAGES: Mapping[str, Callable[[], str]] = {
    "hooks.md": hooks.page,
    "records.md": records.page,
    "reasons.md": reasons.page,
    "cli.md": cli.page,
    "config.md": config.page,
    "errors.md": errors.page,
    "checks.md": checks.page,
    "contract-kit.md": kit.page,
    "fill-rules.md": fills.page,
    "instruments.md": instruments.page,
    "leak-zoo.md": zoo.page,
}
_MARK = "<!-- Written by docs/generate.py from the code; edit the code, not this page. -->\n\n"


def pages() -> dict[str, str]:
    """Return the text of every generated page, by path below ``reference``."""
    with _plain_settings():
        found = {name: write() for name, write in PAGES.items()}
        found |= features.pages() | backbones.pages()
        return {name: _MARK + text for name, text in found.items()}


@contextmanager
def _plain_settings() -> Iterator[None]:
    """Keep what a user declared, and settings of the environment, out of the pages."""
    with tempfile.TemporaryDirectory() as empty:
        kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("FFM_")}
        os.environ["FFM_HOME"] = empty
        try:
            yield
        finally:
            del os.environ["FFM_HOME"]
            os.environ.update(kept)


def package_pages(distribution: str) -> dict[str, str]:
    """Return the text of every generated page of a package, by path below its folder."""
    with _plain_settings():
        return {name: _MARK + text for name, text in features.pages(distribution).items()}


def stale(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """Return the pages of ``folder`` that are missing, differ from the code, or are left over."""
    found = []
    for name, text in texts.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            found.append(name)
    plots = {str(Path(name).with_suffix(".svg")) for name in texts if name.count("/") == 2}
    present = {str(path.relative_to(folder)) for path in (folder / "features").rglob("*.*")}
    wanted = plots | {name for name in texts if name.startswith("features/")}
    return found + sorted((plots - present) | (present - wanted))


def _write(folder: Path, texts: Mapping[str, str], distribution: str) -> None:
    with _plain_settings():
        drawn = features.plots(distribution)
    shutil.rmtree(folder / "features", ignore_errors=True)
    for name, text in {**texts, **drawn}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages; return the exit code."""
    parser = argparse.ArgumentParser(description="Write or check the reference pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when stale")
    parser.add_argument("--folder", type=Path, help="write or check ffm-core's pages there alone")
    asked = parser.parse_args(arguments)
    places = {"ffm-core": asked.folder or DOCS / "reference"}
    if asked.folder is None:
        places |= {name: DOCS.parent / place for name, place in features.PACKAGES.items()}
    left = []
    for distribution, folder in places.items():
        texts = pages() if distribution == "ffm-core" else package_pages(distribution)
        if not asked.check:
            _write(folder, texts, distribution)
            continue
        left += [folder / name for name in stale(folder, texts)]
    for path in left:
        print(f"stale: {path}", file=sys.stderr)
    if left:
        print("  fix: python docs/generate.py", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
