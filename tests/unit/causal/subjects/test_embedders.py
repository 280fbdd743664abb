"""The falsifier on what embedders are shown, and on what they make of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ffm_core.causal.falsify import falsify
from ffm_core.causal.subjects.embedders import WindowSubject, falsify_embedder
from ffm_core.embed.blocks import require_sound, windows_as_features
from ffm_core.embed.windows import windows_at
from ffm_core.errors import StrategyError
from ffm_core.records import Examined
from ffm_core.records.proofs import told
from ffm_core.testing import embedder_specimens as twins
from ffm_core.testing import make_bars

BARS = make_bars("rolls", rows=900, seed=3)
CONTEXT = twins.CONTEXT


def shifted(bars, at, *, context_bars):
    """Windows that end one bar late, where there is one."""
    return windows_at(bars, np.minimum(at + 1, len(bars) - 1), context_bars=context_bars)


def adjusted(bars, at, *, context_bars):
    """Windows scaled by the deviation of the whole file."""
    found = windows_at(bars, at, context_bars=context_bars)
    size = np.float32(np.log(bars.close).std())
    return replace(found, values=found.values * size)


def longer(bars, at, *, context_bars):
    """Windows that know more of the past than they say."""
    found = windows_at(bars, at, context_bars=context_bars)
    past = windows_at(bars, at, context_bars=3 * context_bars)
    return replace(found, scale=found.scale + np.nan_to_num(past.scale))


def proven(build):
    chosen = windows_as_features(6, build)
    rolls = np.flatnonzero(np.diff(BARS.contract_codes.astype(np.int64))) + 2
    (found,) = falsify(
        [WindowSubject(chosen)], BARS, decision_bars=rolls, seed=0, max_cuts=60,
        detectors={"purity", "prefix", "history"},
    )  # fmt: skip
    return found


@pytest.mark.slow
def test_windows_across_rolls_and_holes_need_their_own_bars_alone():
    found = proven(windows_at)
    assert (found.status, found.failures) == ("clean", ())
    assert found.cuts >= 50
    assert found.sampled["decision"]  # two bars past each roll
    flaws = windows_at(BARS, np.arange(len(BARS)), context_bars=6).counts()
    assert flaws["roll"] >= 4 * 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "check"), [(shifted, "prefix"), (adjusted, "prefix"), (longer, "history")]
)
def test_a_faulty_builder_of_windows_is_broken(build, check):
    found = proven(build)
    assert found.status == "broken"
    assert check in {failure.check for failure in found.failures}


def windows(n=80):
    at = np.arange(CONTEXT, CONTEXT + n)
    return windows_at(BARS, at, context_bars=CONTEXT, masked=()).values


def failed(embedder):
    found = falsify_embedder(embedder, windows(), BARS, seed=0)
    return {failure.check: failure for failure in found.failures}


def test_a_normalisation_over_the_batch_is_no_function_of_a_window():
    failure = failed(twins.BATCH_NORMALISED)["rowwise"]
    assert failure.subject == Examined("embedder", "batch-normalised")
    assert "when 80 windows are shown" in told(failure.reason)
    assert "embedder_specimens.py" in failure.line


def test_a_memory_of_earlier_calls_is_found_here_or_in_a_fresh_process():
    assert set(failed(twins.COUNTING)) == {"purity"}
    failure = failed(twins.ANCHORED)["determinism"]
    assert "in a fresh process" in told(failure.reason)


def test_a_file_used_while_embedding_is_told_with_its_line():
    failure = failed(twins.LOOKING)["access"]
    assert told(failure.reason).startswith("writes the file")
    assert "TemporaryFile" in failure.line


def test_a_private_embedder_shows_neither_file_nor_line():
    failure = failed(replace(twins.LOOKING, private=True))["access"]
    assert (failure.line, "embedder_specimens" in told(failure.reason)) == ("", False)


@pytest.mark.parametrize(
    ("embedder", "what"),
    [(twins.SHARP, "expected a finite number"), (twins.DOUBLES, "float64"), (twins.EDITING, "")],
)
def test_a_broken_contract_is_an_error_and_an_edit_a_finding(embedder, what):
    if not what:
        assert "edits the windows" in told(failed(embedder)["purity"].reason)
        return
    with pytest.raises(StrategyError, match=what):
        falsify_embedder(embedder, windows(200), BARS, seed=0)


def test_without_a_usable_window_nothing_is_claimed():
    found = falsify_embedder(twins.COUNTING, windows(0), BARS, seed=0)
    assert (found.status, found.cuts, found.rows_compared) == ("clean", 0, 0)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"identity": "ABC"}, "64 hex digits"),
        ({"columns": ()}, "declares no columns"),
        ({"extras": ("volume",)}, "the extra 'volume'"),
        ({"context_bars": 1}, "context of 1 bars"),
    ],
)
def test_a_record_that_cannot_be_right_is_refused_at_once(change, what):
    with pytest.raises(StrategyError, match=what):
        require_sound(replace(twins.CLEAN_EMBEDDER, **change))
