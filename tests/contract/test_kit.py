from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from datetime import date

import pytest

from ffm_core.errors import ConfigError, UnknownNameError
from ffm_core.testing import (
    CHECKS,
    CheckFailed,
    Excuse,
    check_strategy,
    load_installed,
    make_bars,
    parametrize_with_checks,
)
from ffm_core.testing.specimens import CLEAN, CLEAN_LABELER, SPECIMENS

BARS = make_bars("trend", rows=700, seed=7)
BY_NAME = {specimen.name: specimen for specimen in SPECIMENS}
MADE_HERE = {"imports_are_light"}  # its specimen needs a heavy library, made below


@pytest.fixture(autouse=True)
def _fewer_cuts(monkeypatch):
    monkeypatch.setattr("ffm_core.testing.subject.MAX_CUTS", 120)


def _report(labeler, **options):
    return check_strategy(labeler, bars=BARS, on_fail="report", **options)


# --- the kit against its red twins --------------------------------------------------------


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_every_specimen_is_caught_by_its_own_check_and_no_other(specimen):
    report = _report(specimen.labeler)
    assert {outcome.check for outcome in report.failed} == {specimen.breaks}, str(report)


@pytest.mark.parametrize("specimen", CLEAN, ids=lambda specimen: specimen.name)
def test_a_clean_strategy_passes_every_check(specimen):
    report = _report(specimen.labeler)
    assert report.count("passed") == len(CHECKS), str(report)


def test_every_check_has_a_specimen():
    assert {specimen.breaks for specimen in SPECIMENS} | MADE_HERE == {c.name for c in CHECKS}


def test_names_of_checks_and_specimens_are_unique_and_explained():
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert len(BY_NAME) == len(SPECIMENS)
    assert all(check.summary.endswith(".") for check in CHECKS)


def test_a_check_runs_after_what_it_needs():
    seen = set()
    for check in CHECKS:
        assert set(check.needs) <= seen
        seen.add(check.name)


@pytest.fixture
def heavy_strategy(tmp_path, monkeypatch):
    """A package that imports a (made-up) heavy library in its plug-in module."""
    (tmp_path / "torch.py").write_text("SIZE = 'two gigabytes'\n")
    package = tmp_path / "heavy_strategy"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text("import torch\n")
    (package / "labeler.py").write_text(
        "from ffm_core.testing.building import build, hourly, typical\n"
        "def decide(bars, params):\n"
        "    return build(bars, hourly(bars), typical(bars))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield replace(CLEAN_LABELER, decide=importlib.import_module("heavy_strategy.labeler").decide)
    for name in ("heavy_strategy.labeler", "heavy_strategy", "torch"):
        sys.modules.pop(name, None)


def test_a_heavy_import_is_found_in_a_new_process(heavy_strategy):
    report = _report(heavy_strategy)
    assert {outcome.check for outcome in report.failed} == {"imports_are_light"}, str(report)
    assert "torch" in report.failed[0].reason


# --- reports and excuses ------------------------------------------------------------------


def test_a_failure_is_an_assertion_that_names_rule_place_and_repair():
    with pytest.raises(AssertionError) as caught:
        check_strategy(BY_NAME["column: shift by one bar"].labeler, bars=BARS)
    text = str(caught.value)
    assert isinstance(caught.value, CheckFailed)
    for part in ("past_ignores_removed_future", "value at bar", "shift(-1)", "fix:"):
        assert part in text


def test_a_report_counts_every_check_once():
    report = _report(BY_NAME["edits its input"].labeler)
    counts = {status: report.count(status) for status in ("passed", "failed", "skipped")}
    assert sum(counts.values()) == len(CHECKS) == len(list(report))
    assert counts["failed"] == 1
    assert counts["skipped"] > 10
    assert not report.passed
    assert "1 failed" in str(report)
    assert "needs input_is_not_edited" in str(report)
    with pytest.raises(ValueError, match="'fine' is not one of"):
        report.count("fine")


def test_a_written_excuse_turns_a_failure_into_one_that_is_expected():
    labeler = BY_NAME["a stop of ten points"].labeler
    report = _report(labeler, expected_failures={"prices_may_be_scaled": "made for one market"})
    assert report.passed
    assert report.count("excused") == 1
    assert "made for one market" in str(report)


def test_an_excuse_expires_when_the_check_passes():
    report = _report(CLEAN_LABELER, expected_failures={"one_bar": "was broken once"})
    assert [outcome.check for outcome in report.failed] == ["one_bar"]
    assert "expired" in report.failed[0].reason


def test_an_excuse_with_a_date_runs_out(monkeypatch):
    labeler = BY_NAME["a stop of ten points"].labeler
    excuse = Excuse("made for one market", until="2026-12-31")
    given = {"prices_may_be_scaled": excuse}
    assert not excuse.is_over(date(2026, 12, 31))
    assert excuse.is_over(date(2027, 1, 1))
    for today, status in ((date(2026, 12, 31), "excused"), (date(2027, 1, 1), "failed")):
        monkeypatch.setattr("ffm_core.testing.kit._today", lambda today=today: today)
        outcome = {o.check: o for o in _report(labeler, expected_failures=given)}
        assert outcome["prices_may_be_scaled"].status == status
    assert "ran out on 2026-12-31" in outcome["prices_may_be_scaled"].reason


def test_an_excuse_needs_a_reason_and_a_date_that_is_one():
    with pytest.raises(ConfigError, match="needs a reason"):
        Excuse("  ")
    with pytest.raises(ConfigError, match="is not a date"):
        Excuse("later", until="soon")
    with pytest.raises(ConfigError, match="needs a reason"):
        _report(CLEAN_LABELER, expected_failures={"one_bar": ""})


def test_an_excuse_for_no_check_is_an_error():
    with pytest.raises(ConfigError, match="no_such_check"):
        _report(CLEAN_LABELER, expected_failures={"no_such_check": "?"})


def test_history_longer_than_the_bars_is_reported_as_skipped_not_as_passed():
    report = check_strategy(replace(CLEAN_LABELER, history_bars=5_000), bars=BARS, on_fail="report")
    (skipped,) = [outcome for outcome in report if outcome.status == "skipped"]
    assert skipped.check == "history_is_sufficient"


def test_a_labeler_that_no_other_process_can_import_is_said_to_be_skipped():
    namespace = {}
    exec("def decide(bars, params):\n    return None", namespace)
    labeler = replace(CLEAN_LABELER, decide=namespace["decide"])
    from ffm_core.testing.fresh import fresh_process
    from ffm_core.testing.report import CheckSkipped

    with pytest.raises(CheckSkipped, match="no module"):
        fresh_process(labeler, BARS)


def test_default_bars_are_long_enough_to_prove_a_long_history():
    from ffm_core.testing.subject import standard_bars

    assert len(standard_bars(20, 60)) == 2_000
    assert len(standard_bars(20, 3_000)) == 4_500
    assert len(standard_bars(20, None, 12)) == 1_500 + 12 * 276


# --- one test per check -------------------------------------------------------------------


@parametrize_with_checks([CLEAN_LABELER], bars=BARS)
def test_contract(strategy, check):
    check(strategy)


def test_a_parametrised_check_fails_and_skips_as_the_report_does():
    cases = {
        case.id: case.values
        for case in parametrize_with_checks([BY_NAME["negative risk"].labeler], bars=BARS).args[1]
    }
    assert len(cases) == len(CHECKS)
    strategy, risk = cases["negative-risk-risk_is_positive"]
    with pytest.raises(CheckFailed, match=r"risk of decision \d+ is -"):
        risk(strategy)
    _, flat = cases["negative-risk-flat_prices"]
    with pytest.raises(pytest.skip.Exception, match="needs risk_is_positive"):
        flat(strategy)
    _, warmup = cases["negative-risk-warmup_is_kept"]
    warmup(strategy)


# --- installed strategies -----------------------------------------------------------------


def test_an_unknown_strategy_is_named_as_such():
    with pytest.raises(UnknownNameError, match="no_such_strategy"):
        load_installed("no_such_strategy")
