"""Counting verdicts over worlds: resume, isolation, arithmetic. The evaluation is replaced here."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner
from statsmodels.stats.proportion import proportion_confint

from ffm_core.cli import main
from ffm_core.errors import ConfigError, SampleError
from ffm_core.runs.config import EvalConfig
from ffm_core.testing import worlds_run
from ffm_core.testing.worlds_run import (
    WorldTask,
    code_version,
    finished,
    judge_all,
    parse_seeds,
    summary_of,
    tally,
    wilson,
)


def _answer(seed, decision="PASS"):
    outcome = "pass" if decision == "PASS" else decision.lower()
    checks = [
        {"name": "certificate", "outcome": "pass", "value": None, "threshold": None, "gates": True},
        {"name": "naive", "outcome": outcome, "value": 0.1, "threshold": 0.0, "gates": True},
        {"name": "months", "outcome": "fail", "value": 0.1, "threshold": 0.0, "gates": False},
    ]
    said = {"decision": decision, "headline": f"because {decision}", "checks": checks}
    return {
        **said,
        "reasons": [],
        "arms": {"REAL": {"n_trades": 9, "mean_r": seed / 10}},
        "trigger": None,
        "decisions": 9000,
        "result_hash": f"{seed:064x}",
    }


@pytest.fixture
def calls(monkeypatch):
    """Replace the evaluation by one that passes even seeds, and note what was asked."""
    asked = []

    def fake(kind, seed, *, edge, learner, head, features, train_months, home):
        home.mkdir(parents=True)  # fails when an older home is still there
        (home / "ledger").write_text("x")
        asked.append((kind, seed, edge, learner, head, train_months, features))
        return _answer(seed, "FAIL" if seed % 2 else "PASS")

    monkeypatch.setattr(worlds_run, "run_world", fake)
    return asked


def _tasks(folder, seeds, **changes):
    settings = {"kind": "planted", "edge": 0.6, "learner": "xgb", "head": None,
                "features": ("ffm68",), "train_months": 3, **changes}  # fmt: skip
    return [WorldTask(seed=seed, folder=folder, **settings) for seed in seeds]


def test_finished_worlds_are_not_judged_again(tmp_path, calls):
    first = list(judge_all(_tasks(tmp_path, range(3)), jobs=1, code="a"))
    assert len(calls) == 3
    again = list(judge_all(_tasks(tmp_path, range(5)), jobs=1, code="a"))
    assert [seed for _, seed, *_ in calls] == [0, 1, 2, 3, 4]
    assert again[:3] == first
    assert [answer["decision"] for answer in again] == ["PASS", "FAIL", "PASS", "FAIL", "PASS"]


def test_other_code_or_settings_are_judged_afresh(tmp_path, calls):
    list(judge_all(_tasks(tmp_path, [0]), jobs=1, code="a"))
    list(judge_all(_tasks(tmp_path, [0]), jobs=1, code="b"))
    for changes in ({"edge": 0.4}, {"learner": "none"}, {"head": "linear"}, {"kind": "null"},
                    {"features": ("trivial8",)}, {"features": ("stats:onnx",)},
                    {"train_months": 12}):  # fmt: skip
        list(judge_all(_tasks(tmp_path, [0], **changes), jobs=1, code="b"))
    assert len(calls) == len(list(tmp_path.glob("*.json"))) + 1 == 9
    names = {task.result for edge in (None, 0.4) for task in _tasks(tmp_path, [0], edge=edge)}
    assert len(names) == 2


def test_an_interrupted_world_leaves_no_answer_and_is_begun_again(tmp_path, calls, monkeypatch):
    task = _tasks(tmp_path, [0])[0]
    working = worlds_run.run_world

    def killed(*args, home, **settings):
        home.mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(worlds_run, "run_world", killed)
    with pytest.raises(KeyboardInterrupt):
        list(judge_all([task], jobs=1, code="a"))
    assert finished(task, "a") is None
    monkeypatch.setattr(worlds_run, "run_world", working)
    assert next(judge_all([task], jobs=1, code="a"))["decision"] == "PASS"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [task.result.name]


def test_a_damaged_answer_is_judged_again(tmp_path, calls):
    task = _tasks(tmp_path, [0])[0]
    list(judge_all([task], jobs=1, code="a"))
    for damage in (b"", b"{", b"[]", b'{"key": "other"}'):
        task.result.write_bytes(damage)
        assert finished(task, "a") is None
    list(judge_all([task], jobs=1, code="a"))
    assert len(calls) == 2


def test_homes_do_not_outlive_their_world(tmp_path, calls):
    list(judge_all(_tasks(tmp_path, range(2)), jobs=1, code="a"))
    assert list((tmp_path / "homes").iterdir()) == []


def test_code_version_is_a_hash_of_what_is_installed():
    assert re.fullmatch("[0-9a-f]{64}", code_version())
    assert code_version() == code_version()


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (1, 60), (19, 20), (20, 20), (16, 20)])
def test_wilson_matches_statsmodels(hits, n):
    assert wilson(hits, n) == pytest.approx(proportion_confint(hits, n, method="wilson"))


def test_wilson_without_trials_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_tally_counts_verdicts_and_what_stopped_them():
    verdicts = ["PASS", "FAIL", "INCONCLUSIVE", "PASS", "REFUSED"]
    answers = [
        {**_answer(seed, verdict), "learner": "xgb", "head": None, "seed": seed}
        for seed, verdict in enumerate(verdicts)
    ]
    answers.append({**_answer(0), "learner": "none", "head": None, "seed": 0})
    none, xgb = tally(answers)
    assert (none["learner"], none["n"], none["pass_share"]) == ("none", 1, 1.0)
    assert xgb["counts"] == {"PASS": 2, "FAIL": 1, "INCONCLUSIVE": 1, "REFUSED": 1}
    assert xgb["stopped_by"] == {"naive": 3}  # months does not gate
    assert xgb["headlines"]["because PASS"] == 2
    assert xgb["seeds"]["PASS"] == [0, 3]
    assert xgb["mean_r"] == {"REAL": pytest.approx(0.2), "NAIVE": None, "RANDOM": None,
                             "ENTRY": None}  # fmt: skip
    assert xgb["pass_interval"] == pytest.approx(list(wilson(2, 5)))


def test_summary_keeps_what_counting_needs():
    record = {
        "result": {
            "verdict": {"decision": "FAIL", "reasons": []},
            "checks": [{"name": "naive", "outcome": "fail", "value": 0.0, "threshold": 0.0,
                        "gates": True, "interval": [0, 1]}],
            "arms": {"REAL": {"n_trades": 3, "mean_r": 0.1, "total_r": 0.3}},
            "decisions": {"n": 7},
            "trigger": {"reason": {"kind": "no_decision", "numbers": {}, "names": {}}},
        },
        "result_hash": "abc",
    }  # fmt: skip
    kept = summary_of(record)
    assert kept["decision"] == "FAIL"
    assert kept["trigger"] == "The strategy made no decision in the test months."
    assert kept["headline"] == ("Not every check held: “Better than taking everything” failed.")
    assert kept["arms"] == {"REAL": {"n_trades": 3, "mean_r": 0.1}}
    assert kept["result_hash"] == "abc"
    assert "interval" not in kept["checks"][0]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("7", [7]), ("0-3", [0, 1, 2, 3]), ("5-6,1", [1, 5, 6]), (" 1 , 1-2", [1, 2])],
)
def test_seeds_are_read(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "3-1", "-1", "1-", "1--2", "0-9999999", "1,,2"])
def test_bad_seeds_are_named(text):
    with pytest.raises(ConfigError, match=r"is not a (list|range) of seeds"):
        parse_seeds(text)


def _ffm(*words):
    return CliRunner().invoke(main, ["ruler", "validate", *words])


def test_command_prints_counts_interval_and_reasons(tmp_path, calls):
    done = _ffm("--world", "planted", "--seeds", "0-4", "--results", str(tmp_path / "w"))
    assert done.exit_code == 0, done.output
    assert "60.0%" in done.stdout
    assert "23.1% to 88.2%" in done.stdout
    assert "naive 2" in done.stdout
    assert "because FAIL" in done.stdout


def test_command_judges_with_the_features_and_months_it_is_given(tmp_path, calls):
    words = ["--world", "null", "--seeds", "3", "--features", "trivial8, stats"]
    done = _ffm(*words, "--results", str(tmp_path), "--json")
    assert [asked[-1] for asked in calls] == [("trivial8", "stats")]
    assert json.loads(done.stdout)["features"] == ["trivial8", "stats"]
    assert "features trivial8,stats" in _ffm(*words, "--results", str(tmp_path)).stdout
    _ffm("--world", "null", "--seeds", "3", "--results", str(tmp_path))
    usual = EvalConfig.model_fields
    assert calls[-1][-2:] == (usual["train_months"].default, usual["features"].default)
    _ffm("--world", "null", "--seeds", "3", "--train-months", "12", "--results", str(tmp_path))
    assert calls[-1][-2] == 12


def test_command_writes_one_json_document_and_a_file(tmp_path, calls):
    out = tmp_path / "table.json"
    words = ["--world", "trigger", "--seeds", "0-1", "--learner", "both", "--json"]
    done = _ffm(*words, "--results", str(tmp_path / "w"), "--out", str(out))
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["schema"] == "ffm-ruler-validate/1"
    assert [row["learner"] for row in document["rows"]] == ["none", "xgb"]
    assert len(document["worlds"]) == 4
    assert json.loads(out.read_bytes())["rows"] == document["rows"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--world", "flat"], "'flat'"),
        (["--world", "planted", "--seeds", "b-a"], "list of seeds"),
        (["--world", "planted", "--edge", "7"], "cannot be planted"),
        (["--world", "null", "--edge", "0.6"], "null world has no edge"),
        (["--world", "planted", "--jobs", "0"], "jobs"),
        ([], "--world"),
    ],
)
def test_bad_words_exit_2_before_anything_runs(tmp_path, calls, words, message):
    done = _ffm(*words, "--results", str(tmp_path / "w"))
    assert done.exit_code == 2
    assert message in done.stderr
    assert calls == []
    assert not (tmp_path / "w").exists()


def test_an_error_keeps_the_finished_worlds(tmp_path, calls, monkeypatch):
    working = worlds_run.run_world

    def sometimes(kind, seed, **settings):
        if seed == 2:
            raise SampleError("too few decisions")
        return working(kind, seed, **settings)

    monkeypatch.setattr(worlds_run, "run_world", sometimes)
    done = _ffm("--world", "null", "--seeds", "0-4", "--results", str(tmp_path))
    assert done.exit_code == 4
    assert "too few decisions" in done.stderr
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_world_command_writes_its_bars(tmp_path):
    words = ["ruler", "world", "--world", "trigger", "--seed", "3", "--edge", "0.2"]
    done = CliRunner().invoke(main, [*words, "--out", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    files = json.loads(done.stdout)["files"]
    assert files == [str(tmp_path / f"SIMT{side}3E020_5m.parquet") for side in "AB"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f.split("/")[-1] for f in files]
