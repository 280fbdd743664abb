"""Read Markdown pages: their blocks, links, headings; and run what they show.

Conventions of the pages:

* a block with ``title="idea.py"`` is a file: it is written before it runs;
* a ``text output`` block shows what the command before it printed; ``…`` stands for
  anything, and left-out lines are allowed;
* shell blocks have the language ``sh``; ``# exits with 4`` behind a command states its
  exit code, otherwise 0 is expected, and a verdict of any kind from ``ffm eval``;
* ``pip install`` of a folder and ``pytest`` are run as well, without a network.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELLS = ("sh", "bash", "shell", "console")
NOT_RUN = ("make", "git", "cd", "source")
VERDICTS = {0, 1, 5}
_OPEN = re.compile(
    r'^(?P<indent> *)```(?P<language>\w*)(?P<output> +output)?(?: +title="(?P<title>[^"]+)")?\s*$'
)
_HEADING = re.compile(r"^#{1,6} +(.*?)\s*$")
_LINK = re.compile(r"(?<!\!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)|!\[[^\]]*\]\(([^()\s]+)\)")
_EXITS = re.compile(r"\s+# exits with (\d+)\s*$")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    title: str
    text: str
    is_output: bool = False

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A line of a shell block and the exit codes it may end with."""

    words: tuple[str, ...]
    codes: frozenset[int]
    place: str


def markdown_files(root: Path = ROOT) -> list[Path]:
    """Return every page of the project."""
    patterns = ("*.md", "docs/**/*.md", "examples/**/*.md", "plugins/*/README.md",
                "plugins/*/docs/**/*.md")  # fmt: skip
    return sorted({path for pattern in patterns for path in root.glob(pattern)})


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    found: list[Block] = []
    inside: list[str] | None = None
    start, match = 0, None
    for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), start=1):
        if inside is None:
            match = _OPEN.match(line)
            if match is not None:
                inside, start = [], number
        elif match is not None and line.strip() == "```":
            cut = len(match["indent"])
            text = "\n".join(row[cut:] for row in inside) + "\n"
            shows = match["output"] is not None
            found.append(Block(page, start, match["language"], match["title"] or "", text, shows))
            inside = None
        else:
            inside.append(line)
    assert inside is None, f"{page.name}:{start}: the block is never closed"
    return found


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    lines: list[str] = []
    inside = False
    for line in page.read_text(encoding="utf-8").split("\n"):
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made on GitHub."""
    seen: dict[str, int] = {}
    found = set()
    for line in prose(page).split("\n"):
        match = _HEADING.match(line)
        if match is None:
            continue
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1]).lower()
        slug = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(slug if count == 0 else f"{slug}-{count}")
    return found


def links(page: Path) -> list[str]:
    """Return the targets of all links and pictures of a page."""
    return [one or two for one, two in _LINK.findall(prose(page))]


def broken_links(page: Path) -> list[str]:
    """Return the links inside the project that lead nowhere."""
    broken = []
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(target)
    return broken


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a shell block; continued lines count as one."""
    line, start = "", block.line
    for number, row in enumerate(block.text.split("\n"), start=block.line + 1):
        start = start if line else number
        if row.endswith("\\"):
            line += row[:-1] + " "
            continue
        line = (line + row).removeprefix("$ ").strip()
        if line and not line.startswith("#"):
            yield _command(line, f"{block.page.name}:{start}")
        line = ""


def _command(line: str, place: str) -> Command:
    stated = _EXITS.search(line)
    words = tuple(shlex.split(_EXITS.sub("", line), comments=True))
    if stated:
        return Command(words, frozenset({int(stated[1])}), place)
    judges = words[:2] == ("ffm", "eval") and "--dry-run" not in words
    return Command(words, frozenset(VERDICTS if judges else {0}), place)


def home(folder: Path) -> Path:
    """Return where the commands of a page keep their ledger."""
    return folder / ".home"


def environment(folder: Path) -> dict[str, str]:
    """Return an environment with a ledger, and a place for packages, of its own."""
    own = {
        "FFM_HOME": str(home(folder)),
        "PYTHONPATH": str(folder / ".site"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "80",
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FFM_")}
    return kept | own


def run(command: Command, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a reader would, in ``folder``.

    ``ffm eval`` gets two processes at most, so that tests may run side by side.
    """
    return subprocess.run(
        [sys.executable, *_python_words(command, folder)], cwd=folder, env=environment(folder),
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


def _python_words(command: Command, folder: Path) -> list[str]:
    program, *rest = command.words
    if program == "ffm":
        judges = rest[:1] == ["eval"] and "--jobs" not in rest
        return ["-m", "ffm_core", *rest, *(["--jobs", "2"] if judges else [])]
    if program == "pytest":
        return ["-m", "pytest", "-q", "-p", "no:cacheprovider", *rest]
    if command.words[:2] == ("pip", "install") and (folder / rest[-1]).is_dir():
        offline = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
        return ["-m", "pip", "install", *offline, "--target", str(folder / ".site"), rest[-1]]
    raise AssertionError(f"{command.place}: {program!r} is no command that is checked here")


def lines_not_said(block: Block, said: str) -> list[str]:
    """Return the lines of an output block that the command did not print, in that order."""
    missing, rest = [], [_bare(line) for line in said.split("\n")]
    for line in filter(None, map(_bare, block.text.split("\n"))):
        pattern = re.compile(".*".join(re.escape(part) for part in line.split("…")))
        at = next((i for i, other in enumerate(rest) if pattern.fullmatch(other)), None)
        if at is None:
            missing.append(line)
        else:
            rest = rest[at + 1 :]
    return missing


def _bare(line: str) -> str:
    return " ".join(line.split())


def make_targets(makefile: Path = ROOT / "Makefile") -> set[str]:
    """Return the chores of the Makefile."""
    text = makefile.read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][\w-]*):", text, flags=re.MULTILINE))
