"""Every rule of an answer has its red case, and all who ask refuse in the same words."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from ffm_core.causal import falsify_feature_set, falsify_labeler
from ffm_core.errors import StrategyError
from ffm_core.evaluate.asking import ask
from ffm_core.features.windowed import open_stream
from ffm_core.records import (
    CheckResult,
    Column,
    Control,
    Decisions,
    Design,
    Embedder,
    ExitPolicy,
    FeatureSet,
    Labeler,
    Plan,
    Target,
    TargetValues,
    VerdictCheck,
    View,
    answers,
)
from ffm_core.records.forms import require_unique
from ffm_core.testing import check_feature_set, check_strategy, make_bars

BARS = make_bars("trend", rows=200, seed=1)
T = len(BARS)
AT = np.arange(50, 150, 10)
ONES = np.ones(len(AT))
HERE = r"at bar 80 \(20\d\d-\d\d-\d\dT\d\d:\d\d:00Z\) of \w+/\w+"
WIDTH = Column(name="width", unit="points")


def decided(**changes):
    return Decisions(**{"bar": AT, "side": ONES, "risk": 5 * ONES, **changes})


def bad(values, row=3, value=np.nan):
    changed = np.array(values, dtype=float)
    changed[row] = value
    return changed


def labeler(decide=lambda bars, params: decided(), **changes):
    return Labeler(name="it", decide=decide, horizon_bars=5, warmup_bars=5, **changes)


def feature_set(batch=None, **changes):
    given = {"name": "it", "columns": (WIDTH,), "warmup_bars": 0, "history_bars": 1, **changes}
    return FeatureSet(batch=batch or (lambda bars: np.zeros((len(bars), 1), np.float32)), **given)


def orders(answer, name="leave_long"):
    policy = ExitPolicy(
        name="it", kind="managed", columns=(Column(name=name, unit="flag"),), batch=len
    )
    return answers.orders(policy, answer, BARS)


def started(*parts):
    return answers.first_state(ExitPolicy(name="it", kind="static"), parts)


def targets(answer):
    policy = ExitPolicy(name="it", kind="predicted", target_of=lambda r, params: r)
    return answers.targets(policy, answer, np.array([1.0, 2.0]))


def embedded(answer):
    given = Embedder(name="it", context_bars=2, columns=(WIDTH,), identity="", embed=len)
    return answers.vectors(given, answer, 2)


def target_values(value, end_bar):
    given = Target(name="own/it", kind="regression", compute=len, horizon_bars=1)
    return answers.target_values(given, TargetValues(value=value, end_bar=end_bar), BARS)


def view(names=("a",), outcomes="known"):
    empty = np.empty(0, np.int64)
    return View(
        design=Design(x=np.empty((0, len(names)), np.float32), names=names),
        stream=empty, bar=empty, side=empty, group=empty, t_us=empty, outcomes=outcomes,
    )  # fmt: skip


class Named:
    name = "it"


def changed(answer):
    return answers.changed_view(Control(name="it", change=len), answer, view())


def tradable(**changes):
    return answers.decisions(labeler(), decided(**changes), BARS)


F32, F64, NONE = np.float32, np.float64, np.empty(0)
RED = {
    # decisions as they are made
    "two risks": (lambda: decided(stop_price=ONES), "either 'risk' or 'stop_price', not both"),
    "a half bar": (lambda: decided(bar=AT + 0.5), "bar of decision 0 is 50.5, which is no int64"),
    "257": (lambda: decided(side=257 * ONES), "side of decision 0 is 257.0, which is no int8"),
    "no bar": (lambda: decided(bar=bad(AT, row=9)), "bar of decision 9 is nan"),
    "half bars": (lambda: decided(horizon_bars=2.5 * ONES), "2.5, which is no int32"),
    "a wide group": (lambda: decided(group=2.0**70 * ONES), "which is no int64"),
    "two lengths": (lambda: decided(side=[1]), r"decisions.side has shape \(1,\), expected \(10,"),
    "a short column": (lambda: decided(columns={"x": [1]}), r"decisions.x has shape \(1,\)"),
    "no side": (lambda: decided(side=bad(ONES, value=2)),
                r"side of decision 3 is 2 at bar 80, expected \+1 or -1"),
    "unsorted": (lambda: decided(bar=bad(AT, value=60)),
                 "decision 3 at bar 60 follows one at bar 70, expected the order of bars"),
    "twice": (lambda: decided(bar=bad(AT, value=70)),
              "decision 3 at bar 70 holds side 1 a second time"),
    # what a labeler answers
    "no decisions": (lambda: answers.decisions(labeler(), [], BARS),
                     r"labeler 'it': decide on \w+/\w+ returned list, expected Decisions"),
    "late": (lambda: tradable(bar=AT + 100),
             r"decision 5 is at bar 200 of \w+/\w+, which has 200 bars"),
    "early": (lambda: tradable(bar=AT - 51), r"decision 0 is at bar -1 of \w+/\w+"),
    "a column too many": (lambda: tradable(columns={"x": ONES}), "columns differ in x$"),
    "risk": (lambda: tradable(risk=bad(ONES)), f"labeler 'it': risk of decision 3 is nan {HERE}"),
    "negative": (lambda: tradable(risk=bad(ONES, value=-2)), "risk of decision 3 is -2.0"),
    "endless": (lambda: tradable(risk=bad(ONES, value=np.inf)), "risk of decision 3 is inf"),
    "stop": (lambda: tradable(risk=None, stop_price=bad(ONES)), "stop_price of decision 3 is nan"),
    "target": (lambda: tradable(target_r=bad(2 * ONES, value=0.5)),
               f"target_r of decision 3 is 0.5 {HERE}, expected a finite target of 1 R or more"),
    "far target": (lambda: tradable(target_r=np.inf * ONES), "target_r of decision 0 is inf"),
    "horizon": (lambda: tradable(horizon_bars=0 * ONES), "horizon_bars of decision 0 is 0"),
    # feature sets and embedders
    "features in float64": (lambda: answers.features(feature_set(), np.zeros((T, 1)), BARS),
                            "batch on .* returned float64, expected a float32 array"),
    "no features": (lambda: answers.features(feature_set(), None, BARS), "returned NoneType"),
    "a row too few": (lambda: answers.features(feature_set(), np.zeros((T - 1, 1), F32), BARS),
                      r"returned shape \(199, 1\), expected \(200, 1\)"),
    "a wide row": (lambda: answers.feature_row("it", np.zeros(2, F32), 1),
                   r"feature set 'it': update returned shape \(2,\), expected \(1,\)"),
    "a wide number": (lambda: answers.feature_row("it", np.zeros(1), 1), "float64"),
    "a list as state": (lambda: answers.as_bytes("it", "snapshot", []), "snapshot returned list"),
    "a short vector": (lambda: embedded(np.zeros((1, 1), F32)), r"embed returned shape \(1, 1\)"),
    "an endless vector": (lambda: embedded(np.array([[0], [np.inf]], F32)),
                          "embedder 'it': width of window 1 is inf, expected a finite number"),
    # exit policies
    "orders in float32": (lambda: orders(np.zeros((T, 1), F32)), "expected a float64 array"),
    "few orders": (lambda: orders(np.zeros((T, 2))), r"shape \(200, 2\), expected \(200, 1\)"),
    "half a flag": (lambda: orders(bad(np.zeros(T), row=80, value=0.5)[:, None]),
                    f"exit policy 'it': leave_long is 0.5 {HERE}, expected a flag"),
    "two parts": (lambda: started(NONE, NONE), "start returned 2 parts"),
    "a float as count": (lambda: started(NONE, NONE, NONE), "as 'i', returned float64"),
    "a table as state": (lambda: started(np.zeros((2, 2)), NONE, NONE), "as 'f', returned shape"),
    "no constant": (lambda: started(NONE, NONE.astype(int), np.array([np.nan])),
                    r"k\[0\] of start is nan"),
    "near": (lambda: targets(np.array([3.0, 0.5])),
             r"target_of answers 0.5 to a peak of 2.0 R \(row 1\), expected a finite target"),
    "no end": (lambda: targets(np.array([np.inf, 2.0])), "target_of answers inf"),
    "one for two": (lambda: targets(np.array([2.0])), r"shape \(1,\) for 2 peaks"),
    # learners, targets, controls, checks
    "no model": (lambda: answers.as_model(Named, "fit", 3),
                 "learner 'it': fit returned int, expected Model"),
    "no bytes": (lambda: answers.as_bytes("it", "to_bytes", "x"),
                 "to_bytes returned str, expected bytes"),
    "no plan": (lambda: answers.as_plan("it", ONES, 10), "plan returned ndarray, expected Plan"),
    "a score too few": (lambda: answers.as_plan("it", Plan(score=ONES), 9),
                        r"plan returned score of shape \(10,\) for 9 rows"),
    "a short prediction": (lambda: answers.as_plan("it", Plan(score=ONES, predicted_r=NONE), 10),
                           "returned predicted_r of shape"),
    "no score": (lambda: answers.as_plan("it", Plan(score=bad(ONES)), 10),
                 "the score of row 3 is not finite"),
    "no values": (lambda: answers.target_values(Named, 5, BARS), "expected TargetValues"),
    "values in float64": (lambda: target_values(np.zeros(T), np.zeros(T, np.int64)),
                          "target 'own/it': compute on .*, as 'value', returned float64"),
    "few ends": (lambda: target_values(np.zeros(T, F32), np.zeros(3, np.int64)),
                 r"as 'end_bar', returned shape \(3,\)"),
    "no view": (lambda: changed(None), "control 'it': change returned NoneType"),
    "other columns": (lambda: changed(view(("b",))), "a view with other columns than it was given"),
    "blind": (lambda: changed(view(outcomes=None)), "a view with no outcomes"),
    "no result": (lambda: answers.check_result(VerdictCheck(name="it", judge=len), True),
                  "verdict check 'it': judge returned bool, expected CheckResult"),
    "a name twice": (lambda: require_unique("it", "column", ["a", "b", "a"]),
                     "it: declares column 'a' twice"),
    "a name that is none": (lambda: require_unique("it", "column", [""]), "without a name"),
}  # fmt: skip


@pytest.mark.parametrize("case", RED)
def test_a_broken_rule_names_subject_place_and_mend(case):
    broken, words = RED[case]
    with pytest.raises(StrategyError, match=f"(?m){words}") as caught:
        broken()
    assert caught.value.fix


def test_sound_answers_come_back_as_they_are():
    found = decided(target_r=2 * ONES, horizon_bars=7 * ONES, group=AT)
    assert answers.decisions(labeler(), found, BARS) is found
    tradable(risk=0 * ONES)  # void, not wrong
    assert len(answers.decisions(labeler(), found.take(AT < 0), BARS)) == 0
    rows, flags = np.full((T, 1), np.nan, F32), bad(np.ones(T))[:, None]
    assert answers.features(feature_set(), rows, BARS) is rows
    assert orders(flags) is flags
    assert orders(5 * flags, "stop_long") is not flags
    assert (targets(np.array([1, 2])) == [1, 2]).all()
    assert answers.as_plan("it", Plan(score=NONE), 0).probability is None
    result = CheckResult(name="it", outcome="pass")
    assert answers.check_result(VerdictCheck(name="it", judge=len), result) is result
    assert changed(given := view()) is given


FAULTY_LABELERS = {
    "no decisions": labeler(lambda bars, params: None),
    "beyond the bars": labeler(lambda bars, params: decided(bar=AT + len(bars))),
    "an undeclared column": labeler(lambda bars, params: decided(columns={"x": ONES})),
}
FAULTY_SETS = {
    "float64": feature_set(lambda bars: np.zeros((len(bars), 1))),
    "two columns": feature_set(lambda bars: np.zeros((len(bars), 2), F32)),
    "no array": feature_set(lambda bars: [0.0]),
}


def refusal(ask_it):
    with pytest.raises(StrategyError) as caught:
        ask_it()
    return caught.value


@pytest.mark.parametrize("fault", FAULTY_LABELERS)
def test_evaluation_falsifier_and_kit_refuse_a_labeler_in_one_line(fault):
    given = FAULTY_LABELERS[fault]
    said = refusal(lambda: ask(given, BARS, {}))
    proved = refusal(lambda: falsify_labeler(given, BARS, {}, seed=0))
    assert (said.problem, said.fix) == (proved.problem, proved.fix)
    report = str(check_strategy(given, bars=BARS, on_fail="report"))
    assert f"{said.problem}\n      fix: {said.fix}" in report


@pytest.mark.parametrize("fault", FAULTY_SETS)
def test_drivers_falsifier_and_kit_refuse_a_feature_set_in_one_line(fault):
    given = FAULTY_SETS[fault]
    said = refusal(lambda: answers.features(given, given.batch(BARS), BARS))
    at = np.arange(5, 150, 10)
    proved = refusal(lambda: falsify_feature_set(given, BARS, decisions_bars=at, seed=0))
    assert (said.problem, said.fix) == (proved.problem, proved.fix)
    report = str(check_feature_set(given, bars=BARS, on_fail="report"))
    assert f"{said.problem}\n      fix: {said.fix}" in report
    stream = open_stream(given, BARS.instrument, BARS.timeframe)
    streamed = refusal(lambda: stream.update(int(BARS.ts_us[0]), 1.0, 1.0, 1.0, 1.0, 1.0))
    form = re.compile(r"\(\d+, ")  # the stream shows its history alone
    assert form.sub("(n, ", streamed.problem) == form.sub("(n, ", said.problem)


def test_a_refusal_says_whom_it_names():
    hidden = replace(labeler(), name="secret", private=True)
    said = refusal(lambda: answers.decisions(hidden, None, BARS))
    assert said.named == "labeler 'secret'"
