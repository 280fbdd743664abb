"""The package as FFM sees it: offered by name, switched on by naming it, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest
from ffm_features_qe150.assembled import QE150

from ffm_core.bars.simulate import market
from ffm_core.evaluate import Job, job_of
from ffm_core.host.loading import open_host
from ffm_core.runs.config import EvalConfig
from ffm_core.testing import load_features, parametrize_with_checks


# Hourly bars, so that a thousand of them hold the weeks of history that some columns need.
@pytest.mark.slow
@parametrize_with_checks([QE150], bars=market("SIMA3", months=3, timeframe="1h"))
def test_contract(feature_set, check):
    check(feature_set)


def test_the_package_is_installed_and_its_name_switches_it_on():
    assert load_features("qe150") is QE150
    assert [offer.record.name for offer in open_host().feature_sets()].count("qe150") == 0


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bars") / "SIMA3_30m.parquet"
    market("SIMA3", months=1, timeframe="30m").frame.write_parquet(path)
    return path


def opened(bars: Path, home: Path, *features: str) -> Job:
    config = EvalConfig(strategy="supertrend", features=features, data=(str(bars),))
    return job_of(config, home)


def test_what_was_switched_on_is_part_of_the_trial(bars, tmp_path):
    plain, both = opened(bars, tmp_path, "ffm68"), opened(bars, tmp_path, "ffm68", "qe150")
    assert plain.config.extensions == ()
    assert both.config.extensions == ("qe150",)
    assert both.config.identity()["extensions"] == ["qe150"]
    assert both.code_hash != plain.code_hash
    assert both.source.parts.feature_sets[1].name == "qe150"


def test_naming_it_and_switching_it_on_is_one_trial(bars, tmp_path):
    named = opened(bars, tmp_path, "qe150")
    config = EvalConfig(
        strategy="supertrend", features=("qe150",), extensions=("qe150",), data=(str(bars),)
    )
    asked = job_of(config, tmp_path)
    assert asked.config.identity() == named.config.identity()
    assert asked.code_hash == named.code_hash
