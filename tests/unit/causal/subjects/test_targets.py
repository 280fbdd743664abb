"""The falsifier on targets: honest ones are clean, each fault is caught by its detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ffm_core.causal.subjects.targets import falsify_target
from ffm_core.errors import StrategyError
from ffm_core.records import Target, TargetValues
from ffm_core.records.proofs import told
from ffm_core.testing import make_bars

SPAN = 12
BARS = make_bars("random", rows=1_500, seed=4)


def moves(bars, span=SPAN):
    n = len(bars)
    value, end = np.full(n, np.nan), np.full(n, -1, np.int64)
    if n > span:
        value[:-span] = bars.close[span:] - bars.close[:-span]
        end[:-span] = np.arange(span, n)
    return value, end


def answer(value, end):
    return TargetValues(
        value=value.astype(np.float32), end_bar=np.where(np.isnan(value), -1, end).astype(np.int64)
    )


def first_touch(bars):
    """Which of two levels is touched first, known at the touch; an event's own horizon."""
    n, size = len(bars), 4.0
    value, end = np.full(n, np.nan), np.full(n, -1, np.int64)
    for t in range(n):
        for j in range(t + 1, min(t + 1 + SPAN, n)):
            up, down = bars.high[j] >= bars.close[t] + size, bars.low[j] <= bars.close[t] - size
            if up or down:
                value[t], end[t] = float(up and not down), j
                break
        else:
            if t + SPAN < n:
                value[t], end[t] = TargetValues.MASKED, t + SPAN
    return value, end


def falsify(compute, bars=BARS, **given):
    declared = {"name": "own", "kind": "regression", "compute": compute, "horizon_bars": SPAN}
    return falsify_target(Target(**(declared | given)), bars, seed=0)


def only(found):
    (failure,) = found.failures
    return failure


@pytest.mark.parametrize("kind", ["random", "gappy", "rolls"])
def test_an_honest_target_is_clean(kind):
    bars = make_bars(kind, rows=1_200, seed=2)
    found = falsify(lambda bars: answer(*moves(bars)), bars)
    assert found.failures == ()
    assert found.cuts > 400
    assert found.rows_compared > 100 * found.cuts
    assert found.detection_bound <= 1.0 - 0.01 ** (1.0 / 300)


def test_an_event_with_its_own_end_and_masked_rows_is_clean():
    found = falsify(lambda bars: answer(*first_touch(bars)), BARS[:400], kind="binary")
    assert found.failures == ()


def test_the_past_may_be_read_as_far_back_as_there_is():
    def scaled(bars):
        value, end = moves(bars)
        count = np.arange(1, len(bars) + 1)
        return answer(value / (1.0 + np.abs(bars.close - np.cumsum(bars.close) / count)), end)

    assert falsify(scaled).failures == ()


def test_a_value_known_before_its_end_is_found_with_the_line():
    def early(bars):
        value, end = moves(bars)
        told = end - 1
        return answer(value, told)

    failure = only(falsify(early))
    assert (failure.check, failure.column) == ("horizon", "value")
    assert failure.first_future_bar - failure.bar == SPAN
    assert failure.line.endswith("told = end - 1")


def test_an_end_one_bar_short_on_one_row_in_a_hundred_is_found():
    def sparse(bars):
        value, end = moves(bars)
        t = np.arange(len(bars))
        return answer(value, np.where(t % 101 == 7, end - 1, end))

    failure = only(falsify(sparse))
    assert failure.check == "horizon"
    assert failure.bar % 101 == 7


def test_a_value_that_reads_further_on_one_row_in_a_hundred_is_found():
    def sparse(bars):
        value, end = moves(bars)
        further, _ = moves(bars, SPAN + 1)
        rare = (np.arange(len(bars)) % 97 == 5) & np.isfinite(further)
        return answer(np.where(rare, further, value), end)

    failure = only(falsify(sparse))
    assert failure.check == "horizon"
    assert failure.bar % 97 == 5
    assert "bars.close[span:]" in failure.line  # where the value that reads further is made


def test_a_quantile_of_the_file_is_found_with_its_line():
    def classes(bars):
        value, end = moves(bars)
        known = np.isfinite(value)
        edge = np.quantile(value[known], 0.6) if known.any() else 0.0
        return answer(np.where(known, value > edge, np.nan), end)

    failure = only(falsify(classes, kind="binary"))
    assert failure.check == "horizon"
    assert "edge = np.quantile(value[known], 0.6)" in failure.line


def test_a_shorter_value_at_the_end_of_the_data_is_found():
    def cut_short(bars):
        n = len(bars)
        end = np.minimum(np.arange(n) + SPAN, n - 1)
        return answer(bars.close[end] - bars.close, end)

    assert only(falsify(cut_short)).check == "horizon"


def test_a_condition_met_only_in_changed_bars_is_found_by_changing_them():
    def cautious(bars):
        value, end = moves(bars)
        ahead = bars.close[np.minimum(np.arange(len(bars)) + 2 * SPAN, len(bars) - 1)]
        return answer(np.where(np.abs(ahead / bars.close - 1) > 0.1, 0.0, value), np.where(
            np.isnan(value), -1, end))  # fmt: skip

    failure = falsify(cautious).failures[0]
    assert failure.check == "horizon"
    assert "are changed (" in told(failure.reason)


@pytest.mark.parametrize(
    ("change", "check", "column"),
    [
        (lambda v, e: (v, e - 1 - SPAN), "horizon", "end_bar"),
        (lambda v, e: (v, np.where(e < 0, e, e + 5000)), "horizon", "end_bar"),
        (lambda v, e: (np.where(e == 500, np.inf, v), e), "values", "value"),
    ],
)
def test_answers_that_do_not_agree_with_themselves(change, check, column):
    found = falsify(lambda bars: answer(*change(*moves(bars))))
    assert (check, column) in {(f.check, f.column) for f in found.failures}


def test_undefined_rows_and_end_bars_must_agree():
    def ends(bars):
        value, end = moves(bars)
        return TargetValues(value=value.astype(np.float32), end_bar=np.maximum(end, 0))

    found = falsify(ends)
    assert ("values", "end_bar") in {(f.check, f.column) for f in found.failures}


def test_numbers_that_are_no_class_are_found():
    names = ("down", "flat", "up")

    def classes(bars, spare=0.0):
        value, end = moves(bars)
        return answer(np.where(np.isnan(value), np.nan, np.sign(value) + 1 + spare), end)

    assert falsify(classes, kind="classes", classes=names).failures == ()
    found = falsify(lambda bars: classes(bars, 0.5), kind="classes", classes=names)
    assert only(found).check == "values"


def test_a_horizon_declared_one_bar_short_is_found():
    failure = only(falsify(lambda bars: answer(*moves(bars)), horizon_bars=SPAN - 1))
    assert (failure.check, failure.column) == ("horizon", "end_bar")
    assert "declared 11 bars" in told(failure.reason)


def test_chance_edits_and_state_are_failures_of_purity():
    calls = []

    def noisy(bars):
        value, end = moves(bars)
        noise = np.random.default_rng().normal(size=len(bars))
        return answer(value + noise, end)

    def edits(bars):
        if len(bars) > 3:
            bars.frame[3, "close"] = 0.0
        return answer(*moves(bars))

    def tires(bars):
        calls.append(1)
        value, end = moves(bars)
        return answer(value + (len(calls) > 400), end)

    failure = falsify(noisy).failures[0]
    assert failure.check == "purity"
    assert "default_rng()" in failure.line
    assert falsify(edits).failures[0].check == "purity"
    assert only(falsify(tires)).check == "purity"


def test_values_remembered_from_the_longest_series_are_found():
    known = {}

    def remembers(bars):
        key = int(bars.ts_us[0]) if len(bars) else 0
        value, end = moves(bars)
        if len(bars) > 200:
            value = np.where(np.isnan(value), np.nan, value - np.nanmean(value))
        if key not in known or len(known[key][0]) < len(bars):
            known[key] = (value, end)
        value, end = known[key][0][: len(bars)], known[key][1][: len(bars)]
        late = end >= len(bars)
        return answer(np.where(late, np.nan, value), np.where(late, -1, end))

    assert {f.check for f in falsify(remembers).failures} == {"purity"}


def test_another_shape_or_type_breaks_the_contract():
    whole = Target(name="own", kind="regression", compute=lambda bars: None, horizon_bars=SPAN)
    with pytest.raises(StrategyError, match="expected TargetValues"):
        falsify_target(whole, BARS, seed=0)
    wide = replace(
        whole, compute=lambda bars: TargetValues(value=bars.close, end_bar=np.arange(len(bars)))
    )
    with pytest.raises(StrategyError, match="float64"):
        falsify_target(wide, BARS, seed=0)
