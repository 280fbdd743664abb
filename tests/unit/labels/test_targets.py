from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ffm_core.causal.subjects.targets import falsify_target
from ffm_core.errors import UnknownNameError
from ffm_core.labels.targets import TARGETS, target
from ffm_core.records import TargetValues
from ffm_core.testing.golden import golden_bars

NAMES = [one.name for one in TARGETS]


def test_the_list_of_targets():
    assert len(set(NAMES)) == len(NAMES) == 11
    count = {group: sum(t.group == group for t in TARGETS) for group in {t.group for t in TARGETS}}
    assert count == {
        "context": 8, "barrier": 1, "ladder": 2,
    }  # fmt: skip
    for one in TARGETS:
        assert one.name.startswith(f"{one.group}/")
        assert one.formula
        assert one.summary.endswith(".")
        assert one.source
        assert target(one.name) is one


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="no target 'context/trendines'") as error:
        target("context/trendines")
    assert "did you mean 'context/trendiness'?" in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_end_bars_are_honest(torn, name):
    certificate = falsify_target(target(name), torn(53, 600), seed=5, max_cuts=120)
    assert certificate.status == "clean", certificate.failures


@pytest.mark.parametrize("name", NAMES)
def test_an_end_bar_one_bar_early_would_be_found(torn, name):
    one = target(name)

    def hurried(bars):
        found = one.compute(bars)
        late = found.end_bar > np.arange(len(bars))
        return TargetValues(value=found.value, end_bar=found.end_bar - late)

    bars = golden_bars()[:800]
    certificate = falsify_target(replace(one, compute=hurried), bars, seed=5, max_cuts=120)
    assert {failure.check for failure in certificate.failures} == {"horizon"}


@pytest.mark.parametrize("name", NAMES)
def test_bars_inside_the_horizon_matter(name):
    """The last bar a value reads is one it does read, somewhere."""
    bars, one = golden_bars(), target(name)
    found = one.compute(bars)
    rows = np.flatnonzero(found.end_bar > np.arange(len(bars)))[::40]
    moved = 0
    for t in rows:
        end = int(found.end_bar[t])
        for factor in (0.97, 1.03):
            frame = bars.frame.with_row_index("row")
            for column in ("open", "high", "low", "close"):
                price = frame[column].to_numpy().copy()
                price[end] *= factor
                frame = frame.with_columns(**{column: price})
            other = one.compute(type(bars)(frame.drop("row"), bars.instrument, bars.timeframe))
            moved += not np.array_equal(other.value[t], found.value[t], equal_nan=True)
    assert moved >= 5


def test_real_bars_keep_targets_honest(data_dir):
    from ffm_core.bars.readers import load

    file = next(data_dir.glob("real/**/ES_5m.parquet"), None)
    if file is None:
        pytest.skip("no five-minute bars of ES among the test data")
    bars = load(file).bars[20_000:22_000]
    for name in ("context/fwd_return", "context/volatility", "barrier/direction", "ladder/long"):
        certificate = falsify_target(target(name), bars, seed=7, max_cuts=120)
        assert certificate.status == "clean", (name, certificate.failures)
