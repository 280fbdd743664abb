"""A strategy with any single fault of the zoo is refused, and told where to look."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from zoo import CLEAN, FAULTS, exhibit
from zoo.clean import in_trend
from zoo.inputs import with_tables
from zoo.making import labeler
from zoo.matrix import ROWS

from ffm_core.errors import StrategyError
from ffm_core.evaluate.certify import certify_stream
from ffm_core.evaluate.parts import Parts
from ffm_core.evaluate.streams import StreamTask, decide
from ffm_core.labels.policies import FIXED_RR
from ffm_core.records import Examined, ExitPolicy, FeatureSet, Labeler
from ffm_core.runs.config import EvalConfig
from ffm_core.testing import make_bars

pytestmark = pytest.mark.slow  # whole evaluations

SLOW = {"over-budget"}  # waits for the whole budget of a real run
FEATURES = [fault for fault in FAULTS if fault.kind == "features" and fault.name not in SLOW]
LABELERS = [f for f in FAULTS if f.kind == "labeler" and f.name != "trades-in-warm-up"]
EXITS = [fault for fault in FAULTS if fault.kind == "exit"]
HONEST = labeler("in-trend", in_trend)
TESTS = str(Path(__file__).parents[1])  # where the zoo lies
BARS = with_tables(make_bars("trend", rows=ROWS, seed=7))

_HOOKS = """

from ffm_core import hookimpl
from zoo.clean import in_trend
from zoo.making import labeler

MINE = [fault for fault in FAULTS if fault.name == {name!r}]


@hookimpl
def ffm_labelers():
    own = [fault.record for fault in MINE if fault.kind == "labeler"]
    return own or [labeler("in-trend", in_trend)]


@hookimpl
def ffm_feature_sets():
    return [fault.record for fault in MINE if fault.kind == "features"]


@hookimpl
def ffm_exit_policies():
    return [fault.record for fault in MINE if fault.kind == "exit"]
"""
_OPTIONS = {"features": "--features", "exit": "--exit"}


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("bars") / "ES_5m.parquet"
    BARS.frame.write_parquet(place)
    return place


@pytest.mark.parametrize(
    "name", ["next-close", "session-vwap", "withdrawn-decision", "clock", "exit-early-pivot"]
)
def test_ffm_eval_refuses_and_names_the_line(name, desk, market):
    fault = exhibit(name)
    idea = desk.folder / "idea.py"  # the module itself, so lines keep their numbers
    idea.write_text(Path(fault.source).read_text() + _HOOKS.format(name=name))
    chosen = [_OPTIONS[fault.kind], name] if fault.kind in _OPTIONS else []
    words = ("--data", market, "--learner", "none", "--jobs", "1", *chosen)
    done = desk.run("eval", idea, *words, "--json", PYTHONPATH=TESTS)
    assert done.returncode == 6, done.stderr
    document = json.loads(done.stdout)
    failures = document["result"]["certificate"]["failures"]
    mine = [failure for failure in failures if failure["subject"]["name"] == name]
    assert mine
    assert all(failure["reason"]["kind"] and failure["repair"]["kind"] for failure in mine)
    assert len(document["words"]["failures"]) == len(failures)
    assert all(said["reason"] and said["repair"] for said in document["words"]["failures"])
    places = [failure["line"] for failure in mine]
    assert any(place.startswith("idea.py:") for place in places), places
    named = {int(place.split(":")[1]) for place in places if place}
    assert min(abs(a - b) for a in named for b in fault.lines()) <= 4, places


@dataclass(frozen=True)
class Direct:
    """Parts that are held in memory."""

    labeler: Labeler = HONEST
    policy: ExitPolicy = FIXED_RR
    feature_sets: tuple[FeatureSet, ...] = ()

    @property
    def parts(self) -> Parts:
        return Parts(
            labeler=self.labeler,
            label_policy=self.policy,
            run_policy=self.policy,
            feature_sets=self.feature_sets,
            call=lambda function, *args: function(*args),
        )


def _certificate(source: Direct, home: Path):
    task = StreamTask(
        source=source, config=EvalConfig(strategy="zoo"), bars=BARS, code_hash="zoo", home=home
    )
    return certify_stream((task, decide(task)))


@pytest.mark.slow
def test_every_faulty_feature_set_breaks_the_certificate(tmp_path):
    chosen = tuple(fault.make() for fault in FEATURES)
    certificate = _certificate(Direct(feature_sets=chosen), tmp_path)
    broken = {failure.subject for failure in certificate.failures}
    escaped = [f.name for f in FEATURES if Examined("features", f.name, "ES/5m") not in broken]
    assert escaped == []
    assert Examined("labeler", "in-trend", "ES/5m") not in broken


@pytest.mark.parametrize("fault", LABELERS, ids=lambda fault: fault.name)
def test_every_faulty_labeler_breaks_the_certificate(fault, tmp_path):
    certificate = _certificate(Direct(labeler=fault.make()), tmp_path)
    assert certificate.status == "broken"
    assert all(failure.subject.name == fault.name for failure in certificate.failures)


def test_decisions_inside_a_declared_warm_up_are_an_error_before_any_proof(tmp_path):
    early = exhibit("trades-in-warm-up").make()
    with pytest.raises(StrategyError, match="inside its declared warm-up of 10,000,000 bars"):
        _certificate(Direct(labeler=early), tmp_path)


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory) -> Path:
    """A cache that lasts: the honest labeler is proven once, then each exit policy."""
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("fault", EXITS, ids=lambda fault: fault.name)
def test_every_faulty_exit_policy_breaks_the_certificate(fault, shared_home):
    certificate = _certificate(Direct(policy=fault.make()), shared_home)
    assert certificate.status == "broken"
    assert all(failure.subject.name == fault.name for failure in certificate.failures)


def test_an_honest_strategy_is_certified(shared_home):
    named = ("trailing-mean", "confirmed-pivot", "expressions")
    chosen = tuple(one.record for one in CLEAN if one.name in named)
    certificate = _certificate(Direct(feature_sets=chosen), shared_home)
    assert certificate.failures == ()
    assert certificate.status == "clean"


def test_no_line_of_a_private_strategy_is_shown(tmp_path):
    faulty = exhibit("next-close").make()
    shown = _certificate(Direct(feature_sets=(faulty,)), tmp_path)
    hidden = _certificate(
        Direct(labeler=replace(HONEST, private=True), feature_sets=(faulty,)), tmp_path
    )
    assert shown.failures[0].line
    assert hidden.status == "broken"
    assert [failure.line for failure in hidden.failures] == [""] * len(shown.failures)
