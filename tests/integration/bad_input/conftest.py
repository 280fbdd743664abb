"""``ffm`` met with input it cannot use: one clear answer, and nothing left behind.

The program runs in this process, which is what makes two hundred kinds of bad input
cheap; a few that need a process of their own say so.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ffm_core.bars.simulate import market
from ffm_core.cli import main
from ffm_core.runs.ledger import Ledger

LONGEST = 600  # characters; a message of several screens helps nobody
CODES = {2, 3, 4, 6, 7}  # the documented codes of errors; 70 would be a bug


@dataclass(frozen=True)
class Answer:
    """What one run of ``ffm`` said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass(frozen=True)
class Desk:
    """A folder to work in, and a ledger and cache beside it."""

    folder: Path
    home: Path

    def run(self, *words: object) -> Answer:
        """Run ``ffm`` and return what it said."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        return Answer(int(left.value.code or 0), out.getvalue(), err.getvalue())

    def write(self, name: str, lines: list[str] | str | bytes) -> Path:
        """Write a file of the folder and return its path."""
        path = self.folder / name
        if isinstance(lines, list):
            lines = "\n".join(lines) + "\n"
        path.write_bytes(lines if isinstance(lines, bytes) else lines.encode())
        return path

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Check that the block leaves no file, no folder and no event of the ledger."""
        before, events = self._content(), Ledger(self.home).events()
        yield
        assert self._content() == before
        assert Ledger(self.home).events() == events

    def _content(self) -> dict[str, str]:
        # The cache and the files of SQLite may change; they hold nothing a user sees.
        own = [
            p for p in self.home.glob("*") if p.name not in ("cache",) and "sqlite" not in p.name
        ]
        places = [self.folder, *self.folder.rglob("*"), *own]
        return {str(p): _digest(p) for p in places}


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    except OSError:
        return "closed"


Refused = Callable[..., Answer]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FFM_HOME", str(tmp_path / "home"))
    return Desk(folder, tmp_path / "home")


@pytest.fixture
def refused(desk: Desk) -> Refused:
    """Run ``ffm`` and check that it refuses well."""

    def check(*words: object, code: int, says: str, fix: str = "", json: bool = True) -> Answer:
        with desk.untouched():
            answer = desk.run(*words, *(("--json",) if json else ()))
        assert answer.code == code, answer.err
        assert code in CODES
        problem, mend = spoken(answer.err)
        assert re.search(says, problem), problem
        assert re.search(fix, mend), mend
        if json:
            assert answer.document == {
                "schema": "ffm-error/1",
                "error": {"kind": answer.document["error"]["kind"], "problem": problem,
                          "fix": mend, "exit_code": code},
            }  # fmt: skip
        else:
            assert answer.out == ""
        return answer

    return check


def spoken(err: str) -> tuple[str, str]:
    """Return problem and fix of an answer that is one line each."""
    assert "Traceback" not in err
    lines = err.splitlines()
    assert len(lines) == 2, err
    assert all(len(line) <= LONGEST for line in lines), err
    assert lines[0].startswith("error: "), err
    assert lines[1].startswith("  fix: "), err
    return lines[0].removeprefix("error: "), lines[1].removeprefix("  fix: ")


@pytest.fixture(scope="session")
def frame() -> pl.DataFrame:
    """Two months of hourly bars of a simulated market, as a plain file has them."""
    return market("SIMA1", months=2, timeframe="1h").frame.rename({"ts": "datetime"})


@pytest.fixture(scope="session")
def lines(frame: pl.DataFrame) -> list[str]:
    """The same as lines of CSV, with a header and stamps in UTC."""
    text: str = frame.head(400).write_csv(datetime_format="%Y-%m-%d %H:%M:%S+00:00")
    return text.splitlines()


IDEA = """
import numpy as np
from ffm_core import Decisions, Labeler

def decide(bars, params):
    bar = np.arange(60, len(bars), 6)
    side = np.where(bars.close[bar] >= bars.close[bar - 20], 1, -1).astype(np.int8)
    return Decisions(bar=bar, side=side, risk=np.full(len(bar), 40 * bars.instrument.tick_size))

LABELER = Labeler(name="idea", decide=decide, horizon_bars=12, warmup_bars=60)
"""
JUDGE = ("eval", "idea.py", "--data", "SIMA1_9.parquet", "--learner", "none", "--features", "",
         "--jobs", "1", "--quiet")  # fmt: skip


@pytest.fixture(scope="session")
def nine_months() -> bytes:
    """Enough bars of a simulated market for three folds, as a Parquet file."""
    buffer = io.BytesIO()
    market("SIMA1", months=9, timeframe="1h").frame.write_parquet(buffer)
    return buffer.getvalue()


@pytest.fixture
def judged(desk: Desk, nine_months: bytes) -> tuple[str, ...]:
    """The words of an evaluation that works: a strategy of one file and its bars."""
    desk.write("idea.py", IDEA)
    desk.write("SIMA1_9.parquet", nine_months)
    return JUDGE


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory, nine_months: bytes) -> Path:
    """A judged run with its ledger; copied, never touched."""
    place: Path = tmp_path_factory.mktemp("original")
    desk = Desk(place / "desk", place / "home")
    desk.folder.mkdir()
    desk.write("idea.py", IDEA)
    desk.write("SIMA1_9.parquet", nine_months)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(desk.folder)
        patch.setenv("FFM_HOME", str(desk.home))
        assert desk.run(*JUDGE).code in (0, 1, 5)
    return place


@pytest.fixture
def stored(desk: Desk, original: Path) -> Path:
    """The folder of a judged run of this desk."""
    shutil.copytree(original / "desk", desk.folder, dirs_exist_ok=True)
    shutil.copytree(original / "home", desk.home)
    (folder,) = (desk.folder / "ffm-runs").iterdir()
    return folder
