"""The whole pipeline on a small simulated market."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from ffm_core.bars import Bars
from ffm_core.errors import ConfigError, SampleError, UnknownNameError
from ffm_core.evaluate import evaluate, evaluate_bars
from ffm_core.evaluate.dryrun import dry_run
from ffm_core.evaluate.job import checks_of, direct_job, qualifier_of
from ffm_core.evaluate.progress import Silent
from ffm_core.host.boundary import call_plugin
from ffm_core.host.discovery import Found
from ffm_core.host.loading import open_host
from ffm_core.records import CheckResult, Decisions, Evidence, Labeler, VerdictCheck
from ffm_core.report.reasons import sentence
from ffm_core.report.words import headline
from ffm_core.runs.config import EvalConfig
from ffm_core.runs.ledger import Ledger
from ffm_core.testing.worlds_labeler import LABELER

SMALL: dict[str, Any] = {
    "strategy": "world", "features": ("trivial8",), "permutations": 3, "random_draws": 20,
    "resamples": 200, "jobs": 1,
}  # fmt: skip


def judge(bars: list[Bars], home: Path, **changes: Any) -> dict[str, Any]:
    return evaluate_bars(bars, labeler=LABELER, config=EvalConfig(**SMALL | changes), home=home)


def test_record_holds_every_promised_part(small_record: dict[str, Any]) -> None:
    result = small_record["result"]
    assert {"strategy", "data", "config", "prereg", "certificate", "folds", "arms", "checks",
            "verdict", "trials", "plots"} <= set(result)  # fmt: skip
    assert {"REAL", "NAIVE", "RANDOM", "SHUFFLE", "ENTRY"} <= set(result["arms"])
    assert result["verdict"]["decision"] != "PASS"
    assert result["verdict"]["qualifier"]  # fewer permutations than strict asks for


def test_sum_of_trades_equals_end_of_equity(small_record: dict[str, Any]) -> None:
    result = small_record["result"]
    for arm in ("REAL", "NAIVE"):
        curve = result["plots"]["equity"]["arms"][arm]
        assert curve[-1] == pytest.approx(result["arms"][arm]["total_r"])
    months = np.array(result["plots"]["months"]["total_r"])
    assert months.sum() == pytest.approx(result["arms"]["REAL"]["total_r"])
    sides = sum(row["total_r"] for row in result["plots"]["side"])
    assert sides == pytest.approx(result["arms"]["REAL"]["total_r"])


def test_what_hangs_on_the_order_inside_a_bar_is_bounded_by_both_answers(
    small_record: dict[str, Any],
) -> None:
    result = small_record["result"]
    found, real = result["intrabar"], result["arms"]["REAL"]
    assert found["counted"] == "stop_first"
    assert 0 <= found["trades"] <= real["n_trades"]
    assert found["total_r_other"] >= found["total_r"]
    assert found["mean_r"] == pytest.approx(real["mean_r"])
    gain = found["total_r_other"] - found["total_r"]
    assert found["mean_r_other"] - found["mean_r"] == pytest.approx(gain / real["n_trades"])


def test_more_slippage_never_earns_more(small_record: dict[str, Any]) -> None:
    costs = small_record["result"]["plots"]["costs"]
    means = [row["arms"]["NAIVE"]["mean_r"] for row in costs]
    assert means == sorted(means, reverse=True)
    assert means[1] == pytest.approx(small_record["result"]["arms"]["NAIVE"]["mean_r"])


@pytest.mark.slow
def test_again_and_with_two_jobs_gives_the_same_bytes_and_one_trial(
    small_record: dict[str, Any], small_bars: list[Bars], small_home: Path, tmp_path: Path
) -> None:
    again = judge(small_bars, small_home)
    assert again["result_hash"] == small_record["result_hash"]
    assert again["envelope"]["repeat"] is True
    assert again["envelope"]["cache"]["misses"] == 0
    elsewhere = judge(small_bars, tmp_path, jobs=2)
    other = dict(elsewhere["result"], trials=small_record["result"]["trials"])
    assert other == small_record["result"]
    report = Ledger(small_home).verify()
    assert report.ok
    assert sum(report.trials.values()) == 1


@pytest.mark.parametrize("moment", ["open_trial", "close_trial"])
def test_interrupted_around_the_writing_of_a_trial_it_is_aborted(
    moment: str, small_bars: list[Bars], proven_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = len(Ledger(proven_home).trials())
    whole = getattr(Ledger, moment)

    def interrupted(*args: Any, **kwargs: Any) -> None:
        if moment == "open_trial":
            whole(*args, **kwargs)  # it is written, and nobody has its ticket
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, moment, interrupted)
    with pytest.raises(KeyboardInterrupt):
        judge(small_bars, proven_home, learner="none", ablate=())
    *_, newest = trials = Ledger(proven_home).trials()
    assert (len(trials), newest.state) == (known + 1, "aborted")
    assert Ledger(proven_home).events()[-1].payload["reason"] == "interrupted"


@pytest.mark.slow
def test_another_seed_is_another_trial(small_bars: list[Bars], proven_home: Path) -> None:
    first = judge(small_bars, proven_home, learner="none")
    second = judge(small_bars, proven_home, learner="none", seed=1)
    assert first["result"]["trials"]["n"] == 1
    assert second["result"]["trials"]["n"] == 2


def test_a_repeat_that_finds_another_result_counts_and_is_inconclusive(
    small_bars: list[Bars], proven_home: Path
) -> None:
    config = EvalConfig(**SMALL | {"learner": "none"})
    job = direct_job(small_bars, LABELER, config, proven_home, None)

    def unsteady(bars: Bars, params: Any) -> Decisions:
        found = LABELER.decide(bars, params)
        return found.take(np.arange(0, len(found), 2))

    other = direct_job(
        small_bars, dataclasses.replace(LABELER, decide=unsteady), config, proven_home, None
    )
    other = dataclasses.replace(other, code_hash=job.code_hash)
    runs = [evaluate(one).record for one in (job, job, other, other, job)]
    assert runs[0]["result_hash"] == runs[1]["result_hash"]
    for run in runs[2:]:  # once it is known, no run of this trial shows anything
        verdict = run["result"]["verdict"]
        assert verdict["decision"] == "INCONCLUSIVE"
        assert verdict["reasons"][0]["kind"] == "not_deterministic"
        assert "different results" in headline(run["result"])
    assert len(Ledger(proven_home).trials()) == 2
    changed = evaluate_bars(
        small_bars, labeler=LABELER, home=proven_home,
        config=EvalConfig(**SMALL | {"learner": "none", "seed": 1}),
    )  # fmt: skip
    assert changed["result"]["trials"]["n"] == 3


@pytest.mark.parametrize("private", [False, True])
def test_a_house_check_that_raises_holds_the_verdict_back_and_costs_nothing_else(
    small_bars: list[Bars], proven_home: Path, private: bool
) -> None:
    origin = Found(name="house", group="ffm.extensions", distribution="ffm-house", version="1",
                   module="house")  # fmt: skip

    def raises(evidence: Evidence) -> CheckResult:
        raise ValueError(f"no column in {object()}")

    house = VerdictCheck(name="house", judge=partial(call_plugin, origin, "check", raises))
    config = EvalConfig(**SMALL | {"learner": "none"})
    job = direct_job(small_bars, LABELER, config, proven_home, None)
    redact = SimpleNamespace(value=lambda result: result) if private else None
    job = dataclasses.replace(job, tightening=(house,), redact=redact)
    first, again = (evaluate(job).record for _ in range(2))
    assert first["result_hash"] == again["result_hash"]
    (found,) = [c for c in first["result"]["checks"] if c["name"] == "house"]
    assert found["outcome"] == "inconclusive"
    said = sentence(found["reason"])
    assert ("ValueError: no column in <object object at 0x…>" in said) != private
    assert first["result"]["arms"]["REAL"]["n_trades"] > 0
    assert [trial.state for trial in Ledger(proven_home).trials()] == ["closed"]


def test_trigger_claim_takes_every_decision(small_bars: list[Bars], proven_home: Path) -> None:
    result = judge(small_bars, proven_home, learner="none")["result"]
    assert result["prereg"]["claim"] == "trigger"
    assert result["arms"]["REAL"] == result["arms"]["NAIVE"]
    assert {check["name"] for check in result["checks"]} >= {"entry", "profit", "deflated"}
    assert not {"naive", "shuffle", "random"} & {check["name"] for check in result["checks"]}


@pytest.mark.parametrize("policy", ["dynamic_target", "atr_trail"])
def test_other_exits_change_results_but_not_labels(
    policy: str, small_bars: list[Bars], proven_home: Path, small_record: dict[str, Any]
) -> None:
    result = judge(small_bars, proven_home, exit=policy)["result"]
    assert result["strategy"]["exit"]["name"] == policy
    assert result["arms"]["NAIVE"]["mean_r"] != small_record["result"]["arms"]["NAIVE"]["mean_r"]
    same = [item["n_train"] for item in small_record["result"]["folds"]["items"]]
    assert [item["n_train"] for item in result["folds"]["items"]] == same


def test_checks_get_the_columns_that_they_read(small_bars: list[Bars], proven_home: Path) -> None:
    seen: list[dict[str, Any]] = []

    def look(evidence: Evidence) -> CheckResult:
        seen.append(dict(evidence.extra))
        return CheckResult(name="look", outcome="pass")

    learner = open_host().learner("xgb").record
    job = direct_job(small_bars, LABELER, EvalConfig(**SMALL), proven_home, learner)
    reading = VerdictCheck(name="look", judge=look, reads=("r_dynamic", "peak_r"))
    evaluate(dataclasses.replace(job, checks=(reading,)))
    assert set(seen[0]) == {"r_dynamic", "peak_r"}
    assert len(seen[0]["r_dynamic"]) == len(seen[0]["peak_r"]) > 0
    assert np.isfinite(seen[0]["r_dynamic"]).any()


def peek(bars: Bars, params: Any) -> Decisions:
    rises = np.flatnonzero(bars.close[1:] > bars.close[:-1])  # knows the next close
    return Decisions(bar=rises, side=np.ones(len(rises)), risk=np.full(len(rises), 20.0))


@pytest.mark.slow
def test_peeking_strategy_is_refused_before_any_trial(
    small_bars: list[Bars], tmp_path: Path
) -> None:
    peeking = Labeler(name="peek", decide=peek, horizon_bars=10, warmup_bars=0, history_bars=10,
                      memory="finite")  # fmt: skip
    record = evaluate_bars(small_bars, labeler=peeking, config=EvalConfig(**SMALL), home=tmp_path)
    result = record["result"]
    assert result["verdict"]["decision"] == "REFUSED"
    assert result["certificate"]["failures"]
    assert result["arms"] == {}
    assert Ledger(tmp_path).trials() == []


def test_strategy_without_decisions_is_an_error(small_bars: list[Bars], tmp_path: Path) -> None:
    def nothing(bars: Bars, params: Any) -> Decisions:
        return Decisions(bar=np.empty(0), side=np.empty(0), risk=np.empty(0))

    silent = Labeler(name="silent", decide=nothing, horizon_bars=10, warmup_bars=1)
    with pytest.raises(SampleError, match="found no decision"):
        evaluate_bars(small_bars, labeler=silent, config=EvalConfig(**SMALL), home=tmp_path)


def test_dry_run_reads_no_outcome_and_writes_no_ledger(
    small_bars: list[Bars], proven_home: Path
) -> None:
    job = direct_job(small_bars, LABELER, EvalConfig(**SMALL), proven_home, None)
    found = dry_run(job, Silent())
    assert found["smallest_edge_r"]["independent"] > 0
    assert not (proven_home / "ledger.sqlite3").exists()
    assert "r_net" not in str(found)


def test_custom_checks_change_the_constant_and_qualify(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[profit]\ndelta = 0.05\n")
    config = EvalConfig(**SMALL | {"checks": str(file)})
    checks = checks_of(config, open_host())
    profit = next(check for check in checks if check.name == "profit")
    assert profit.constants["delta"] == 0.05
    assert "mine.toml" in qualifier_of(config)


def test_lowered_costs_qualify(small_bars: list[Bars]) -> None:
    bars = small_bars[0]
    free = dataclasses.replace(bars.instrument, commission_per_side=0.0, fees_per_side=0.0)
    config = EvalConfig(**SMALL)
    usual, cheap = (
        qualifier_of(config, [b]) for b in (bars, dataclasses.replace(bars, instrument=free))
    )
    assert "costs" not in usual
    assert cheap.endswith(f"lowered costs of {bars.instrument.symbol}")


@pytest.mark.parametrize("text", ["[profits]\ndelta = 1\n", "profit = 3\n", "[profit\n"])
def test_bad_check_files_are_errors(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        checks_of(EvalConfig(**SMALL | {"checks": str(file)}), open_host())


def test_unknown_learner_and_features_are_named(small_bars: list[Bars], tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no learner named"):
        judge(small_bars, tmp_path, learner="xbg")
    with pytest.raises(UnknownNameError, match="feature set"):
        judge(small_bars, tmp_path, features=("trivial9",))


def test_labeler_without_declared_columns_is_an_error(
    small_bars: list[Bars], tmp_path: Path
) -> None:
    undeclared = dataclasses.replace(LABELER, columns=())
    with pytest.raises(Exception, match="declared and returned columns differ"):
        evaluate_bars(small_bars, labeler=undeclared, config=EvalConfig(**SMALL), home=tmp_path)


@pytest.mark.slow
def test_work_that_comes_to_nothing_costs_no_seal(small_bars: list[Bars], tmp_path: Path) -> None:
    short = [small_bars[0][: len(small_bars[0]) // 3]]  # four months, of which two get sealed
    with pytest.raises(SampleError, match="before the sealed tail"):
        judge(short, tmp_path)
    assert Ledger(tmp_path).events() == []
    leaking = dataclasses.replace(LABELER, name="leaking", decide=_decide_late)
    config = EvalConfig(**SMALL)
    record = evaluate_bars(small_bars, labeler=leaking, config=config, home=tmp_path)
    assert record["result"]["verdict"]["decision"] == "REFUSED"
    assert Ledger(tmp_path).events() == []


def test_an_unsealing_that_comes_to_nothing_opens_nothing(
    small_bars: list[Bars], proven_home: Path
) -> None:
    judge(small_bars, proven_home, learner="none")
    leaking = dataclasses.replace(LABELER, name="leaking", decide=_decide_late)
    config = EvalConfig(**SMALL, learner="none", unseal=True)
    record = evaluate_bars(small_bars, labeler=leaking, config=config, home=proven_home)
    assert record["result"]["verdict"]["decision"] == "REFUSED"
    assert record["result"]["folds"] == {}
    with pytest.raises(SampleError):
        judge(small_bars, proven_home, learner="none", unseal=True, train_months=24)
    assert "unsealed" not in [event.kind for event in Ledger(proven_home).events()]
    opened = judge(small_bars, proven_home, learner="none", unseal=True)
    assert opened["result"]["folds"]["seal"]["opened"]
    assert "unsealed" in [event.kind for event in Ledger(proven_home).events()]


def _decide_late(bars: Bars, params: dict[str, Any]) -> Decisions:
    """Decide like the labeler of the worlds, but never on the last bars given."""
    found = LABELER.decide(bars, params)
    kept = found.bar < len(bars) - 2
    return Decisions(
        bar=found.bar[kept], side=found.side[kept], risk=found.risk[kept],
        columns={name: values[kept] for name, values in found.columns.items()},
    )  # fmt: skip


def test_sealed_decisions_show_nothing_of_what_became_of_them(
    small_bars: list[Bars], proven_home: Path
) -> None:
    job = direct_job(
        small_bars, LABELER, EvalConfig(**SMALL | {"learner": "none"}), proven_home, None
    )
    table = evaluate(job).decisions
    sealed = table.filter(pl.col("sealed"))
    assert len(sealed) > 100
    for column in (
        "r_net",
        "r_gross",
        "exit_time",
        "exit_price",
        "peak_r",
        "reason",
        "void_reason",
    ):
        assert sealed[column].null_count() == len(sealed)
        assert table.filter(~pl.col("sealed"))[column].null_count() < len(table) - len(sealed)


def test_peeking_on_too_few_bars_is_refused_all_the_same(
    small_bars: list[Bars], tmp_path: Path
) -> None:
    peeking = Labeler(name="peek", decide=peek, horizon_bars=10, warmup_bars=0, history_bars=10,
                      memory="finite")  # fmt: skip
    short = [small_bars[0][:6000]]
    result = evaluate_bars(short, labeler=peeking, config=EvalConfig(**SMALL), home=tmp_path)[
        "result"
    ]
    assert result["verdict"]["decision"] == "REFUSED"
    assert result["folds"] == {}
