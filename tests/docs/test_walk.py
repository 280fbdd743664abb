"""The page that follows one decision, held to a real evaluation."""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from ffm_core.bars.simulate import market
from ffm_core.evaluate import evaluate
from ffm_core.evaluate.job import direct_job
from ffm_core.host.loading import open_host
from ffm_core.runs.config import EvalConfig
from ffm_core.testing.worlds_labeler import LABELER

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "how-a-verdict-is-made.md"
STEP = re.compile(r"^(\d+)\. `(\w+)` \(`([\w/.]+)`\)", re.MULTILINE)


def steps_of(text):
    return [(function, file) for _, function, file in STEP.findall(text)]


@pytest.fixture(scope="module")
def called(tmp_path_factory):
    """Return the functions of the core a small evaluation called, by their first call."""
    root = str(ROOT)
    found = {}

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(root):
            file = Path(frame.f_code.co_filename).relative_to(root).as_posix()
            found.setdefault((frame.f_code.co_name, file), len(found))

    config = EvalConfig(
        strategy="world", features=("trivial8",), learner="xgb:linear", permutations=1,
        random_draws=2, entry_draws=1, resamples=100, n_seeds=1, jobs=1,
    )  # fmt: skip
    bars = [market("SIMA3", months=12, timeframe="30m")]
    learner = open_host().learner("xgb:linear").record
    job = direct_job(bars, LABELER, config, tmp_path_factory.mktemp("home"), learner)
    sys.setprofile(note)
    try:
        evaluate(job)
    finally:
        sys.setprofile(None)
    return found


def misplaced(steps, called):
    """Return the steps that were not called, or not after the one before."""
    wrong = [step for step in steps if step not in called]
    known = [step for step in steps if step in called]
    return wrong + [b for a, b in pairwise(known) if called[a] > called[b]]


def test_the_page_names_the_functions_in_the_order_they_are_called(called):
    steps = steps_of(PAGE.read_text(encoding="utf-8"))
    assert len(steps) > 10
    assert misplaced(steps, called) == []


def test_the_walk_is_short(called):
    text = PAGE.read_text(encoding="utf-8")
    steps = steps_of(text)
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)]
    assert numbers == list(range(1, len(steps) + 1))
    assert len(steps) <= 20
    assert len({file for _, file in steps}) <= 14


def test_a_page_that_went_stale_would_be_noticed(called):
    steps = steps_of(PAGE.read_text(encoding="utf-8"))
    assert misplaced([*steps[5:], *steps[:5]], called)
    assert misplaced([*steps, ("simulate", "ffm_core/evaluate/streams.py")], called)
    assert misplaced([*steps, ("hold", "ffm_core/evaluate/run.py")], called)
