from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffm_core.causal.cutting.series import edited, fingerprint, mirrored, part, with_future
from ffm_core.testing import make_bars

KINDS = ("perturb", "permute", "splice", "foreign", "roll")  # those that leave stamps alone
OTHER = make_bars("random", rows=300, seed=9)
FIELDS = ("open", "high", "low", "close", "volume")
BARS = make_bars("trend", rows=400, seed=2)


def _rng():
    return np.random.default_rng(5)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    start=st.integers(0, 100),
    cut=st.integers(100, 398),
    length=st.integers(1, 300),
)
def test_only_bars_from_the_cut_on_change_and_stay_valid(kind, start, cut, length):
    stop = min(cut + length, len(BARS))
    changed = with_future(BARS, start, cut, stop, kind=kind, rng=_rng(), other=OTHER)
    assert len(changed) == stop - start
    np.testing.assert_array_equal(changed.ts_us, BARS.ts_us[start:stop])
    head = cut - start
    for name in FIELDS:
        np.testing.assert_array_equal(changed[name][:head], BARS[name][start:cut])
    assert any((changed[name][head:] != BARS[name][cut:stop]).any() for name in FIELDS)
    assert (changed.high >= np.maximum(changed.open, changed.close)).all()
    assert (changed.low <= np.minimum(changed.open, changed.close)).all()
    assert (changed.low > 0).all()
    np.testing.assert_allclose(changed.close / 0.25 % 1, 0, atol=1e-9)


@pytest.mark.parametrize("kind", ["perturb", "splice"])
def test_noise_and_splices_change_every_later_close(kind):
    changed = with_future(BARS, 0, 200, 400, kind=kind, rng=_rng())
    assert (changed.close[200:] != BARS.close[200:]).all()
    assert (changed.volume[200:] != BARS.volume[200:]).all()


def test_permuted_futures_hold_the_same_bars():
    changed = with_future(BARS, 0, 200, 400, kind="permute", rng=_rng())
    assert sorted(changed.close[200:]) == sorted(BARS.close[200:])


def test_a_splice_rolls_into_the_last_contract():
    changed = with_future(BARS, 0, 100, 300, kind="splice", rng=_rng())
    names = changed.frame["contract"].to_list()
    assert names[:100] == ["ESH4"] * 100
    assert names[100:] == ["ESM4"] * 200


def test_a_roll_brings_a_contract_never_seen_and_a_jump():
    changed = with_future(BARS, 0, 100, 300, kind="roll", rng=_rng())
    names = changed.frame["contract"].to_list()
    assert names[:100] == ["ESH4"] * 100
    assert set(names[100:]) == {"ESH4+"}
    ratio = changed.close[100:] / BARS.close[100:300]
    np.testing.assert_allclose(ratio, ratio[0], atol=1e-3)
    assert abs(ratio[0] - 1.0) > 0.01


def test_a_foreign_future_starts_at_this_level():
    changed = with_future(BARS, 0, 100, 300, kind="foreign", rng=_rng(), other=OTHER)
    assert abs(changed.close[100] / BARS.close[99] - 1.0) < 0.01
    assert not np.isin(changed.close[100:], BARS.close[100:300]).all()


@pytest.mark.parametrize(("cut", "stop"), [(100, 120), (390, 400), (5, 400)])
def test_an_inserted_session_adds_bars_after_the_cut_only(cut, stop):
    changed = with_future(BARS, 0, cut, stop, kind="session", rng=_rng())
    assert stop < len(changed) <= stop + 24
    np.testing.assert_array_equal(changed.ts_us[:cut], BARS.ts_us[:cut])
    np.testing.assert_array_equal(changed.close[:cut], BARS.close[:cut])
    assert (np.diff(changed.ts_us) > 0).all()
    assert (changed.high >= np.maximum(changed.open, changed.close)).all()
    assert (changed.low <= np.minimum(changed.open, changed.close)).all()


def test_a_change_may_end_before_the_series_does():
    changed = with_future(BARS, 50, 200, 400, kind="perturb", rng=_rng(), until=210)
    assert (changed.close[150:160] != BARS.close[200:210]).all()
    np.testing.assert_array_equal(changed.close[160:], BARS.close[210:])


def test_a_part_equals_a_slice_in_everything_it_hands_on():
    cut, plain = part(BARS, 0, 300), BARS[:300]
    np.testing.assert_array_equal(cut.ts_us, plain.ts_us)
    np.testing.assert_array_equal(cut.contract_codes, plain.contract_codes)
    late, plain = part(BARS, 260, 380), BARS[260:380]
    np.testing.assert_array_equal(late.ts_us, plain.ts_us)
    np.testing.assert_array_equal(late.contract_codes, plain.contract_codes)
    with pytest.raises(ValueError, match="read-only"):
        cut.ts_us[0] = 0


def test_the_mirrored_series_shares_nothing_with_the_original():
    twin = mirrored(BARS)
    assert len(twin) > len(BARS)
    assert twin.ts_us[-1] < BARS.ts_us[0]
    assert (np.diff(twin.ts_us) > 0).all()
    assert (twin.high >= np.maximum(twin.open, twin.close)).all()
    assert (twin.low <= np.minimum(twin.open, twin.close)).all()
    weeks = (BARS.ts_us - twin.ts_us[: len(BARS)]) / (7 * 86_400_000_000)
    assert set(weeks) == {52.0}
    moves, mirror = np.diff(np.log(BARS.close)), np.diff(np.log(twin.close[: len(BARS)]))
    assert np.corrcoef(moves, mirror)[0, 1] < -0.99


def test_edits_in_place_are_seen_and_do_not_reach_the_original():
    before = fingerprint(BARS)
    given_bars = part(BARS, 0, len(BARS))
    assert edited(given_bars, before) is None
    given_bars.frame[3, "low"] = 1.0
    assert edited(given_bars, before) == "low"
    assert edited(BARS, before) is None


def test_swapped_views_and_added_columns_are_seen():
    before = fingerprint(BARS)
    swapped = part(BARS, 0, len(BARS))
    vars(swapped)["close"] = BARS.close + 1
    assert edited(swapped, before) == "close"
    grown = part(BARS, 0, len(BARS))
    grown.frame.insert_column(0, grown.frame["close"].alias("extra"))
    assert edited(grown, before) == "extra"
