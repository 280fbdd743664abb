"""The guilty line, against functions whose faulty line is marked."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest

from ffm_core.causal.blame.line import Blame, accuse, blame, origin
from ffm_core.causal.blame.sources import Sources
from ffm_core.causal.blame.suspects import KINDS, suspects
from ffm_core.causal.blame.tracing import Recorder
from ffm_core.causal.cutting.series import part, with_future
from ffm_core.keyed import keyed
from ffm_core.testing import make_bars, peeks
from ffm_core.testing.specimens import CLEAN_LABELER
from helpers.loading import load_module

FILE = Path(__file__).with_name("leaky.py")
LINES = FILE.read_text(encoding="utf-8").splitlines()
BARS = make_bars("random", rows=900, seed=3)


leaky = load_module("leaky_lines", FILE)
# Marks of faults that stand outside the function that is called.
ELSEWHERE = {
    "calls_helper": "return np.roll(values",
    "expressions": 'pl.col("close").rolling_mean(11',
    "two_helpers": "return np.convolve(values, kernel",
    "uses_a_cache": "@lru_cache",
    "many_calls": "return close[j] - close[t]",
    "method": "self.scale = close.max()",
}
STATIC = ("remembers", "uses_a_cache", "reads_a_file", "by_chance", "by_the_clock")
HELD = ("helper", "cached", "kern")
TRACED = [
    name
    for name, value in vars(leaky).items()
    if (isinstance(value, FunctionType) or name == "method")
    and not name.startswith("_")
    and getattr(value, "__module__", "") == "leaky_lines"
    and name not in (*STATIC, *HELD)
]


def _marked(name: str) -> int:
    marks = [i for i, line in enumerate(LINES, 1) if "# guilty" in line]
    if name in ELSEWHERE:
        return next(i for i in marks if ELSEWHERE[name] in LINES[i - 1])
    begin = next(i for i, line in enumerate(LINES, 1) if line.startswith(f"def {name}("))
    return next(i for i in marks if i > begin)


def _rows(answer, lo: int, hi: int):
    """Return the answer for some bars in a form that can be compared."""
    if hasattr(answer, "bar"):
        held = (answer.bar >= lo) & (answer.bar < hi)
        return [*zip(answer.bar[held].tolist(), answer.risk[held].tolist(), strict=True)]
    if answer.dtype.kind == "i":
        return answer[(answer >= lo) & (answer < hi)].tolist()
    return np.nan_to_num(answer[lo:hi].astype(float), nan=-1.0).tolist()


def _failing(run, cuts: range):
    """Yield cuts that move a row, and the last row moved."""
    whole = run(BARS)
    for cut in cuts:
        short = run(BARS[:cut])
        moved = [
            t for t in range(cut - 12, cut) if _rows(whole, t, t + 1) != _rows(short, t, t + 1)
        ]
        if moved:
            yield cut, moved[-1]


@pytest.mark.parametrize("name", TRACED)
def test_the_marked_line_is_named(name):
    run = getattr(leaky, name)
    tried = 0
    for cut, row in _failing(run, range(500, 560)):
        for lo in (row, max(row - 20, 0)):
            found = blame(run, BARS, BARS[:cut], lo, row + 1)
            assert found is not None
            assert (found.file, found.line) == ("leaky.py", _marked(name)), str(found)
        tried += 1
        if tried == 2:
            break
    assert tried


def test_nothing_but_a_real_fault_is_marked():
    assert len(TRACED) >= 26
    assert len({_marked(name) for name in (*TRACED, *STATIC)}) == len(TRACED) + len(STATIC)


def test_the_statement_is_shown_on_one_line_without_its_comment():
    cut, row = next(_failing(leaky.shift_series, range(500, 520)))
    found = blame(leaky.shift_series, BARS, BARS[:cut], row, row + 1)
    line = _marked("shift_series")
    assert str(found) == f"leaky.py:{line}: nxt = close.shift(-1)"
    assert "later bar" in found.why


def test_changed_later_bars_lead_to_the_line_as_cut_ones_do():
    for name in ("global_z", "loop_scalar", "shift_polars", "many_calls"):
        run = getattr(leaky, name)
        changed = with_future(BARS, 0, 600, 700, kind="perturb", rng=keyed(0, "test"))
        found = blame(run, changed, BARS[:700], 598, 600)
        assert found.line == _marked(name), name


def test_a_window_that_begins_later_is_compared_bar_by_bar():
    def counts(bars):
        width = 5
        number = np.arange(len(bars)) * 1.0
        mean = np.convolve(bars.close, np.ones(width) / width)[: len(bars)]
        return mean + number

    found = blame(counts, BARS, part(BARS, 300, 600), 590, 591, start=300)
    assert found.code == "number = np.arange(len(bars)) * 1.0"


def test_a_clean_function_has_no_line_that_differs():
    def clean(bars):
        mean = np.convolve(bars.close, np.ones(5) / 5)[: len(bars)]
        return bars.close - mean

    found = blame(clean, BARS, BARS[:600], 590, 600)
    assert found.code == "return bars.close - mean"  # nothing to say but where it answers


def test_a_record_of_the_kit_is_traced_in_its_own_room():
    def run(bars):
        return peeks.pivot_at_its_own_bar(bars)

    cut, row = next(_failing(run, range(500, 560)))
    files = [Path(peeks.__file__)]
    found = blame(run, BARS, BARS[:cut], row, row + 1, files=files)
    assert found.code == "top[_ORDER:-_ORDER] = peak"
    assert found.file == "peeks.py"


def test_a_plug_in_that_raises_or_cannot_be_read_gives_no_line():
    def raises(bars):
        raise ValueError("no")

    before = sys.gettrace()
    assert blame(raises, BARS, BARS[:500], 490, 500) is None
    assert blame(np.asarray, BARS.close, BARS.close[:500], 490, 500) is None
    assert blame(partial(len), BARS, BARS[:500], 490, 500) is None
    assert accuse(len, "purity") is None
    assert accuse(leaky.shift_series, "no such check") is None
    assert sys.gettrace() is before


def test_the_trace_function_that_was_set_is_set_again():
    seen = []

    def tracer(frame, event, arg):
        seen.append(event)

    def stops(bars):
        assert sys.gettrace() is not tracer
        raise KeyboardInterrupt

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        blame(leaky.shift_series, BARS, BARS[:500], 499, 500)
        assert sys.gettrace() is tracer
        with pytest.raises(KeyboardInterrupt):
            blame(stops, BARS, BARS[:500], 499, 500)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


def test_a_loop_over_all_bars_leaves_a_short_record():
    bars = make_bars("random", rows=20_000, seed=1)
    recorder = Recorder(Sources(leaky.loop_scalar), len(bars), 15_000, 15_020)
    recorder.run(leaky.loop_scalar, bars)
    assert recorder.events > 60_000
    assert 60 < len(recorder.steps) < 400


def test_tracing_ends_after_a_count_of_lines_and_not_by_the_clock(monkeypatch):
    monkeypatch.setattr("ffm_core.causal.blame.tracing.MAX_EVENTS", 500)
    recorder = Recorder(Sources(leaky.loop_scalar), len(BARS), 800, 801)
    answer = recorder.run(leaky.loop_scalar, BARS)
    assert len(answer) == len(BARS)
    assert recorder.events == 500
    found = blame(leaky.loop_scalar, BARS, BARS[:801], 800, 801)
    assert found == blame(leaky.loop_scalar, BARS, BARS[:801], 800, 801)


def test_the_origin_of_a_value_is_the_first_line_that_holds_it():
    def late(bars):
        close = bars.close
        end = np.arange(len(close)) + 3
        lied = end - 2
        return close, lied * 1

    assert origin(late, BARS, 400, 403).code == "end = np.arange(len(close)) + 3"
    assert origin(late, BARS, 400, 401).code == "lied = end - 2"


# --- reading ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("remembers", "purity"),
        ("uses_a_cache", "purity"),
        ("reads_a_file", "access"),
        ("by_chance", "determinism"),
        ("by_chance", "purity"),
        ("by_the_clock", "purity"),
    ],
)
def test_reading_finds_what_running_cannot_show(name, check):
    source = "\n".join(_only(name))
    found = [one for one in suspects(source) if one.kind in KINDS[check]]
    assert found
    if name != "uses_a_cache":
        assert accuse(getattr(leaky, name), check) is not None


def _only(name: str) -> list[str]:
    """Return one function and what stands right above it."""
    begin = next(i for i, line in enumerate(LINES) if line.startswith(f"def {name}("))
    if name == "uses_a_cache":
        begin = next(i for i, line in enumerate(LINES) if line.startswith("@lru_cache"))
    if name == "remembers":
        begin = next(i for i, line in enumerate(LINES) if line.startswith("_SEEN"))
    end = next(i for i in range(begin, len(LINES)) if "return bars.close" in LINES[i])
    return LINES[begin : end + 1]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("x = s.shift(-1)", "ahead"),
        ("x = s.shift(periods=-2)", "ahead"),
        ("x = s.shift(n=-k)", "ahead"),
        ("x = np.roll(a, -1)", "ahead"),
        ("x = s.diff(-1)", "ahead"),
        ("x = s.rolling(5, center=True).mean()", "ahead"),
        ("x = s.bfill()", "ahead"),
        ("x = s.fillna(method='bfill')", "ahead"),
        ("x = s.fill_null(strategy='backward')", "ahead"),
        ("x = a.join_asof(b, on='ts', strategy='nearest')", "ahead"),
        ("x = pd.merge_asof(a, b, direction='forward')", "ahead"),
        ("x = close[t + 1]", "ahead"),
        ("x = close[rows + 3]", "ahead"),
        ("x = np.append(close[1:], 0.0)", "ahead"),
        ("x = np.append(np.diff(close), 0.0)", "ahead"),
        ("x[:-1] = close[1:]", "ahead"),
        ("x = np.maximum.accumulate(a[::-1])[::-1]", "ahead"),
        ("x = np.convolve(a, k, 'same')", "ahead"),
        ("x = savgol_filter(a, 5, 2)", "ahead"),
        ("x = (a - a.mean()) / a.std()", "whole"),
        ("x = np.quantile(a, 0.9)", "whole"),
        ("x = pl.col('v').sum().over('day')", "whole"),
        ("x = close[-1]", "whole"),
        ("x = f.group_by_dynamic('ts', every='1h')", "coarse"),
        ("x = open('a.csv')", "file"),
        ("x = requests.get(u)", "file"),
        ("x = np.random.rand(5)", "chance"),
        ("x = np.random.default_rng()", "chance"),
        ("x = hash('a')", "chance"),
        ("x = datetime.now()", "clock"),
        ("def f():\n    global x\n    x = 1", "state"),
        ("K = []\ndef f(a):\n    K.append(a)", "state"),
        ("class A:\n    def f(self, a):\n        self.x = a", "state"),
        ("bars.frame[3, 'close'] = 0.0", "edit"),
    ],
)
def test_usual_faults_are_noticed(code, kind):
    assert kind in {one.kind for one in suspects(code)}


@pytest.mark.parametrize(
    "code",
    [
        "x = s.shift(1)",
        "x = np.roll(a, 1)",
        "x = s.rolling(20).mean()",
        "x = s.ewm(span=5).mean()",
        "x = close[t]",
        "x = close[t - 1]",
        "x = close[t - 4 : t + 1].mean()",
        "x = windows(a, 20).mean(axis=1)",
        "x = a.join_asof(b, on='ts', strategy='backward')",
        "x = s.fill_null(strategy='forward')",
        "x = np.append(0.0, np.diff(close))",
        "x[1:] = close[:-1]",
        "x = np.random.default_rng(seed).normal(5)",
        "x = pl.col('close').rolling_std(20)",
        "class A:\n    def __init__(self, a):\n        self.x = a",
        "x = max(a, 1)",
    ],
)
def test_usual_care_is_not(code):
    assert [one for one in suspects(code) if one.kind != "edit"] == []


def test_a_source_that_cannot_be_parsed_has_no_suspects():
    assert suspects("def (") == []


def test_a_labeler_is_read_through_its_record():
    assert Sources(CLEAN_LABELER.decide).entries[0].co_name == "_plain"
    assert Sources(CLEAN_LABELER).entries[0].co_name == "_plain"
    assert Blame("a.py", 3, "x = 1").why == ""
