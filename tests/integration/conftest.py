"""``ffm`` as users run it: in processes of its own, on small simulated markets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from ffm_core.bars.simulate import market as simulated
from ffm_core.cli import main
from ffm_core.runs.ledger import Ledger, LedgerReport
from helpers import processes
from helpers.processes import PATIENCE, until
from helpers.store import lend_cache

Process = subprocess.Popen[str]


@dataclass(frozen=True)
class Desk:
    """A folder to run ``ffm`` in, with a ledger, a cache and runs of its own."""

    folder: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    started: list[Process] = field(default_factory=list)

    @property
    def runs(self) -> Path:
        return self.folder / "ffm-runs"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.home)

    def start(self, *words: str | Path, **environment: str) -> Process:
        """Start ``ffm`` in a family of processes of its own."""
        mark = {processes.MARK: self._mark(len(self.started))}
        own = {"FFM_HOME": str(self.home), **self.environment, **environment}
        process = subprocess.Popen(
            [sys.executable, "-m", "ffm_core", *map(str, words)],
            cwd=self.folder,
            env={**os.environ, **own, **mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``ffm`` to its end."""
        process = self.start(*words, **environment)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def record(self, *words: str | Path, **environment: str) -> dict[str, Any]:
        """Run ``ffm eval … --json`` and return the run record it printed."""
        done = self.run("eval", *words, "--json", **environment)
        assert done.returncode in (0, 1, 5, 6), done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        assert list(document) == [
            "schema",
            "result",
            "result_hash",
            "envelope",
            "folder",
            "words",
        ]
        return document

    until = staticmethod(until)

    def _mark(self, number: int) -> str:
        return f"{self.folder} {number}"

    def living(self, process: Process) -> list[str]:
        """Return the command lines of what still runs of a command and its workers."""
        mark = self._mark(self.started.index(process))
        return processes.lines(processes.family(mark))

    def kill(self, process: Process) -> None:
        """Kill a command and its workers, all at once where the system can do that."""
        if os.name == "posix":
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        processes.end(self._mark(self.started.index(process)))

    def entries(self) -> int:
        """Count what the cache holds."""
        return sum(1 for _ in self.home.glob("cache/*/*.ffmc"))

    def unfinished(self) -> list[Path]:
        """Return temporary files and folders that are left anywhere."""
        places = (self.home, self.runs)
        return [path for place in places for path in place.rglob(".ffm-partial-*")]

    def verified(self) -> LedgerReport:
        """Check ledger and stored runs, and return the ledger's report."""
        from ffm_core.runs.verifying import Book

        report = self.ledger.verify()
        assert report.ok, report
        book = Book(self.ledger.events())
        for folder in self.runs.glob("[!.]*"):
            found = book.verified(folder)
            assert (found.problems, found.held) == ((), "files"), folder
        return report

    def clear(self) -> None:
        """Stop what still runs, and remove the semaphores of killed process pools."""
        for process in self.started:
            self.kill(process)
            with process:
                pass
            processes.sweep_semaphores(process.pid)


class Answer(NamedTuple):
    """What a command left behind: code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document of ``--json``."""
        return json.loads(self.out)


@pytest.fixture
def ffm(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command in this process."""

    def run(*words: object) -> Answer:
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        got = capsys.readouterr()
        assert "Traceback" not in got.err
        return Answer(int(left.value.code or 0), got.out, got.err)

    return run


@pytest.fixture(scope="session")
def new_desk(
    tmp_path_factory: pytest.TempPathFactory, shared_cache: Path
) -> Iterator[Callable[..., Desk]]:
    """Return a maker of desks.

    ``home`` lets two of them share a ledger; ``lend`` lets one use what other tests have
    proven and fitted already.
    """
    made: list[Desk] = []

    def make(home: Path | None = None, *, lend: bool = False, **environment: str) -> Desk:
        folder = tmp_path_factory.mktemp("desk")
        made.append(Desk(folder, home or folder / "ffm-home", environment))
        if lend:
            lend_cache(made[-1].home, shared_cache)
        return made[-1]

    yield make
    for desk in made:
        desk.clear()


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    return new_desk()


@pytest.fixture(scope="session")
def quiet_market(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two simulated futures in which nothing can be earned: 24 months, 30 minutes."""
    folder = tmp_path_factory.mktemp("quiet")
    paths = []
    for symbol in ("SIMA3", "SIMB3"):
        paths.append(folder / f"{symbol}_30m.parquet")
        simulated(symbol, months=24, timeframe="30m").frame.write_parquet(paths[-1])
    return paths


@pytest.fixture(scope="session")
def undisturbed(new_desk: Callable[..., Desk], quiet_market: list[Path]) -> tuple[Desk, Any]:
    """SuperTrend on the quiet market, judged in one process: the desk and the record.

    With the eight plain features, which ask the same of everything around them.
    """
    desk = new_desk(PYTHONHASHSEED="1")
    data = [word for path in quiet_market for word in ("--data", path)]
    return desk, desk.record("supertrend", *data, "--features", "trivial8", "--jobs", "1")


@pytest.fixture(scope="session")
def tidal_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated future with a planted edge: its price drifts after announced bars.

    A volume that ends in 99 announces a rise over the next eight bars, one that ends in
    98 a fall; :data:`TIDE` trades on that.
    """
    bars = simulated("SIMT5", months=13, timeframe="30m")
    rng = np.random.default_rng(5)
    code = np.where(rng.random(len(bars)) < 0.08, rng.integers(98, 100, len(bars)), 0)
    side = np.where(code == 99, 1, -1) * (code > 0)
    step = 0.3 * float(np.mean(bars.high - bars.low))
    pull = np.convolve(side, np.ones(8))[: len(bars)] - side  # from the next bar on
    after = np.round(np.cumsum(np.append(0.0, pull[:-1])) * step * 4) / 4  # quarter points
    before = np.append(0.0, after[:-1])
    shifted = {
        "open": bars.open + before,
        "high": bars.high + np.maximum(before, after),
        "low": bars.low + np.minimum(before, after),
        "close": bars.close + after,
        "volume": np.floor(bars.volume / 100) * 100 + code,
    }
    path = tmp_path_factory.mktemp("tidal") / "SIMT5_30m.parquet"
    frame = bars.frame.with_columns(pl.Series(name, v) for name, v in shifted.items())
    frame.write_parquet(path)
    return path


TIDE = '''
import numpy as np
from ffm_core import Column, Decisions, Labeler, Param


def decide(bars, params):
    """Trade the announced drift, or against it."""
    code = np.rint(bars.volume).astype(np.int64) % 100
    at = np.flatnonzero((code >= 98) & (np.arange(len(bars)) >= 20))
    at = at[np.rint(bars.close[at] * 4).astype(np.int64) % params["every"] == 0]
    side = np.where(code[at] == 99, 1, -1).astype(np.int8)
    reach = np.convolve(bars.high - bars.low, np.ones(14) / 14)[: len(bars)]
    if params["peek"]:
        reach = np.convolve(bars.high - bars.low, np.ones(14) / 14, "same")
    return Decisions(
        bar=at,
        side=-side if params["against"] else side,
        risk=2.0 * reach[at],
        target_r=np.full(len(at), 1.0),
        columns={"reach": reach[at]},
    )


LABELER = Labeler(
    name="tide",
    decide=decide,
    horizon_bars=12,
    warmup_bars=20,
    history_bars=20,
    memory="recursive",
    params=(
        Param(name="every", default=1, minimum=1),
        Param(name="against", default=False),
        Param(name="peek", default=False),
    ),
    columns=(Column(name="reach", unit="points"),),
)
'''


@pytest.fixture(scope="session")
def tide_code() -> str:
    """Return the code of the rule that earns on the tidal market."""
    return TIDE


@pytest.fixture
def tide(desk: Desk) -> Path:
    """Return the path of a rule that earns on the tidal market."""
    path = desk.folder / "tide.py"
    path.write_text(TIDE)
    return path
