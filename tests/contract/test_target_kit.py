"""The kit of targets against its red twins."""

from __future__ import annotations

import pytest

from ffm_core.labels.targets import TARGETS
from ffm_core.testing import TARGET_CHECKS, CheckFailed, check_target
from ffm_core.testing.target_specimens import CLEAN_TARGET, TARGET_SPECIMENS


@pytest.mark.parametrize("name", TARGET_SPECIMENS)
def test_every_specimen_is_caught_by_its_own_check_and_no_other(name):
    target, breaks = TARGET_SPECIMENS[name]
    report = check_target(target, on_fail="report")
    assert {outcome.check for outcome in report.failed} == {breaks}, str(report)


@pytest.mark.parametrize("target", [CLEAN_TARGET, *TARGETS], ids=lambda target: target.name)
def test_a_clean_target_passes_every_check(target):
    report = check_target(target, on_fail="report")
    assert report.count("passed") == len(TARGET_CHECKS), str(report)


def test_every_check_has_a_specimen_and_says_what_it_asks():
    assert {breaks for _, breaks in TARGET_SPECIMENS.values()} == {c.name for c in TARGET_CHECKS}
    assert all(check.summary for check in TARGET_CHECKS)


def test_a_failure_is_raised_and_names_the_bar_and_the_repair():
    early, _ = TARGET_SPECIMENS["known too early"]
    with pytest.raises(CheckFailed, match=r"(?s)value at bar \d+ .*end_bar"):
        check_target(early)
