"""The kit of embedders against its red twins."""

from __future__ import annotations

import pytest

from ffm_core.embed.stats import STATS
from ffm_core.testing import EMBEDDER_CHECKS, CheckFailed, check_embedder
from ffm_core.testing.embedder_specimens import CLEAN_EMBEDDER, EMBEDDER_SPECIMENS


@pytest.mark.parametrize("specimen", EMBEDDER_SPECIMENS, ids=lambda specimen: specimen.name)
def test_every_specimen_is_caught_by_its_own_check_and_no_other(specimen):
    report = check_embedder(specimen.embedder, on_fail="report")
    assert {outcome.check for outcome in report.failed} == {specimen.breaks}, str(report)


@pytest.mark.parametrize("embedder", [CLEAN_EMBEDDER, STATS], ids=lambda embedder: embedder.name)
def test_a_clean_embedder_passes_every_check(embedder):
    report = check_embedder(embedder, on_fail="report")
    assert report.count("passed") == len(EMBEDDER_CHECKS), str(report)


def test_every_check_has_a_specimen_and_says_what_it_asks():
    assert {one.breaks for one in EMBEDDER_SPECIMENS} == {check.name for check in EMBEDDER_CHECKS}
    assert all(check.summary for check in EMBEDDER_CHECKS)


def test_a_failure_is_raised_and_names_window_and_repair():
    batch = next(one for one in EMBEDDER_SPECIMENS if one.breaks == "rows_are_independent")
    with pytest.raises(CheckFailed, match=r"of window \d+ it says .* when 300 windows are shown"):
        check_embedder(batch.embedder)
