"""What ``ffm eval`` answers, and the exit code a script reads from it."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def desk(new_desk):
    return new_desk(lend=True)


@pytest.fixture
def judge(desk, tide, tidal_market):
    """Judge the rule of the tidal market as it stands, without a model."""

    def judge(*words):
        common = ["--data", tidal_market, "--learner", "none", "--jobs", "1", "--quiet"]
        return desk.run("eval", tide, *common, *words)

    return judge


@pytest.mark.parametrize(
    ("words", "code", "verdict"),
    [
        ([], 0, "PASS"),
        (["--set", "against=true"], 1, "FAIL"),
        (["--to", "2022-09-30"], 5, "INCONCLUSIVE"),
        (["--accept-quality"], 5, "PASS"),
        (["--set", "peek=true"], 6, "REFUSED"),
    ],
    ids=["pass", "fail", "inconclusive", "qualified pass", "refused"],
)
def test_every_verdict_has_its_code(judge, words, code, verdict):
    done = judge(*words)
    assert (done.returncode, done.stdout.split()[0]) == (code, verdict), done.stderr
    assert "Traceback" not in done.stderr


def test_a_dry_run_is_work_done(judge, desk):
    done = judge("--dry-run", "--set", "every=2")
    assert done.returncode == 0
    assert done.stdout.startswith("Dry run: no outcome was read")
    assert desk.ledger.head() == ""
    assert not desk.runs.exists()


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["eval", "supertrendy", "--demo"], 2, "no strategy named 'supertrendy'"),
        (["eval", "supertrend", "--frobnicate"], 2, "No such option"),
        (["eval", "supertrend"], 2, "no data given"),
        (["eval", "supertrend", "--demo", "--learner", "oracle"], 2, "no learner named 'oracle'"),
        (["eval", "supertrend", "--data", "ES=absent.csv"], 4, "absent.csv"),
    ],
)
def test_what_cannot_be_done_has_one_line_a_fix_and_its_code(desk, words, code, problem):
    done = desk.run(*words, "--quiet")
    assert done.returncode == code, done.stderr
    first, second = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert problem in first
    assert second.startswith("  fix: ")
    assert done.stdout == ""
    assert list(desk.runs.glob("*")) == []
    assert not desk.ledger.events()


def test_too_short_a_span_is_code_4_and_counts_nothing(judge, desk):
    done = judge("--to", "2022-04-30", "--json")
    assert done.returncode == 4
    error = json.loads(done.stdout)["error"]
    assert (error["kind"], error["exit_code"]) == ("SampleError", 4)
    assert desk.ledger.events() == []
    assert list(desk.runs.glob("*")) == []
