"""Lines that no run of Python shows: declared columns, kernels, streams."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path

import numpy as np
import pytest

from ffm_core.causal.blame.declared import answering, declared, shared
from ffm_core.causal.blame.interpreted import interpreted, interpreter
from ffm_core.causal.blame.line import accuse, origin
from ffm_core.causal.blame.locate import Question
from ffm_core.causal.blame.sources import Sources
from ffm_core.causal.blame.suspects import suspects
from ffm_core.causal.process.access import Watch, roots_of
from ffm_core.causal.subjects.base import FeatureSubject
from ffm_core.testing import make_bars
from helpers.loading import load_module

BARS = make_bars("random", rows=60, seed=3)
WRITTEN = """
import numpy as np
import polars as pl

from ffm_core import Column
from ffm_core.features.expressions import expression_set
from ffm_core.features.steps import Program, State, step_set
from ffm_core.jit import kernel

CLOSE = pl.col("close")
SMOOTH = CLOSE.rolling_mean(9, center=True)  # mark: smooth
NAMED = Column(name="named", unit="ratio")
SPANS = (5, 7)

DECLARED = expression_set(
    "declared",
    {
        Column(name="body", unit="points"): CLOSE - pl.col("open"),  # mark: body
        Column(name="median", unit="ratio"): CLOSE
        / CLOSE.rolling_median(9, center=True),  # mark: median
        NAMED: CLOSE / SMOOTH,
        **{Column(name=f"lead_{n}", unit="ratio"): CLOSE.shift(-n) for n in SPANS},  # mark: lead_5
    },
    warmup_bars=8,
    history_bars=9,
    memory="finite",
)


def start(instrument, timeframe):
    return State(f=np.zeros(1), i=np.zeros(1, np.int64), k=np.zeros(1), n=np.zeros(1, np.int64))


@kernel
def step(ts, o, h, l, c, v, f, i, k, n, out, at):
    i[0] += 1
    body = c - f[0]
    out[at] = 1.0 / (i[0] - 41)  # mark: infinite
    f[0] = c


STEPPED = step_set(
    "stepped",
    [Program(columns=(Column(name="value", unit="ratio"),), start=start, step=step)],
    memory="finite",
    warmup_bars=1,
    history_bars=2,
)


class Stream:
    def __init__(self):
        self.closes = []

    def update(self, *bar):
        self.closes.append(bar[4])
        return self.row()

    def row(self):
        return np.array([np.mean(self.closes)], dtype=np.float32)  # mark: update

    def snapshot(self):
        return bytes(len(self.closes))  # mark: snapshot


class Sharing(Stream):
    window = []

    def __init__(self):
        self.closes = self.window  # mark: shared


def other(bars):
    return np.random.rand(3)


def by_set(bars):
    total = 0.0
    for name in {"open", "close"}:  # mark: set
        total = total / 2 + bars[name]
    return total


def plain(bars):  # mark: plain
    return bars.close


def counts(bars):
    counts.calls = 1  # mark: counts
    return bars.close
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    path = tmp_path_factory.mktemp("plug-in") / "written_idea.py"
    path.write_text(WRITTEN)
    yield load_module("written_idea", path)
    del sys.modules["written_idea"]


def _line(name: str) -> int:
    lines = enumerate(WRITTEN.splitlines(), 1)
    return next(i for i, line in lines if line.endswith(f"# mark: {name}"))


@pytest.mark.parametrize(
    ("column", "mark"),
    [("body", "body"), ("median", "median"), ("named", "smooth"), ("lead_5", "lead_5")],
)
def test_a_declared_column_leads_to_its_expression(mine, column, mark):
    found = declared(mine.DECLARED, column, "prefix")
    assert (found.file, found.line) == ("written_idea.py", _line(mark))
    assert bool(found.why) == (column != "body")


def test_a_column_that_no_file_mentions_has_no_line(mine):
    assert declared(mine.DECLARED, "unheard_of_column", "prefix") is None


def _ask(record, check, bar, **more):
    question = Question(
        check=check, bar=bar, cut=bar + 1, start=0, stop=bar + 2, change=None, **more
    )
    return question.answer(FeatureSubject(record, None), BARS, 0, None)


def test_the_worker_is_told_of_declared_columns(mine):
    assert _ask(mine.DECLARED, "prefix", 20, column="median").line == _line("median")


def test_an_infinite_value_is_followed_into_the_kernel(mine):
    found = _ask(mine.STEPPED, "values", 40, column="value")
    assert found.line == _line("infinite")
    assert "infinite" in found.why


def _breaks_off(mine, sources):
    with interpreted(sources):
        assert not hasattr(mine.step, "py_func")
        raise ZeroDivisionError


def test_kernels_are_kernels_again_afterwards(mine):
    sources = Sources(mine.STEPPED.batch)
    compiled = mine.step
    with pytest.raises(ZeroDivisionError):
        _breaks_off(mine, sources)
    assert mine.step is compiled
    assert interpreter(mine.DECLARED.batch, Sources(mine.DECLARED.batch)) is None
    np.testing.assert_array_equal(
        interpreter(mine.STEPPED.batch, sources)(BARS[:20]), mine.STEPPED.batch(BARS[:20])
    )


def test_a_stream_leads_to_where_it_answers(mine):
    files = [Path(mine.__file__).resolve()]
    assert answering(mine.Stream(), "update", files).line == _line("update")
    assert answering(mine.Stream(), "snapshot", files).line == _line("snapshot")
    assert answering(mine.Stream(), "update", []) is None
    assert shared(mine.Stream(), files) is None
    assert shared(mine.Sharing(), files).line == _line("shared")


def test_what_other_functions_do_is_not_held_against_one(mine):
    assert accuse(mine.by_set, "determinism").line == _line("set")
    assert accuse(mine.counts, "purity").line == _line("counts")
    found = accuse(mine.plain, "determinism")
    assert (found.line, found.why) == (_line("plain"), "")
    assert accuse(mine.other, "determinism").code == "return np.random.rand(3)"


def test_an_infinite_value_of_plain_code_is_found_where_it_arises():
    def over(bars):
        body = bars.close * 0.0
        with np.errstate(divide="ignore"):
            ratio = 1.0 / body
        return ratio[:, None]

    def inside(bars):
        with np.errstate(divide="ignore"):
            return 1.0 / (bars.close * 0.0)

    assert origin(over, BARS, 30, np.inf).code == "ratio = 1.0 / body"
    assert origin(inside, BARS, 30, np.inf).code == "return 1.0 / (bars.close * 0.0)"
    assert origin(lambda bars: bars.close, BARS, 30, np.inf) is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("for x in {'a', 'b'}:\n    pass", "chance"),
        ("x = [a for a in set(names)]", "chance"),
        ("x = np.random.default_rng(os.getpid())", "chance"),
        ("n = pl.thread_pool_size()", "chance"),
        ("def f():\n    f.calls = 1", "state"),
        ("def m():\n    a = [0]\n    def f(x):\n        a[0] = x\n    return f", "state"),
        ("x = a / b", "divide"),
        ("x = c[min(t + 1, last)]", "ahead"),
    ],
)
def test_more_usual_faults_are_noticed(code, kind):
    assert kind in {one.kind for one in suspects(code)}


@pytest.mark.parametrize(
    "code",
    [
        "for x in sorted({'a', 'b'}):\n    pass",
        "x = c[min(t, last)]",
        "x = a / 2.0",
        "def f(x):\n    a = [0]\n    a[0] = x",
        "class A:\n    spans = [5, 7]\n    def f(self):\n        return max(self.spans)",
    ],
)
def test_what_looks_alike_is_left_alone(code):
    assert suspects(code) == []


def test_looking_up_a_line_of_code_is_no_access(mine, tmp_path):
    table = tmp_path / "table.txt"
    table.write_text("1\n")
    watch = Watch()
    namespace = {"linecache": linecache, "open": open}
    text = (
        "def look(path):\n    return linecache.getlines(path)\n"
        "def read(path):\n    open(path).close()\n"
    )
    exec(compile(text, mine.__file__, "exec"), namespace)
    roots = roots_of([mine.plain])
    sys.addaudithook(watch._heard)
    linecache.clearcache()
    with watch.of(roots):
        namespace["look"](mine.__file__)
    assert watch.take() == ()
    with watch.of(roots):
        namespace["read"](mine.__file__)  # its own
        namespace["read"](str(table))
        namespace["look"](str(table))
    assert len(watch.take()) == 2
