from __future__ import annotations

import importlib
import sys
from dataclasses import replace

import numpy as np
import pytest
from zoo import CLEAN

from ffm_core.errors import ConfigError, UnknownNameError
from ffm_core.records import Input
from ffm_core.testing import (
    FEATURE_CHECKS,
    CheckFailed,
    check_feature_set,
    load_features,
    make_bars,
    parametrize_with_checks,
)
from ffm_core.testing.feature_specimens import CLEAN_SET, FEATURE_SPECIMENS
from ffm_core.testing.specimens import CLEAN_LABELER

BARS = make_bars("trend", rows=1_400, seed=7)
BY_NAME = {specimen.name: specimen for specimen in FEATURE_SPECIMENS}
MADE_HERE = {"imports_are_light"}  # its specimen needs a heavy library, made below


@pytest.fixture(autouse=True)
def _fewer_cuts(monkeypatch):
    monkeypatch.setattr("ffm_core.testing.subject.MAX_CUTS", 120)


HONEST = [one for one in CLEAN if one.kind == "features"]


def _report(feature_set, **options):
    return check_feature_set(feature_set, bars=BARS, on_fail="report", **options)


@pytest.mark.parametrize("specimen", FEATURE_SPECIMENS, ids=lambda specimen: specimen.name)
def test_every_specimen_is_caught_by_its_own_check_and_no_other(specimen):
    report = _report(specimen.feature_set)
    assert {outcome.check for outcome in report.failed} == {specimen.breaks}, str(report)


@pytest.mark.parametrize("honest", HONEST, ids=lambda honest: honest.name)
def test_a_clean_set_fails_no_check(honest):
    report = _report(honest.record)
    assert report.passed, str(report)
    assert report.count("passed") >= len(FEATURE_CHECKS) - 5


def test_a_plain_set_passes_every_check():
    report = _report(CLEAN_SET)
    assert report.count("passed") == len(FEATURE_CHECKS), str(report)


def test_every_check_has_a_specimen():
    broken = {specimen.breaks for specimen in FEATURE_SPECIMENS}
    assert broken | MADE_HERE == {check.name for check in FEATURE_CHECKS}


def test_names_are_unique_and_explained_and_needs_come_first():
    seen = set()
    for check in FEATURE_CHECKS:
        assert check.name not in seen
        assert set(check.needs) <= seen
        assert check.summary.endswith(".")
        seen.add(check.name)
    assert len(BY_NAME) == len(FEATURE_SPECIMENS)


def test_a_heavy_import_is_found_in_a_new_process(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("SIZE = 'two gigabytes'\n")
    (tmp_path / "heavy_features.py").write_text(
        "import torch\n"
        "from dataclasses import replace\n"
        "from ffm_core.testing.feature_specimens import CLEAN_SET\n"
        "SET = replace(CLEAN_SET, name='heavy')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    try:
        report = _report(importlib.import_module("heavy_features").SET)
    finally:
        for name in ("heavy_features", "torch"):
            sys.modules.pop(name, None)
    assert {outcome.check for outcome in report.failed} == {"imports_are_light"}, str(report)
    assert "torch" in report.failed[0].reason


def test_a_failure_names_the_column_the_bar_and_the_repair():
    with pytest.raises(CheckFailed) as caught:
        check_feature_set(BY_NAME["the next close"].feature_set, bars=BARS)
    for part in ("past_ignores_removed_future", "value at bar", "shift(-1)", "fix:"):
        assert part in str(caught.value)


def test_what_does_not_apply_is_skipped_and_says_why():
    whole = replace(CLEAN_SET, name="whole", history_bars=None)
    report = _report(whole)
    skipped = {outcome.check: outcome.reason for outcome in report if outcome.status == "skipped"}
    assert "no stream" in skipped["stream_equals_batch"]
    assert "not an attribute of a module" in skipped["fresh_process_agrees"]


def test_a_set_that_reads_an_input_is_given_a_made_up_table():
    def batch(bars):
        return bars.inputs["index"]["level"].astype(np.float32)[:, None]

    index = Input(name="index", columns=("level",))
    made = replace(CLEAN_SET, name="index", batch=batch, warmup_bars=0, history_bars=1,
                   inputs=(index,))  # fmt: skip
    report = _report(made)
    assert not report.failed, str(report)
    skipped = {outcome.check: outcome.reason for outcome in report if outcome.status == "skipped"}
    assert "shown bars alone" in skipped["stream_equals_batch"]
    report = _report(replace(made, inputs=(replace(index, columns=()),)))
    assert report.failed[0].check == "record_is_sound"


def test_an_unknown_set_is_named_as_such():
    with pytest.raises(UnknownNameError, match="no_such_set"):
        load_features("no_such_set")


@parametrize_with_checks([load_features("trivial8")], bars=BARS)
def test_contract_of_a_built_in_set(feature_set, check):
    check(feature_set)


def test_one_test_cannot_check_both_kinds():
    with pytest.raises(ConfigError, match="strategies, or feature sets"):
        parametrize_with_checks([CLEAN_SET, CLEAN_LABELER])
    with pytest.raises(ConfigError, match="at least one"):
        parametrize_with_checks([])
