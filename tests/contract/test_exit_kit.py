from __future__ import annotations

import pytest

from ffm_core.testing import EXIT_CHECKS, CheckFailed, check_exit_policy, make_bars
from ffm_core.testing.exit_specimens import CLEAN_EXIT, CLEAN_EXITS, EXIT_SPECIMENS

BARS = make_bars("trend", rows=1_400, seed=7)


@pytest.fixture(autouse=True)
def _fewer_cuts(monkeypatch):
    monkeypatch.setattr("ffm_core.testing.exit_checks.MAX_CUTS", 120)


def _report(policy, **options):
    return check_exit_policy(policy, bars=BARS, on_fail="report", **options)


@pytest.mark.parametrize("specimen", EXIT_SPECIMENS, ids=lambda specimen: specimen.name)
def test_every_specimen_is_caught_by_its_own_check_and_no_other(specimen):
    report = _report(specimen.policy)
    assert {outcome.check for outcome in report.failed} == {specimen.breaks}, str(report)


@pytest.mark.parametrize("specimen", CLEAN_EXITS, ids=lambda specimen: specimen.name)
def test_a_clean_policy_fails_no_check(specimen):
    report = _report(specimen.policy)
    assert report.passed, str(report)


def test_a_plain_policy_passes_all_that_apply_to_columns():
    report = _report(CLEAN_EXIT)
    assert {one.check for one in report.outcomes if one.status == "skipped"} == {
        "state_is_three_arrays", "targets_are_sound", "step_compiles", "step_follows_its_trade",
    }  # fmt: skip


def test_every_check_has_a_specimen():
    assert {specimen.breaks for specimen in EXIT_SPECIMENS} == {check.name for check in EXIT_CHECKS}


def test_names_are_unique_and_explained_and_needs_come_first():
    seen = set()
    for check in EXIT_CHECKS:
        assert check.name not in seen
        assert set(check.needs) <= seen
        assert check.summary.endswith(".")
        seen.add(check.name)


def test_a_failure_raises_and_an_excuse_excuses():
    broken = next(one for one in EXIT_SPECIMENS if one.name == "float32").policy
    with pytest.raises(CheckFailed, match="expected a float64 array"):
        check_exit_policy(broken, bars=BARS)
    report = _report(broken, expected_failures={"returns_a_row_per_bar": "to be mended"})
    assert report.passed
