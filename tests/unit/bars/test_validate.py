from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffm_core.bars.validate import validate
from ffm_core.errors import SchemaError

ROWS = 20


def frame(rows: int = ROWS, **changes: dict[int, object]) -> pl.DataFrame:
    """Good bars, with single values replaced: ``high={3: 1.0}``."""
    columns: dict[str, list[object]] = {
        "ts": [60_000_000 * (1 + i) for i in range(rows)],
        "open": [100.0] * rows,
        "high": [102.0] * rows,
        "low": [99.0] * rows,
        "close": [101.0] * rows,
        "volume": [5.0] * rows,
    }
    for name, values in changes.items():
        for index, value in values.items():
            columns[name][index] = value
    made = pl.DataFrame(columns, strict=False)
    return made.with_columns(pl.col("ts").cast(pl.Datetime("us", "UTC")))


def check(data: pl.DataFrame, policy: str = "error"):
    return validate(data, name="ES.csv", where=lambda i: f"ES.csv line {i + 2}", policy=policy)


BREAKS = {
    "no_stamp": ({"ts": {4: None}}, "stamp is missing"),
    "nan": ({"close": {4: math.nan}}, "close is nan"),
    "null": ({"low": {4: None}}, "low is missing"),
    "infinite": ({"high": {4: math.inf}}, "high is inf"),
    "huge": ({"high": {4: 1e300}}, r"high is 1e\+300, which is not a plausible price"),
    "zero": ({"low": {4: 0.0}}, "low is 0"),
    "negative": ({"low": {4: -3.0}}, "low is -3"),
    "high below open": ({"high": {4: 99.25}}, r"high is below open \(open 100, high 99\.25,"),
    "low above close": ({"low": {4: 101.75}, "open": {4: 102.0}}, "low is above close"),
    "high below low": ({"high": {4: 98.0}}, "high is below low"),
    "negative volume": ({"volume": {4: -1.0}}, "volume is -1"),
    "no volume": ({"volume": {4: None}}, "volume is missing"),
    "huge volume": ({"volume": {4: 1e300}}, r"volume is 1e\+300"),
    "infinite volume": ({"volume": {4: math.inf}}, "volume is inf"),
    "duplicate": ({"ts": {4: 240_000_000}}, "duplicate timestamp"),
    "disorder": ({"ts": {4: 30_000_000}}, "timestamp out of order"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_row_is_named(kind):
    changes, words = BREAKS[kind]
    with pytest.raises(SchemaError, match=words) as caught:
        check(frame(**changes))
    assert caught.value.problem.startswith("ES.csv line 6")
    if kind != "no_stamp":
        assert "1970-01-01T00:0" in caught.value.problem
    assert "--policy drop" in caught.value.fix


@pytest.mark.parametrize("seconds", [-62_135_596_800, -2_208_988_801, 7_258_118_400])
def test_a_year_without_markets_is_named(seconds):
    rows = {4: seconds * 1_000_000}
    with pytest.raises(SchemaError, match=r"line 6 at \d{4}-.*outside 1900") as caught:
        check(frame(ts=rows))
    assert "four digits" in caught.value.fix
    good, dropped = check(frame(ts=rows), "drop")
    assert (good.height, dropped) == (ROWS - 1, {"stamp_out_of_range": 1})


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_row_is_dropped_and_counted(kind):
    good, dropped = check(frame(**BREAKS[kind][0]), "drop")
    assert good.height == ROWS - 1
    assert sum(dropped.values()) == 1


def test_good_bars_pass_untouched():
    data = frame()
    good, dropped = check(data)
    assert good is data
    assert dropped == {}


def test_the_first_fault_in_the_file_is_named():
    with pytest.raises(SchemaError, match="line 4"):
        check(frame(ts={7: 10}, close={2: math.nan}))


def test_the_number_of_such_rows_is_told():
    with pytest.raises(SchemaError, match="3 such rows"):
        check(frame(volume={2: -1.0, 3: -1.0, 9: -2.0}))


def test_a_placeholder_volume_is_called_one():
    with pytest.raises(SchemaError, match="volume is -1 in every row") as caught:
        check(frame(volume=dict.fromkeys(range(ROWS), -1.0)))
    assert "volume=none" in caught.value.fix


def test_several_contract_months_in_one_stamp_are_named():
    data = frame(ts={4: 240_000_000}).with_columns(contract=pl.lit("ESH4"))
    data[4, "contract"] = "ESM4"
    with pytest.raises(SchemaError, match=r"share this timestamp \(ESH4, ESM4\)") as caught:
        check(data)
    assert "--contract" in caught.value.fix


def test_nothing_left_is_an_error():
    with pytest.raises(SchemaError, match="no row is valid"):
        check(frame(close=dict.fromkeys(range(ROWS), math.nan)), "drop")


def test_no_rows_are_an_error():
    with pytest.raises(SchemaError, match="contains no bars"):
        check(frame(rows=0))


def test_a_late_row_hides_nothing_behind_it():
    # One stamp far ahead must not be the yardstick for good rows when it is bad itself.
    good, dropped = check(frame(ts={3: 9_000_000_000}, close={3: math.nan}), "drop")
    assert dropped == {"non_finite_price": 1}
    assert good.height == ROWS - 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ts", "open", "high", "low", "close", "volume"]),
            st.integers(0, ROWS - 1),
            st.sampled_from([None, math.nan, math.inf, -1.0, 0.0, 50.0, 100.0, 200.0]),
        ),
        max_size=6,
    )
)
def test_what_drop_leaves_always_passes(edits):
    changes: dict[str, dict[int, object]] = {}
    for name, index, value in edits:
        odd = value is None or not math.isfinite(value)
        stamp = None if odd else int(value * 3e6)
        changes.setdefault(name, {})[index] = stamp if name == "ts" else value
    data = frame(**changes)
    try:
        good, dropped = check(data, "drop")
    except SchemaError:
        return
    again, none = check(good)
    assert none == {}
    assert again.height + sum(dropped.values()) == ROWS
    assert np.diff(again["ts"].dt.timestamp("us").to_numpy()).min(initial=1) > 0
