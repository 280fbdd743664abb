"""Exits, the learner and the folds are falsified before a result is seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ffm_core.bars.sessions import day_grid
from ffm_core.evaluate.certify import certify_folds, certify_stream
from ffm_core.evaluate.job import Job, direct_job
from ffm_core.evaluate.parts import Parts
from ffm_core.evaluate.pool import Folded, Seal
from ffm_core.evaluate.run import refuse
from ffm_core.evaluate.streams import StreamTask
from ffm_core.labels.policies import ATR_TRAIL, DYNAMIC_TARGET, FIXED_RR
from ffm_core.records import Certificate, Column, Examined, ExitPolicy, Plan, View, because
from ffm_core.ruler.folds import DecisionTable, FoldPlan, FoldSettings, plan_folds
from ffm_core.ruler.months import month_of
from ffm_core.runs.config import EvalConfig
from ffm_core.testing import make_bars, make_view
from ffm_core.testing.specimens import CLEAN_LABELER
from ffm_xgb.learner import LEARNERS

BARS = make_bars("random", rows=1_200, seed=6)
DECISIONS = CLEAN_LABELER.decide(BARS, {})
DAY_US = 86_400_000_000


# --- exits --------------------------------------------------------------------------------


def tomorrow(bars, params):
    flag = np.zeros((len(bars), 1))
    flag[:-1, 0] = (bars.close < bars.open)[1:]
    return flag


HINDSIGHT = ExitPolicy(name="hindsight", kind="managed", batch=tomorrow,
                       columns=(Column(name="leave_long", unit="flag"),))  # fmt: skip


def certificates(
    home: Path, run: ExitPolicy, label: ExitPolicy = FIXED_RR, **given: Any
) -> Certificate:
    parts = Parts(
        labeler=replace(CLEAN_LABELER, private=given.pop("private", False)),
        label_policy=label,
        run_policy=run,
        feature_sets=(),
        call=lambda function, *args: function(*args),
    )
    task = StreamTask(
        source=SimpleNamespace(parts=parts),
        config=EvalConfig(strategy="own", flat_at_session_end=given.pop("flat", False)),
        bars=BARS,
        code_hash="code",
        home=home,
    )
    return certify_stream((task, given.pop("decisions", DECISIONS)))


@pytest.mark.parametrize("run", [FIXED_RR, DYNAMIC_TARGET, ATR_TRAIL], ids=lambda p: p.name)
@pytest.mark.parametrize("flat", [False, True])
def test_built_in_exits_are_clean_and_each_is_named_once(tmp_path, run, flat):
    found = certificates(tmp_path, run, flat=flat)
    assert found.status == "clean"
    exits = [one for one in found.subjects if one.kind == "exit"]
    named = {Examined("exit", name, BARS.stream) for name in {FIXED_RR.name, run.name}}
    assert len(exits) == len(named)
    assert set(exits) == named


def test_an_exit_with_hindsight_is_found_and_shown_from_the_cache(tmp_path, monkeypatch):
    broken = certificates(tmp_path, HINDSIGHT)
    assert broken.status == "broken"
    first = broken.failures[0]
    assert (first.check, first.column) == ("prefix", "leave_long")
    assert "flag[:-1, 0]" in first.line
    monkeypatch.setattr("ffm_core.evaluate.certify.falsify", None)
    assert certificates(tmp_path, HINDSIGHT) == broken


def test_the_code_of_a_private_strategy_is_not_shown(tmp_path):
    broken = certificates(tmp_path, HINDSIGHT, private=True)
    assert broken.status == "broken"
    assert {failure.line for failure in broken.failures} == {""}


# --- the learner and the folds ------------------------------------------------------------


@dataclass
class PooledRows:
    """As much of a pool as the proofs look at: two decisions an hour over a year."""

    table: DecisionTable
    labels: Any  # when a label is known, and whether it may be trained on

    def view(self, rows: np.ndarray, *, outcomes: bool, bars: bool) -> View:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(len(self.table), 5))[rows]
        won = (rng.random(len(self.table)) < 0.4)[rows]
        return make_view(
            x, won if outcomes else None, stream=self.table.stream[rows], bar=self.table.bar[rows],
            t_us=self.table.t_decision[rows], t_end=self.labels.t_end[rows],
        )  # fmt: skip


def pool_and_plan() -> tuple[PooledRows, FoldPlan]:
    days = np.arange("2024-01-01", "2024-09-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)].astype(np.int32)
    opens = days.astype(np.int64) * DAY_US
    day = np.repeat(days, 6)
    t = np.repeat(opens, 6) + np.tile(np.arange(1, 7), len(days)) * DAY_US // 8
    n = len(day)
    table = DecisionTable(
        stream=np.zeros(n, np.int16), bar=np.arange(n), side=np.ones(n, np.int8), t_decision=t,
        day=day, month=month_of(day), hour=np.zeros(n, np.int8), t_end_max=t + DAY_US // 12,
        void=np.zeros(n, np.int8), streams=("ES/5m",),
    )  # fmt: skip
    first, last = int(days[0]), int(days[-1])
    plan = plan_folds(table, days, opens, FoldSettings(), first_day=first, last_day=last)
    labels = SimpleNamespace(t_end=table.t_end_max.copy(), valid=np.ones(n, bool))
    return PooledRows(table, labels), plan


class Ranks:
    """Ranks the rows that it is asked about."""

    def plan(self, view: View) -> Plan:
        order = np.argsort(np.argsort(view.design.x[:, 0]))
        return Plan(score=order / len(order))

    def to_bytes(self) -> bytes:
        return b""


class Ranking:
    name, summary, does, reads_bars = "ranking", "", "selects", False

    def prepare(self, train):
        return None

    def fit(self, handle, train, validation, *, seed, answers):
        return Ranks()

    def load(self, data):
        return Ranks()


def job_of(home: Path, learner: Any) -> Job:
    config = EvalConfig(strategy="own", learner="none", jobs=1)
    return replace(direct_job([BARS], CLEAN_LABELER, config, home, None), learner=learner)


def test_without_a_learner_the_folds_alone_are_proven(tmp_path):
    pool, plan = pool_and_plan()
    found = prove(job_of(tmp_path, None), pool, plan)
    assert (found.status, found.detection_bound) == ("clean", 0.0)
    assert found.subjects == (Examined("fold", ""),)


def test_the_default_learner_is_clean_and_remembered(tmp_path, monkeypatch):
    pool, plan = pool_and_plan()
    learner = next(item for item in LEARNERS if item.name == "xgb")
    asked = partial(prove, job_of(tmp_path, learner), pool, plan)
    found = asked()
    assert found.status == "clean"
    assert found.subjects == (Examined("fold", ""), Examined("learner", "xgb"))
    monkeypatch.setattr("ffm_core.evaluate.certify.falsify_learner", None)
    assert asked() == found


def test_a_learner_that_ranks_test_rows_is_refused_with_its_line(tmp_path):
    pool, plan = pool_and_plan()
    job = job_of(tmp_path, Ranking())
    found = prove(job, pool, plan)
    (failure,) = found.failures
    assert failure.check == "rows"
    verdict = refusal(job, found)
    assert verdict.decision == "REFUSED"
    assert verdict.reasons == (because("refused_learner"), because("failure", place=0))
    assert "order = np.argsort(np.argsort(" in failure.line


def test_a_model_that_does_not_come_back_from_its_bytes_is_refused_for_that(tmp_path):
    class Steady(Ranks):
        def plan(self, view: View) -> Plan:
            return Plan(score=view.design.x[:, 0].astype(float))

    class Forgetful(Ranking):
        def fit(self, handle, train, validation, *, seed, answers):
            return Steady()

        def load(self, data):
            return Ranks()

    pool, plan = pool_and_plan()
    job = job_of(tmp_path, Forgetful())
    found = prove(job, pool, plan)
    assert {failure.check for failure in found.failures} == {"bytes"}
    assert refusal(job, found).reasons[0] == because("refused_bytes")


def test_a_label_that_reaches_the_next_part_is_refused(tmp_path):
    pool, plan = pool_and_plan()
    fold = plan.folds[0]
    pool.labels.t_end[fold.train[-1]] = pool.table.t_decision[fold.validation[0]]
    job = job_of(tmp_path, None)
    found = prove(job, pool, plan)
    assert found.status == "broken"
    assert refusal(job, found).reasons[0] == because("refused_fold")


def refusal(job: Job, proof: Certificate):
    """Return the verdict on a run whose proof is broken."""
    return refuse(job, {"hash": ""}, [DECISIONS], proof).verdict


def prove(job: Job, pool: PooledRows, plan: FoldPlan) -> Certificate:
    days, opens = day_grid(BARS)
    folded = Folded(
        pool=pool,  # type: ignore[arg-type]
        plan=plan, seal=Seal(day=0, opened=False, by_instrument={}), days=days,
        day_start_us=opens, embedded=(),
    )  # fmt: skip
    return certify_folds(job, folded)
