"""Embedders in a run: columns, cache, cut-offs, stamp, ablation."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ffm_core.bars.simulate import market
from ffm_core.embed.cards import Card
from ffm_core.embed.catalogue import backbones_home
from ffm_core.embed.cutoff import CutOff, cut_offs
from ffm_core.embed.stamp import base_name, line_of, stamp_of, unused_checkpoints
from ffm_core.embed.stats import STATS
from ffm_core.errors import StrategyError, UnavailableError, UnknownNameError
from ffm_core.evaluate import evaluate_bars
from ffm_core.evaluate.embedding import embed_streams
from ffm_core.evaluate.job import DirectSource, direct_job
from ffm_core.evaluate.pool import pool_streams
from ffm_core.evaluate.progress import Silent
from ffm_core.evaluate.streams import decide_all, prepare
from ffm_core.features.trivial8 import TRIVIAL8
from ffm_core.records import Reason, Verdict, because
from ffm_core.report import remarks
from ffm_core.ruler.verdict import held_back
from ffm_core.runs.config import EvalConfig
from ffm_core.runs.ledger import Ledger
from ffm_core.testing.worlds_labeler import LABELER

pytestmark = pytest.mark.slow  # whole evaluations

CONFIG = EvalConfig(
    strategy="world", features=("stats", "trivial8"), ablate=("stats", "trivial8"), n_seeds=1,
    permutations=1, random_draws=20, resamples=200, jobs=1,
)  # fmt: skip
NOON = 1_709_294_400_000_000  # 2024-03-01T12:00Z
SEEN = because("seen_unknown", block="embedder", name="m", begins="2024-03-01")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def bars():
    return [market("SIMA3", months=12, timeframe="30m")]


@pytest.fixture(scope="module")
def first(bars, home):
    return evaluate_bars(bars, labeler=LABELER, config=CONFIG, home=home)


def test_the_record_says_what_embedded_and_where_it_could_not(first):
    (stamp,) = first["result"]["embedders"]
    assert stamp["identity"] == STATS.identity
    assert (stamp["name"], stamp["state"], stamp["fit_cutoff"]) == ("stats", "frozen", "")
    assert stamp["bars"] >= stamp["windows"] + sum(stamp["unusable"].values())
    assert stamp["windows"] > 100
    (cut,) = first["result"]["cut_offs"]
    assert (cut["name"], cut["overlaps"], cut["accepted"]) == ("stats", False, False)
    assert any(line.startswith("stats: frozen") for line in remarks.embedders(first["result"]))


def test_its_windows_and_its_rows_are_part_of_the_certificate(first):
    subjects = first["result"]["certificate"]["subjects"]
    named = {(subject["kind"], subject["name"]) for subject in subjects}
    assert {("embedder", "stats"), ("features", "windows of 128 bars")} <= named


def test_a_second_run_embeds_nothing_and_finds_the_same(first, bars, home):
    made = first["envelope"]["embedded"]["stats"]
    assert made["computed"] == made["windows"] > 100
    again = evaluate_bars(bars, labeler=LABELER, config=CONFIG, home=home)
    assert again["envelope"]["embedded"]["stats"] == {"windows": made["windows"], "computed": 0}
    assert again["result_hash"] == first["result_hash"]


def test_every_ablation_is_a_trial_of_its_own(first, home):
    assert [item["block"] for item in first["result"]["ablation"]] == ["stats", "trivial8"]
    trials = Ledger(home).trials()
    assert [t.opened["extra"].get("without") for t in trials] == [None, "stats", "trivial8"]
    assert {t.state for t in trials} == {"closed"}
    assert trials[1].closed["daily_r"] != trials[0].closed["daily_r"]
    assert first["result"]["trials"]["n"] == 1  # those behind it count for what comes next


def test_a_run_without_embedders_has_none_of_it(small_record):
    assert not {"embedders", "cut_offs"} & set(small_record["result"])
    assert "embedded" not in small_record["envelope"]
    assert "accept_overlap" not in small_record["result"]["config"]


@pytest.fixture(scope="module")
def prepared(bars, first, home):
    """Return a job and its prepared stream."""
    job = direct_job(bars, LABELER, CONFIG, home, None)
    (stream,) = prepare(job, decide_all(job, Silent()), Silent())
    return job, stream


def test_columns_stand_in_the_order_asked_and_turn_with_the_side(prepared):
    job, stream = prepared
    (made,), (block,) = embed_streams(job, [stream], Silent())
    design = pool_streams([made], LABELER, job.parts.blocks).design
    blocks = [name.partition("/")[0] for name in design.names if "/" in name]
    assert list(dict.fromkeys(b for b in blocks if b != "labeler")) == ["stats", "trivial8"]
    place = design.names.index
    side = design.x[:, place("side")]
    rows = made.features["stats"]
    names = [column.name for column in (*STATS.columns,)]
    shown = design.x[:, place("stats/move_20")]
    usable = np.isfinite(shown)
    assert (~usable).sum() == np.isnan(rows[:, 0]).sum()
    assert sum(block.flaws.values()) > 0
    assert set(np.abs(shown[usable])) == set(np.abs(rows[:, names.index("move_20")][usable]))
    order = np.argsort(side * shown)[: usable.sum()]
    assert np.isfinite(design.x[order, place("stats/log_scale")]).all()


def test_nothing_is_filled_or_embedded_once_something_is_broken(bars, home, monkeypatch):
    def peeking(given, params):
        found = LABELER.decide(given, params)
        return found.take(found.bar < len(given) - 2)  # never on the last bars given

    for stage in ("prepare", "embed_streams", "open_trial"):
        monkeypatch.setattr(f"ffm_core.evaluate.run.{stage}", None)
    labeler = replace(LABELER, name="peeking", decide=peeking)
    result = evaluate_bars(bars, labeler=labeler, config=CONFIG, home=home)["result"]
    assert result["verdict"]["decision"] == "REFUSED"
    (stamp,) = result["embedders"]
    assert (stamp["bars"], stamp["windows"], stamp["unusable"]) == (None, None, {})


def test_names_are_looked_up_among_sets_then_embedders():
    def opened(name):
        return DirectSource(LABELER, (name,)).parts

    assert opened("trivial8").embedders == ()
    assert opened("stats").embedders == (STATS,)
    with pytest.raises(UnknownNameError) as unknown:
        opened("stat")
    assert unknown.value.problem == "there is no feature set or embedder named 'stat'"
    assert unknown.value.fix == "did you mean 'stats'?"
    with pytest.raises(UnavailableError) as absent:
        opened("chronos-bolt-tiny")
    assert (absent.value.exit_code, absent.value.fix) == (7, "ffm backbone add chronos-bolt-tiny")


# --- cut-offs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cutoff", "released", "overlaps"),
    [
        ("", "", False),
        ("2024-02-29", "2025-01-01", False),  # what is known wins over the release
        ("2024-03-01", "", True),  # a date stands for all of its bars
        (None, "2024-02-29", False),
        (None, "2024-11-27", True),
        (None, "", True),
    ],
)
def test_a_cut_off_must_precede_the_first_test_bar(cutoff, released, overlaps):
    found = CutOff(name="m", fit_cutoff=cutoff, released=released)
    assert found.overlaps(NOON) is overlaps


def test_the_reason_says_which_date_counts():
    known = CutOff(name="m", fit_cutoff="2024-11-27").reason(NOON)
    names = {"block": "embedder", "name": "m", "begins": "2024-03-01"}
    assert known == Reason(kind="seen_cutoff", names=names | {"day": "2024-11-27"})
    released = CutOff(name="m", fit_cutoff=None, released="2024-11-27").reason(NOON)
    assert released == Reason(kind="seen_release", names=names | {"day": "2024-11-27"})
    assert CutOff(name="m", fit_cutoff=None).reason(NOON) == Reason(
        kind="seen_unknown", names=names
    )


def test_fitted_feature_sets_are_held_to_the_same():
    fitted = replace(TRIVIAL8, name="ctx", fit_cutoff="2030-01-01")
    (found,) = cut_offs([TRIVIAL8, fitted])
    assert found.overlaps(NOON)
    assert found.reason(NOON).names["block"] == "feature set"


def test_a_cut_off_that_is_no_date_is_an_error_of_the_plug_in():
    words = "embedder 'm' states the cut-off 'soon', which is not an ISO date"
    with pytest.raises(StrategyError, match=words):
        CutOff(name="m", fit_cutoff="soon").overlaps(NOON)


@pytest.mark.parametrize("decision", ["PASS", "FAIL", "INCONCLUSIVE"])
def test_an_overlap_leaves_no_certain_verdict(decision):
    verdict = Verdict(decision=decision, reasons=(because("ruled_out"),))
    held = held_back(verdict, (SEEN,), accepted=False)
    assert held.decision == "INCONCLUSIVE"
    assert held.reasons[:2] == (SEEN, because("overlap_fix"))
    assert (verdict.reasons[0] in held.reasons) == (decision == "INCONCLUSIVE")
    assert [(c.name, c.outcome) for c in held.checks] == [("unseen", "inconclusive")]
    assert held_back(verdict, (), accepted=False) == verdict


def test_an_accepted_overlap_is_said_and_qualifies():
    verdict = Verdict(decision="PASS", reasons=(because("pass_trigger"),))
    held = held_back(verdict, (SEEN,), accepted=True)
    assert held.decision == "PASS"
    assert held.reasons == (because("overlap_accepted"), SEEN, *verdict.reasons)
    config = EvalConfig(strategy="x", accept_overlap=True)
    assert config.overrides() == ("accept_overlap=True",)
    assert config.identity()["accept_overlap"] is True


def test_a_refusal_stays_one():
    verdict = Verdict(decision="REFUSED", reasons=())
    assert held_back(verdict, (SEEN,), accepted=False) == verdict


# --- the stamp ----------------------------------------------------------------------------


def test_the_stamp_is_loud_and_names_no_machine():
    stamp = stamp_of(STATS)
    assert json.loads(json.dumps(stamp)) == stamp
    line = line_of(stamp)
    assert line.startswith("embedder stats: FROZEN, 31 columns of 128 bars, numba")
    for path in ("/models/mine", "~/mine", "C:\\models\\mine", "file:" + "///x/mine", "./mine"):
        assert base_name(path) == "mine"
    assert base_name("amazon/chronos-bolt-tiny") == "amazon/chronos-bolt-tiny"


def _checkpoint(name, base):
    folder = backbones_home() / name
    folder.mkdir(parents=True)
    (folder / "encoder.onnx").write_bytes(b"")
    card = Card(
        name=name, architecture="chronos-bolt", d_model=8, patch=16, context_length=512, horizon=1,
        quantiles=(), fit_cutoff="2024-01-01", released="", trained_on="", source="/x/y",
        base=base, files={"encoder.onnx": "0" * 64},
    )  # fmt: skip
    (folder / "card.json").write_bytes(card.to_json())


def test_fine_tuned_checkpoints_that_lie_unused_are_named():
    _checkpoint("mine", base="f" * 64)
    _checkpoint("plain", base="")
    lines = unused_checkpoints([STATS], ["ffm68", "stats"])
    assert lines == ["not used: the fine-tuned mine; --features ffm68,mine selects it"]
    (backbones_home() / "plain" / "card.json").write_text("{")
    assert any("is not a model card" in line for line in unused_checkpoints([STATS], ["stats"]))


def test_a_fine_tuned_embedder_is_stamped_as_such():
    from ffm_core.embed.catalogue import embedder_of

    _checkpoint("mine", base="f" * 64)
    stamp = stamp_of(embedder_of("mine:reg"))
    assert (stamp["state"], stamp["source"], stamp["recipe"]["pool"]) == ("fine-tuned", "y", "reg")
    line = line_of(stamp)
    assert "FINE-TUNED, from ffffffffffff" in line
    assert "cut-off 2024-01-01" in line
