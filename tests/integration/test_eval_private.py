"""A private package that offers one of everything: no artefact holds a name of it.

Privacy belongs to the package: its labeler does not even say that it is private.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from helpers.reading import everything_said

pytestmark = pytest.mark.slow  # whole evaluations

OFFERS = """

from ffm_core import hookimpl
from ffm_core.records import CheckResult, Column, ExitPolicy, FeatureSet, Param
from ffm_core.records import VerdictCheck, stated


def zq_pulse_of(bars):
    return np.zeros((len(bars), 1), dtype=np.float32)


def zq_levels(bars, params):
    away = np.full(len(bars), float(params["zq_far"]))
    return np.column_stack((bars.close + away, bars.close - away))


def zq_judge(evidence):
    return CheckResult(name="zq_house", outcome="fail", value=8.65317, threshold=7.43219,
                       reason=stated("zq_words of a house"))


@hookimpl
def ffm_labelers():
    return [LABELER]


@hookimpl
def ffm_exit_policies():
    return [ExitPolicy(
        name="zq_leave", kind="static", summary="leave where the zq_owl sleeps",
        params=(Param(name="zq_far", default=31.41897, minimum=1.0, maximum=9999.0),),
        columns=tuple(Column(name=f"target_{side}", unit="points") for side in ("long", "short")),
        batch=zq_levels, history_bars=1,
    )]


@hookimpl
def ffm_feature_sets():
    beat = Column(name="zq_beat", unit="")
    return [FeatureSet(name="zq_pulse", columns=(beat,), batch=zq_pulse_of, warmup_bars=0,
                       history_bars=1)]


@hookimpl
def ffm_verdict_checks():
    return [VerdictCheck(name="zq_house", judge=zq_judge, constants={"zq_limit": 7.43219},
                         summary="the zq_owl says no")]
"""
SECRETS = ("zq_", "31.41897", "27.19283", "8.65317", "7.43219", "ffm_strategy_owl")


@pytest.fixture(scope="module")
def site(tmp_path_factory, tide_code) -> Path:
    folder = tmp_path_factory.mktemp("private-site")
    info = folder / "ffm_strategy_owl-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: ffm-strategy-owl\nVersion: 1.0\n"
        "Classifier: Private :: Do Not Upload\n"
    )
    (info / "entry_points.txt").write_text("[ffm.strategies]\nowl = ffm_strategy_owl\n")
    code = tide_code.replace('"tide"', '"owl"')
    (folder / "ffm_strategy_owl.py").write_text(code + OFFERS)
    return folder


@pytest.fixture(scope="module")
def judge(new_desk, site, tidal_market):
    path = os.pathsep.join(part for part in (str(site), os.environ.get("PYTHONPATH")) if part)
    desk = new_desk(PYTHONPATH=path)

    def run(*words: str):
        return desk.run("eval", "owl", "--data", tidal_market, "--learner", "none", "--jobs", "1",
                        "--features", "zq_pulse", "--exit", "zq_leave", *words)  # fmt: skip

    return desk, run


def leaks(texts: dict[str, str]) -> list[tuple[str, str]]:
    return [(place, word) for place, text in texts.items() for word in SECRETS if word in text]


@pytest.fixture(scope="module")
def judged(judge):
    _, run = judge
    return run("--set", "exit.zq_far=27.19283", "--out", "judged")


def test_no_artefact_and_no_terminal_holds_a_name_or_a_value(judge, judged):
    desk, _ = judge
    assert judged.returncode in (1, 5), judged.stderr
    texts = {"stdout": judged.stdout, "stderr": judged.stderr}
    assert leaks(texts | everything_said(desk.folder)) == []


def test_targets_are_a_setting_and_are_left_out(judge, judged):
    desk, _ = judge
    for name in ("decisions", "trades"):
        [path] = (desk.folder / "judged").rglob(f"{name}.parquet")
        assert pq.read_table(path)["target_r"].null_count == pq.read_table(path).num_rows


def test_a_private_house_rule_is_named_by_its_replacement_and_says_no_figure(judge, judged):
    desk, _ = judge
    [path] = (desk.folder / "judged").rglob("run.json")
    result = json.loads(path.read_text())["result"]
    assert result["strategy"]["private"] is True
    check = result["checks"][-1]
    assert check["name"].startswith("private_")
    assert (check["outcome"], check["value"], check["reason"]) == ("fail", None, None)


def test_a_wrong_name_is_not_answered_with_a_replacement(judge):
    _, run = judge
    done = run("--set", "exit.zq_fra=3")
    assert done.returncode == 2
    assert "private_" not in done.stderr.partition("fix:")[2]
    assert "--reveal" in done.stderr
    shown = run("--set", "exit.zq_fra=3", "--reveal")
    assert "zq_far" in shown.stderr


def test_the_author_sees_his_names_and_no_file_does(judge):
    desk, run = judge
    done = run("--reveal")
    assert "zq_house" in done.stdout or "zq house" in done.stdout
    assert (
        leaks({k: v for k, v in everything_said(desk.folder).items() if "home" not in k}) == []
    ), "a file was revealed"
    assert run("--reveal", "--json").returncode == 2


def test_two_hidden_settings_are_told_apart(judge, judged):
    desk, run = judge
    run("--set", "exit.zq_far=28.1828")
    done = desk.run("runs", "list", "--json")
    ids = [one["run_id"] for one in json.loads(done.stdout)["runs"]]
    shown = desk.run("runs", "compare", ids[0], ids[-1], "--json")
    found = json.loads(shown.stdout)
    assert "hidden settings" in found["code"]
    assert leaks({"compare": shown.stdout}) == []


@pytest.mark.parametrize("words", [(), ("--debug",)])
def test_what_its_code_says_when_it_raises_is_hidden_and_revealed_on_request(judge, site, words):
    _, run = judge
    path = site / "ffm_strategy_owl.py"
    whole = path.read_text()
    try:
        path.write_text(
            whole.replace(
                "    away = np.full(", "    raise ValueError('zq_secret')\n    away = np.full("
            )
        )
        done = run(*words)
        assert done.returncode == 3, done.stderr
        assert leaks({"stdout": done.stdout, "stderr": done.stderr}) == []
        assert "zq_secret" in run(*words, "--reveal").stderr
        path.write_text("raise RuntimeError('zq_secret')")
        done = run(*words)
        assert done.returncode == 3
        assert leaks({"stdout": done.stdout, "stderr": done.stderr}) == []
    finally:
        path.write_text(whole)
