"""Windows against a slow reference; what makes one unusable."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats as reference

from ffm_core.bars import Bars
from ffm_core.bars.simulate import market
from ffm_core.embed.windows import FLAWS, RETURN_SHAPE, windows_at
from ffm_core.errors import ConfigError


@pytest.fixture(scope="module")
def bars():
    return market("SIMA3", months=4)


def with_close(bars: Bars, close: np.ndarray) -> Bars:
    frame = bars.frame.with_columns(pl.Series(name, close) for name in ("high", "low", "close"))
    return Bars(frame, bars.instrument, bars.timeframe)


def test_values_are_the_normalised_log_closes(bars):
    at = np.array([127, 500, 5_000, len(bars) - 1])
    found = windows_at(bars, at, masked=())
    for row, last in enumerate(at):
        logs = np.log(bars.close[last - 127 : last + 1].astype(np.longdouble))
        expected = ((logs - logs.mean()) / logs.std()).astype(np.float64)
        np.testing.assert_allclose(found.values[row], expected, rtol=0, atol=3e-7)
        assert found.scale[row] == pytest.approx(float(logs.std()), rel=1e-9)


def test_return_shape_against_scipy(bars):
    found = windows_at(bars, np.array([3_000]), masked=())
    returns = np.diff(np.log(bars.close[3_000 - 127 : 3_001]))
    off = returns - returns.mean()
    expected = [
        returns.mean(), returns.std(), reference.skew(returns), abs(np.sign(returns).mean()),
        *((off[lag:] * off[:-lag]).sum() / (off * off).sum() for lag in (1, 2, 3)),
    ]  # fmt: skip
    np.testing.assert_allclose(found.shape[0], expected, rtol=1e-8)
    assert len(RETURN_SHAPE) == len(expected)


def test_a_window_holds_no_later_bar(bars):
    at = np.arange(127, 2_000, 13)
    assert np.array_equal(windows_at(bars[:2_000], at).values, windows_at(bars, at).values)
    cut = windows_at(bars[1_000 - 127 : 1_001], np.array([127])).values  # its own bars alone
    assert np.array_equal(cut, windows_at(bars, np.array([1_000])).values)


def test_a_price_ratio_changes_nothing_that_float32_can_hold(bars):
    at = np.arange(127, len(bars), 97)
    plain = windows_at(bars, at)
    for ratio in (0.013, 1.00831, 977.7):
        other = windows_at(with_close(bars, bars.close * ratio), at)
        assert np.abs(other.values - plain.values).max() <= 5e-7
        assert np.array_equal(other.flaw, plain.flaw)


def test_casting_log_prices_first_would_lose_digits(bars):
    # The red twin: what the float64 recipe is there to avoid.
    quiet = 20_000.0 + np.cumsum(np.random.default_rng(1).choice([-0.25, 0.0, 0.25], len(bars)))
    bars = with_close(bars, quiet)
    ours = windows_at(bars, np.array([4_000]), masked=()).values[0]
    logs = np.log(quiet[4_000 - 127 : 4_001]).astype(np.float32)
    theirs = (logs - logs.mean()) / logs.std()
    exact = np.log(quiet[4_000 - 127 : 4_001].astype(np.longdouble))
    exact = (exact - exact.mean()) / exact.std()
    assert np.abs(ours - exact).max() < 1e-6 < 1e-3 < np.abs(theirs - exact).max()


@pytest.mark.parametrize("value", [0.0, -3.0, np.nan, np.inf])
def test_a_price_without_a_logarithm_spoils_its_windows(bars, value):
    close = bars.close.copy()
    close[1_000] = value
    found = windows_at(with_close(bars, close), np.array([999, 1_000, 1_127, 1_128]), masked=())
    assert [FLAWS[code] for code in found.flaw] == ["none", "price", "price", "none"]
    assert (found.values[1:3] == 0.0).all()
    assert np.isnan(found.scale[1:3]).all()


def test_a_constant_window_is_no_window(bars):
    close = bars.close.copy()
    close[2_000:2_200] = close[2_000]
    found = windows_at(with_close(bars, close), np.array([2_126, 2_127, 2_199, 2_200]), masked=())
    assert [FLAWS[code] for code in found.flaw] == ["none", "constant", "constant", "none"]


def test_short_history_holes_and_rolls_are_masked_by_policy(bars):
    assert FLAWS[windows_at(bars, np.array([126])).flaw[0]] == "short"
    codes = bars.contract_codes
    roll = int(np.flatnonzero(np.diff(codes))[0]) + 1
    at = np.array([roll - 1, roll, roll + 126, roll + 127])
    assert windows_at(bars, at).flaw.tolist() == [0, FLAWS.index("roll"), FLAWS.index("roll"), 0]
    assert windows_at(bars, at, masked=("hole",)).usable.all()
    holed = bars.frame.with_row_index().filter(~pl.col("index").is_between(3_000, 3_700))
    holed = Bars(holed.drop("index"), bars.instrument, bars.timeframe)
    at = np.array([2_999, 3_000, 3_126, 3_127])
    hole = FLAWS.index("hole")
    assert windows_at(holed, at, masked=("hole",)).flaw.tolist() == [0, hole, hole, 0]
    assert windows_at(holed, at).counts()["hole"] == 2


@pytest.mark.parametrize(
    ("at", "masked", "words"),
    [([-1], (), "windows end at bars -1"), ([10**9], (), "of"), ([200], ("gap",), "'gap'")],
)
def test_wrong_questions_are_refused(bars, at, masked, words):
    with pytest.raises(ConfigError, match=words):
        windows_at(bars, np.array(at), masked=masked)
