"""What only a fresh process sees: memory, surroundings, files, budgets, streams."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ffm_core.causal import falsify, falsify_feature_set
from ffm_core.causal.cutting.cuts import detection_bound
from ffm_core.causal.process.budget import Budget, OverBudget, limited
from ffm_core.causal.subjects.base import FeatureSubject, LabelerSubject
from ffm_core.errors import ConfigError, StrategyError
from ffm_core.features.trivial8 import TRIVIAL8
from ffm_core.records import Column, Examined, FeatureSet
from ffm_core.records.proofs import told
from ffm_core.testing import make_bars, peeks
from ffm_core.testing.specimens import CLEAN_LABELER, SPECIMENS
from helpers.loading import load_module

pytestmark = pytest.mark.slow  # processes that prove hundreds of cuts

twins = load_module("causal_twins", Path(__file__).with_name("twins.py"))
BARS = make_bars("trend", rows=900, seed=7)


def _prove(columns, bars=BARS, **settings):
    """Certificates of columns (or whole sets) by name, from one worker."""
    sets = {
        name: one if isinstance(one, FeatureSet) else twins.feature_set(one, name=name)
        for name, one in columns.items()
    }
    subjects = [FeatureSubject(one, None) for one in sets.values()]
    found = falsify(subjects, bars, seed=0, **{"max_cuts": 120} | settings)
    return dict(zip(sets, found, strict=True))


def _checks(certificate):
    return {failure.check for failure in certificate.failures}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Everything that one worker can be shown at once, all detectors on."""
    patch = pytest.MonkeyPatch()
    patch.setenv("FFM_HOME", str(tmp_path_factory.mktemp("home")))
    patch.setenv("POLARS_MAX_THREADS", "3")
    closure = twins.remembering_closure()
    closure(BARS)  # an evaluation may have asked before the falsifier does
    try:
        return _prove(
            {
                "module": twins.remembers_in_its_module,
                "file": twins.remembers_in_a_file,
                "closure": closure,
                "hash": twins.hashes,
                "threads": twins.counts_threads,
                "zone": twins.local_zone,
                "calendar": twins.reads_the_calendar,
                "socket": twins.calls_home,
                "table": twins.reads_a_table,
                "clean": twins.mean,
                "trivial8": TRIVIAL8,
                "stream": twins.streamed("stream"),
                "slip": twins.streamed("slip", slip_at=613),
                "forgets": twins.streamed("forgets", forgets=True),
                "peek": twins.streamed("peek", peek=True),
            }
        )
    finally:
        patch.undo()


@pytest.mark.parametrize("name", ["clean", "trivial8", "stream"])
def test_clean_ones_raise_no_alarm_beside_faulty_ones(shown, name):
    assert shown[name].failures == ()


def test_a_memo_in_a_module_is_empty_in_the_worker(shown):
    assert _checks(shown["module"]) == {"prefix", "purity"}


def test_a_memo_in_a_file_is_noticed_with_path_and_line(shown):
    failures = [f for f in shown["file"].failures if f.check == "access"]
    assert any("memo.npy" in told(f.reason) for f in failures)
    assert failures[0].line.startswith("twins.py:")


def test_a_memo_that_travels_with_a_closure_is_noticed_on_the_mirrored_series(shown):
    assert "purity" in _checks(shown["closure"])


@pytest.mark.parametrize("name", ["hash", "threads", "zone", "calendar"])
def test_what_depends_on_the_process_is_told_from_chance(shown, name):
    assert _checks(shown[name]) == {"determinism"}


def test_a_connection_names_host_and_line(shown):
    (failure,) = shown["socket"].failures
    assert failure.check == "access"
    assert "connects to localhost" in told(failure.reason)
    assert failure.line.startswith("twins.py:")
    assert "connect_ex" in failure.line


def test_files_read_outside_python_are_noticed(shown):
    messages = [told(f.reason) for f in shown["table"].failures]
    assert any("table.csv (read_csv)" in message for message in messages)
    assert _checks(shown["table"]) == {"access"}


def test_a_stream_is_proven_at_every_bar(shown):
    assert shown["stream"].proven_bars == len(BARS)
    assert shown["stream"].detection_bound == 0.0
    assert "every bar was proven" in shown["stream"].sentence
    assert shown["clean"].proven_bars == 0


def test_a_stream_that_slips_on_one_bar_is_caught_there(shown):
    (failure,) = shown["slip"].failures
    assert (failure.check, failure.column, failure.bar) == ("stream", "value", 613)
    assert shown["slip"].proven_bars == len(BARS) - 1
    assert shown["slip"].detection_bound > 0.0


def test_a_snapshot_that_forgets_is_caught(shown):
    assert _checks(shown["forgets"]) == {"stream"}
    assert "snapshot" in told(shown["forgets"].failures[0].reason)


def test_a_batch_that_peeks_on_one_bar_in_a_thousand_differs_from_its_stream(shown):
    assert "stream" in _checks(shown["peek"])
    assert shown["peek"].failures[-1].bar == 77


# --- budgets ------------------------------------------------------------------------------


def test_sleep_and_hoards_end_in_a_failure_that_names_the_line():
    budget = Budget(seconds=4.0, seconds_per_bar=0.0, memory_bytes=2**31)
    found = _prove(
        {"sleep": twins.sleeps_when_short, "hoard": twins.hoards_when_short},
        budget=budget, max_cuts=40, detectors=["budget", "prefix"],
    )  # fmt: skip
    assert _checks(found["sleep"]) == _checks(found["hoard"]) == {"budget"}
    assert "longer than 4 s" in told(found["sleep"].failures[0].reason)
    assert "sleep" in found["sleep"].failures[0].line
    assert "2 GiB" in told(found["hoard"].failures[0].reason)


def test_the_call_in_this_process_has_the_same_budget():
    def slow(bars):
        import time

        time.sleep(30)

    found = _prove({"slow": slow}, budget=Budget(seconds=0.2, seconds_per_bar=0.0))
    assert _checks(found["slow"]) == {"budget"}
    with pytest.raises(OverBudget, match=r"longer than 0\.1 s"), limited(0.1, 2**30):
        slow(None)


def test_many_slow_calls_are_stopped_by_their_sum():
    def drowsy(bars):
        import time

        time.sleep(0.05)
        return bars.close / bars.open

    budget = Budget(seconds=5.0, seconds_per_bar=0.0, seconds_in_all=0.4)
    found = _prove({"drowsy": drowsy}, budget=budget, max_cuts=40, detectors=["budget", "prefix"])
    (failure,) = found["drowsy"].failures
    assert failure.check == "budget"
    assert "longer than 0.4 s in total" in told(failure.reason)


# --- one detector at a time ---------------------------------------------------------------


def test_detectors_speak_only_when_they_are_asked():
    columns = {"peek": peeks.next_bar, "hash": twins.hashes}
    found = _prove(columns, detectors=["determinism"])
    assert _checks(found["peek"]) == set()
    assert _checks(found["hash"]) == {"determinism"}
    with pytest.raises(ConfigError, match="no detector is called psychic"):
        _prove(columns, detectors=["psychic"])


def test_only_some_subjects_may_be_proven_and_answers_may_be_given():
    subjects = [LabelerSubject(CLEAN_LABELER, {}, None), FeatureSubject(TRIVIAL8, None)]
    (found,) = falsify(
        subjects, BARS, seed=0, max_cuts=60, only=[1], answers={1: TRIVIAL8.batch(BARS) + 1}
    )
    assert found.subjects == (Examined("features", "trivial8", "ES/5m"),)
    assert found.status == "broken"  # the answer given was not the set's


def test_what_cannot_travel_is_an_error_that_says_so():
    import threading

    lock = threading.Lock()

    def column(bars):
        with lock:
            return twins.mean(bars)

    with pytest.raises(StrategyError, match="cannot be sent to a fresh process"):
        _prove({"lock": column})


# --- cuts at the clock, repaint, history by column ----------------------------------------


def test_a_leak_at_a_clock_change_is_found_among_many_bars():
    bars = make_bars("trend", rows=9_000, seed=2)
    found = _prove(
        {"clock": twins.leaks_at_the_clock_change, "clean": twins.mean}, bars,
        max_cuts=400, detectors=["prefix"],
    )  # fmt: skip
    assert _checks(found["clock"]) == {"prefix"}
    assert found["clean"].sampled["clock"] >= 3
    assert found["clean"].detection_bound == detection_bound(found["clean"].sampled["random"])


def test_withdrawn_and_turned_decisions_are_repaints():
    # Who withdraws what later bars do not confirm, waits where they still may.
    wanted = {"withdraws decisions": {"prefix", "repaint"}, "the next bar's side": {"repaint"},
              "waits for the next bar": {"prefix"}}  # fmt: skip
    labelers = [s.labeler for s in SPECIMENS if s.name in wanted]
    names = [s.name for s in SPECIMENS if s.name in wanted]
    subjects = [LabelerSubject(one, {}, None) for one in labelers]
    found = falsify(subjects, BARS, seed=0, max_cuts=200, detectors=["prefix", "repaint"])
    for name, certificate in zip(names, found, strict=True):
        assert _checks(certificate) == wanted[name]


def _two(name, *, second=None, **declared):
    """A set of a short and a longer mean, each with a history of its own."""

    def batch(bars):
        far = twins.windows(bars.close, 200).mean(axis=1) if second is None else second(bars)
        return np.column_stack([twins.mean(bars), far]).astype(np.float32)

    settings = {"memory": "finite", "history_bars": 200} | declared
    columns = (
        Column(name="near", unit="points", memory="finite", history_bars=settings.pop("near", 20)),
        Column(name="far", unit="points", **settings),
    )
    return FeatureSet(name=name, columns=columns, batch=batch, warmup_bars=200, history_bars=None)


def test_every_column_is_held_to_the_history_it_declares():
    drifting = {"memory": "recursive", "history_bars": 500}

    def coarse(bars):
        return peeks.fast_average(bars) * (1.0 + 1e-6 * (len(bars) % 7))

    found = _prove(
        {
            "both": _two("both"),
            "near is short": _two("near is short", near=12),
            "far is short": _two("far is short", history_bars=150),
            "drifts": _two("drifts", second=peeks.fast_average, **drifting),
            "drifts, called finite": _two(
                "drifts, called finite", second=peeks.fast_average, history_bars=60
            ),
            "drifts too far": _two("drifts too far", second=coarse, **drifting),
            "day": _two("day", second=twins.high_of_the_day, memory="event", history_bars=None,
                        history_days=1),
            "part of a day": _two("part of a day", second=twins.high_of_the_day, memory="event",
                                  history_bars=30),
        },
        make_bars("trend", rows=1_500, seed=7),
        detectors=["prefix", "history"], max_cuts=300,
    )  # fmt: skip
    guilty = {name: {f.column for f in one.failures} for name, one in found.items()}
    assert guilty == {
        "both": set(), "near is short": {"near"}, "far is short": {"far"}, "drifts": set(),
        "drifts, called finite": {"far"}, "drifts too far": {"far"}, "day": set(),
        "part of a day": {"far"},
    }  # fmt: skip


def test_the_same_seed_gives_the_same_certificates():
    columns = {"peek": peeks.hour_too_early, "stream": twins.streamed("stream", slip_at=5)}
    assert _prove(columns, max_cuts=60) == _prove(columns, max_cuts=60)


def test_a_single_set_with_a_stream_goes_the_same_way():
    found = falsify_feature_set(
        replace(twins.streamed("one"), name="one"), BARS, decisions_bars=[500], seed=0, max_cuts=60
    )
    assert (found.status, found.proven_bars) == ("clean", len(BARS))
