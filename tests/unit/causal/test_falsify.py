from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ffm_core.causal import falsify, falsify_feature_set, falsify_labeler, merge
from ffm_core.causal.cutting.cuts import detection_bound
from ffm_core.causal.subjects.base import FeatureSubject
from ffm_core.errors import StrategyError
from ffm_core.records import Column, Decisions, Examined, FeatureSet
from ffm_core.records.proofs import told
from ffm_core.testing import make_bars, peeks
from ffm_core.testing.building import build, hourly, windows
from ffm_core.testing.specimens import CLEAN_LABELER

BARS = make_bars("trend", rows=1_000, seed=7)


def _set(column, *, history=None, memory="finite", warmup=20, name="set"):
    def batch(bars):
        return column(bars).astype(np.float32)[:, None]

    columns = (Column(name="value", unit="ratio"),)
    return FeatureSet(
        name=name,
        columns=columns,
        batch=batch,
        warmup_bars=warmup,
        history_bars=history,
        memory=memory,
    )


def _features(column, bars=BARS, max_cuts=150, **declared):
    return falsify_feature_set(
        _set(column, **declared), bars, decisions_bars=[500, 900], seed=0, max_cuts=max_cuts
    )


def _labeler(column, max_cuts=150, bars=BARS, **declared):
    def decide(bars, params):
        return build(bars, hourly(bars), column(bars))

    labeler = replace(CLEAN_LABELER, **({"history_bars": None} | declared), decide=decide)
    return falsify_labeler(labeler, bars, {}, seed=0, max_cuts=max_cuts)


def _mean(bars):
    return windows(bars.close, 20).mean(axis=1)


def _ahead(k):
    def column(bars):
        moved = np.full(len(bars), np.nan)
        if len(bars) > k:
            moved[:-k] = bars.close[k:]
        return moved

    return column


# --- feature sets -------------------------------------------------------------------------


HONEST = {
    "mean": (_mean, {"history": 20}),
    "mean, whole past": (_mean, {}),
    "place in range": (peeks.place_in_range, {"history": 20}),
    "fast average": (peeks.fast_average, {"history": 500, "memory": "recursive"}),
    "slow average": (peeks.slow_average, {"memory": "recursive"}),
    "bars since high": (peeks.bars_since_high, {"memory": "event"}),
    "hour released": (peeks.hour_released, {}),
    "pivot confirmed": (peeks.pivot_confirmed, {"history": 7}),
    "expanding score": (peeks.expanding_score, {"memory": "recursive"}),
    "late nan": (peeks.late_nan, {"history": 300}),
}


@pytest.fixture(scope="module")
def shown():
    """Certificates of all columns above and all that peek, from one worker."""
    sets = [_set(column, name=name) for name, column in sorted(peeks.PEEKS.items())]
    sets += [_set(column, name=name, **declared) for name, (column, declared) in HONEST.items()]
    found = falsify(
        [FeatureSubject(one, None) for one in sets],
        BARS,
        seed=0,
        decision_bars=[500, 900],
        max_cuts=300,
    )
    return dict(zip((one.name for one in sets), found, strict=True))


@pytest.mark.parametrize("name", sorted(peeks.PEEKS))
def test_a_feature_that_reads_the_future_is_caught_by_cutting(shown, name):
    found = shown[name]
    assert found.status == "broken"
    assert {failure.check for failure in found.failures} == {"prefix"}
    failure = found.failures[0]
    assert failure.column == "value"
    assert failure.first_future_bar > failure.bar
    assert failure.stamp.endswith("Z")
    assert told(failure.repair)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_feature_raises_no_alarm(shown, name):
    assert shown[name].failures == ()
    assert shown[name].status == "clean"


@pytest.mark.slow
def test_a_flag_on_one_bar_an_hour_is_found_on_a_long_series():
    bars = make_bars("random", rows=12_000, seed=3)
    sparse = _features(peeks.sparse_flag, bars=bars, max_cuts=2_000)
    assert sparse.status == "broken"


def test_the_first_later_bar_that_matters_is_named():
    sets = [_set(_ahead(k), name=str(k)) for k in (1, 4, 17)]
    found = falsify([FeatureSubject(one, None) for one in sets], BARS, seed=0, max_cuts=300)
    ahead = [one.failures[0].first_future_bar - one.failures[0].bar for one in found]
    assert ahead == [1, 4, 17]


def test_the_earliest_cut_row_is_named_first():
    bars = make_bars("random", rows=300, seed=1)
    failure = _features(_ahead(1), bars=bars, max_cuts=300).failures[0]
    assert failure.bar == 0  # warm-up rows are cut, too


@pytest.mark.slow
def test_history_one_bar_short_is_under_declared():
    assert _features(_mean, history=20).status == "clean"
    failure = _features(_mean, history=19, warmup=19).failures[0]
    assert failure.check == "history"
    assert told(failure.repair) == "declare history_bars=38, which would do here, or None"


@pytest.mark.slow
def test_a_running_sum_called_finite_is_told_from_a_lack_of_history():
    def running(bars):
        total = np.cumsum(bars.close * 1.1)
        total[20:] -= total[:-20].copy()
        return total / 20.0

    def batch_of_doubles(bars, params):
        return build(bars, hourly(bars), running(bars))

    labeler = replace(CLEAN_LABELER, decide=batch_of_doubles, history_bars=60)
    failure = falsify_labeler(labeler, BARS, {}, seed=0, max_cuts=300).failures[0]
    assert failure.check == "history"
    assert "recursive" in told(failure.repair)
    tolerant = replace(labeler, memory="recursive")
    assert falsify_labeler(tolerant, BARS, {}, seed=0, max_cuts=300).status == "clean"


@pytest.mark.slow
def test_a_broken_history_does_not_hide_a_peek():
    def both(bars):
        return np.nan_to_num(_ahead(1)(bars)) + np.arange(len(bars))

    checks = {failure.check for failure in _features(both, history=30).failures}
    assert checks == {"prefix"}
    sparse = {f.check for f in _features(_late_peek, history=30).failures}
    assert sparse == {"history", "prefix"}


def _late_peek(bars):
    """Counts bars, which no window reproduces, and peeks on the hour."""
    return peeks.sparse_flag(bars) * 100 + np.arange(len(bars))


def test_infinities_are_failures_of_value():
    (failure,) = _features(peeks.infinite).failures
    assert (failure.check, failure.column) == ("values", "value")


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (lambda bars: np.zeros((len(bars), 1)), "float64"),
        (lambda bars: np.zeros((len(bars) - 1, 1), np.float32), "shape"),
        (lambda bars: np.zeros(len(bars), np.float32), "shape"),
        (lambda bars: [[0.0]], "list"),
    ],
)
def test_another_shape_or_type_breaks_the_contract(batch, message):
    broken = replace(_set(_mean), batch=batch)
    with pytest.raises(StrategyError, match=message):
        falsify_feature_set(broken, BARS, decisions_bars=[], seed=0)


# --- labelers -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_clean_labeler_is_certified_with_what_was_done():
    found = _labeler(_mean, max_cuts=500)
    assert found.status == "clean"
    assert found.failures == ()
    assert found.subjects == (Examined("labeler", "clean", "ES/5m"),)
    assert 300 < found.cuts <= 500
    assert found.rows_compared > 64 * found.cuts
    assert detection_bound(500) <= found.detection_bound <= detection_bound(300)


@pytest.fixture(scope="module")
def two():
    """Certificates of a clean labeler and of one that peeks."""
    return _labeler(_mean), _labeler(peeks.next_bar)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_certificate(two):
    assert (_labeler(_mean), _labeler(peeks.next_bar)) == two


def test_a_declared_history_is_used_and_gives_the_same_answer(two):
    windowed, (whole, _) = _labeler(_mean, history_bars=60), two
    assert windowed.status == whole.status == "clean"
    assert windowed.cuts == whole.cuts


def test_a_window_longer_than_the_declared_history_is_never_shown():
    def decide(bars, params):
        given = len(bars)
        short = given <= 60 + 1 + 64 or bars.ts_us[0] == first  # a window, or a prefix
        return build(bars, hourly(bars), _mean(bars) + (0.0 if short else 1.0))

    bars = make_bars("trend", rows=3_000, seed=7)
    first = int(bars.ts_us[0])
    labeler = replace(CLEAN_LABELER, decide=decide, history_bars=60)
    assert falsify_labeler(
        labeler, bars, {}, seed=0, max_cuts=300, detectors=["history"]
    ).failures == ()  # fmt: skip


@pytest.mark.slow
def test_a_labeler_that_peeks_only_when_something_extreme_follows_is_mutated():
    def decide(bars, params):
        plain = build(bars, hourly(bars), _mean(bars))
        jump = np.append(np.abs(np.diff(np.log(bars.close))) > 0.1, False)[: len(bars)]
        return plain.take(~jump[plain.bar])

    found = falsify_labeler(
        replace(CLEAN_LABELER, decide=decide, history_bars=None), BARS, {}, seed=0, max_cuts=300
    )
    failure = found.failures[0]
    assert failure.check == "mutation"
    assert failure.first_future_bar == failure.bar + 1


def test_an_edited_input_is_no_look_ahead():
    def decide(bars, params):
        found = build(bars, hourly(bars), _mean(bars))
        bars.frame[7, "open"] = 0.0
        return found

    (failure,) = falsify_labeler(
        replace(CLEAN_LABELER, decide=decide), BARS, {}, seed=0, max_cuts=300
    ).failures
    assert (failure.check, failure.column) == ("purity", "open")
    assert BARS.frame["open"][7] != 0.0


def test_an_answer_by_chance_is_no_look_ahead():
    rng = np.random.default_rng(0)
    found = _labeler(lambda bars: rng.standard_normal(len(bars)))
    assert {failure.check for failure in found.failures} == {"purity"}


def test_chance_that_shows_only_now_and_then_is_still_no_look_ahead():
    calls = []

    def sometimes(bars):
        calls.append(1)
        return _mean(bars) + (len(calls) > 40)

    found = _labeler(sometimes)
    assert {failure.check for failure in found.failures} == {"purity"}


def test_a_remembered_series_does_not_hide_what_it_read():
    longest = {}

    def decide(bars, params):
        if len(bars) > longest.get("n", -1):
            longest["n"] = len(bars)
            longest["said"] = build(bars, hourly(bars), peeks.next_bar(bars))
        said = longest["said"]
        return said.take(said.bar < len(bars))

    labeler = replace(CLEAN_LABELER, decide=decide, history_bars=None)
    decide(BARS, {})  # an evaluation may have asked before the falsifier does
    found = falsify_labeler(labeler, BARS, {}, seed=0, max_cuts=300)
    assert {failure.check for failure in found.failures} == {"purity"}


def test_errors_are_worded_by_the_given_call_wherever_they_arise():
    def call(function, *args):
        try:
            return function(*args)
        except Exception as error:
            raise StrategyError(f"my words: {error}") from error

    def decide(bars, params):
        if len(bars) < len(BARS):  # in the worker only
            raise ValueError("too short")
        return build(bars, hourly(bars), _mean(bars))

    with pytest.raises(StrategyError, match=r"my words: .*too short"):
        falsify_labeler(
            replace(CLEAN_LABELER, decide=decide), BARS, {}, seed=0, max_cuts=50, call=call
        )


def test_every_call_gets_parameters_of_its_own():
    def decide(bars, params):
        assert params == {"n": 3}
        params["n"] = 4
        return build(bars, hourly(bars), _mean(bars))

    labeler = replace(CLEAN_LABELER, decide=decide)
    assert falsify_labeler(labeler, BARS, {"n": 3}, seed=0, max_cuts=50).status == "clean"


def test_what_a_labeler_raises_becomes_an_error_that_names_it():
    def decide(bars, params):
        raise ZeroDivisionError("oh")

    with pytest.raises(StrategyError, match="labeler clean raised ZeroDivisionError: oh"):
        falsify_labeler(replace(CLEAN_LABELER, decide=decide), BARS, {}, seed=0, max_cuts=300)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda plain: None, "NoneType"),
        (lambda plain: replace(plain, columns={}), "value"),
        (lambda plain: replace(plain, bar=plain.bar + 10_000), "which has 1000 bars"),
    ],
)
def test_an_answer_outside_the_contract_is_an_error(answer, message):
    def decide(bars, params):
        return answer(build(bars, hourly(bars), _mean(bars)))

    with pytest.raises(StrategyError, match=message):
        falsify_labeler(replace(CLEAN_LABELER, decide=decide), BARS, {}, seed=0, max_cuts=300)


@pytest.mark.parametrize("rows", [0, 1, 2, 30])
def test_few_bars_are_certified_for_what_they_show(rows):
    found = falsify_labeler(CLEAN_LABELER, make_bars("random", rows, 0), {}, seed=0, max_cuts=300)
    assert found.status == "clean"
    assert found.cuts == max(rows - 1, 0)
    assert found.detection_bound == (0.0 if rows > 1 else 1.0)
    assert found.word == ("clean" if rows > 1 else "unproven")


def test_a_warm_up_longer_than_the_data_leaves_nothing_unproven():
    for history in (None, 10**7):
        peeking = _labeler(peeks.next_bar, warmup_bars=10**7, history_bars=history)
        assert peeking.status == "broken"
        honest = _labeler(_mean, warmup_bars=10**7, history_bars=history)
        assert (honest.status, honest.detection_bound < 0.05) == ("clean", True)


def test_a_leak_in_warm_up_rows_is_found():
    def early(bars):
        moved = np.zeros(len(bars))
        moved[:40] = np.append(bars.close[1:41], np.full(40, np.nan))[: len(moved[:40])]
        return moved

    assert _features(early, warmup=50).failures[0].check == "prefix"


def test_the_row_of_every_decision_is_replayed_where_that_is_cheap():
    bars = make_bars("trend", rows=6_000, seed=7)
    once = int(hourly(bars)[123])
    stamp = int(bars.ts_us[once])

    def leaking(bars):
        value = _mean(bars)
        at = np.flatnonzero(bars.ts_us[:-1] == stamp)
        value[at] += 1e-3 * bars.close[at + 1]
        return value

    found = _labeler(leaking, bars=bars, max_cuts=400, history_bars=21)
    (failure,) = found.failures
    assert (failure.check, failure.bar) == ("prefix", once)
    assert _labeler(_mean, bars=bars, max_cuts=400, history_bars=21).decision_bound == 0.0
    few = _labeler(_mean, bars=bars, max_cuts=100)
    assert 0.0 < few.decision_bound < 0.05


@pytest.mark.parametrize("history", [None, 400])
@pytest.mark.parametrize("scale", [1.0, 1e12])
def test_a_future_value_in_the_last_bits_of_a_recursive_column_is_found(history, scale):
    def hidden(bars):
        value = scale + peeks.fast_average(bars)
        ahead = np.append(np.diff(bars.close) > 0, False)[: len(bars)]
        return np.where(ahead, np.nextafter(value, np.inf), value)

    found = _labeler(hidden, history_bars=history, memory="recursive")
    assert {failure.check for failure in found.failures} <= {"prefix", "repaint", "mutation"}
    assert found.status == "broken"
    plain = _labeler(
        lambda bars: scale + peeks.fast_average(bars), history_bars=history, memory="recursive"
    )
    assert plain.failures == ()


def test_no_decision_at_all_is_clean():
    def decide(bars, params):
        empty = np.empty(0)
        return Decisions(
            bar=empty.astype(np.int64), side=empty.astype(np.int8), risk=empty,
            columns={"value": empty},
        )  # fmt: skip

    found = falsify_labeler(replace(CLEAN_LABELER, decide=decide), BARS, {}, seed=0, max_cuts=300)
    assert found.status == "clean"


@pytest.mark.slow
def test_both_sides_of_a_bar_keep_their_own_values():
    def decide(bars, params, *, peek):
        rows = hourly(bars)
        plain = build(bars, rows, _mean(bars))
        both = np.repeat(rows, 2)
        side = np.tile(np.array([1, -1], np.int8), len(rows))
        value = np.repeat(plain.columns["value"], 2)
        if peek:
            value = value + (side < 0) * np.repeat(peeks.next_bar(bars)[rows], 2)
        risk = np.repeat(np.asarray(plain.risk), 2)
        return Decisions(bar=both, side=side, risk=risk, columns={"value": value})

    honest = replace(CLEAN_LABELER, decide=partial(decide, peek=False))
    peeking = replace(CLEAN_LABELER, decide=partial(decide, peek=True))
    assert falsify_labeler(honest, BARS, {}, seed=0, max_cuts=300).status == "clean"
    assert falsify_labeler(peeking, BARS, {}, seed=0, max_cuts=300).status == "broken"


# --- merging ------------------------------------------------------------------------------


def test_merging_adds_up_and_keeps_the_weakest_bound(two):
    clean, broken = two
    both = merge([clean, broken])
    assert both.status == "broken"
    assert both.cuts == clean.cuts + broken.cuts
    assert both.rows_compared == clean.rows_compared + broken.rows_compared
    assert both.detection_bound == max(clean.detection_bound, broken.detection_bound)
    assert both.failures == broken.failures
    assert merge([clean, clean]).subjects == clean.subjects
    assert merge([clean]) == clean
    assert both.sampled["random"] == clean.sampled["random"] + broken.sampled["random"]


def test_merging_nothing_proves_nothing():
    with pytest.raises(ValueError, match="no certificates"):
        merge([])
