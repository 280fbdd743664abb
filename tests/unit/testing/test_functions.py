"""Any function of a frame is checked in one line, with the same proofs as a plug-in."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ffm_core.causal.subjects import functions
from ffm_core.causal.subjects.functions import bars_of_frame, default_layout, layout_of
from ffm_core.errors import SchemaError, StrategyError, UnavailableError
from ffm_core.testing import CheckFailed, check_function, make_bars

BARS = make_bars("trend", rows=700, seed=3)
FRAME = BARS.frame
CUTS = 60


def pandas_frame(**names: str):
    pandas = pytest.importorskip("pandas")
    frame = FRAME.drop("contract").to_pandas().set_index("ts").rename(columns=names)
    frame.index = frame.index.tz_convert("America/New_York")
    assert isinstance(frame, pandas.DataFrame)
    return frame


def slope(frame):
    return frame["close"].rolling_mean(20).diff()


def next_close(frame):
    later = frame["close"].shift(-1)  # guilty
    return later / frame["close"]


def over_all(frame):
    close = frame["Close"]
    mean = close.mean()  # guilty
    return close / mean


def centred(frame):
    middle = frame["Close"].rolling(9, center=True).mean()  # guilty
    return (frame["Close"] > middle).rename("above")


def line_of(function):
    code = function.__code__
    lines = Path(code.co_filename).read_text(encoding="utf-8").splitlines()
    return next(
        i for i in range(code.co_firstlineno, len(lines)) if lines[i - 1].endswith("# guilty")
    )


def test_a_polars_function_is_proven_and_says_how_rare_a_leak_would_have_shown():
    found = check_function(slope, FRAME, cuts=300)
    assert (found.status, found.cuts) == ("clean", 300)
    assert "1.52%" in found.sentence
    assert check_function(lambda f: f.select(pl.col("high") - pl.col("low")), FRAME, cuts=CUTS)
    assert check_function(lambda f: f["close"].to_numpy() > 5_000.0, FRAME, cuts=CUTS)


def test_a_pandas_function_is_shown_frames_like_the_one_given():
    given = pandas_frame(close="Close")

    def asks(frame):
        assert list(frame.columns) == list(given.columns)
        assert (frame.index.dtype, frame.index.name) == (given.index.dtype, "ts")
        frame["spare"] = 1.0  # its own to change
        return frame["Close"].ewm(span=20).mean()

    assert check_function(asks, given, cuts=CUTS).status == "clean"


@pytest.mark.parametrize("function", [over_all, centred], ids=lambda f: f.__name__)
def test_a_pandas_function_that_reads_ahead_is_led_to_its_line(function):
    with pytest.raises(CheckFailed, match="prefix at bar") as caught:
        check_function(function, pandas_frame(close="Close"), cuts=CUTS)
    assert f"test_functions.py:{line_of(function)}:" in str(caught.value)
    assert caught.value.fix


def test_a_polars_function_that_reads_ahead_is_led_to_its_line():
    with pytest.raises(CheckFailed, match=rf"line: test_functions.py:{line_of(next_close)}:"):
        check_function(next_close, FRAME, cuts=CUTS)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda f: f["close"].head(5), "returned 5 rows for a frame of 700"),
        (lambda f: f.select("open", "close"), "returned 2 columns"),
        (lambda f: f["contract"], "String values, expected numbers"),
        (lambda f: [1.0] * len(f), "returned list, expected a column"),
        (lambda f: np.ones((len(f), 2)), "returned 2 columns"),
        (lambda f: f["Close"], "raised ColumnNotFoundError"),
    ],
)
def test_what_is_no_column_is_refused_in_one_line(function, says):
    with pytest.raises(StrategyError, match=says):
        check_function(function, FRAME, cuts=CUTS)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (FRAME.with_columns(rsi=pl.lit(1.0)), "'rsi' of the frame is no column of bars"),
        (FRAME.drop("ts"), "needs a column of stamps"),
        (FRAME.drop("close"), "no column of closes"),
        (FRAME.reverse(), "row 1 of the frame"),
        (FRAME.with_columns(pl.col("close").cast(pl.String)), "is String, expected numbers"),
        (FRAME["close"], "expected a pandas or polars DataFrame, got Series"),
        (FRAME.head(0), "contains no bars"),
    ],
)
def test_a_frame_that_holds_no_bars_is_refused(frame, says):
    with pytest.raises(SchemaError, match=says):
        check_function(slope, frame, cuts=CUTS)


def test_closes_alone_are_enough_and_nothing_else_is_shown():
    frame = FRAME.select(pl.col("ts").alias("Date"), "close")
    layout = layout_of(frame)
    bars = bars_of_frame(frame, layout)
    assert (bars.high == bars.close).all()
    assert layout.frame(bars).equals(frame)
    assert check_function(slope, frame, cuts=CUTS).status == "clean"


def test_stamps_keep_their_type():
    for kind in (pl.Datetime("ms"), pl.Datetime("ns", "Europe/Berlin"), pl.Datetime("us", "UTC")):
        stamps = FRAME["ts"].dt.convert_time_zone(kind.time_zone or "UTC")
        if kind.time_zone is None:
            stamps = stamps.dt.replace_time_zone(None)
        frame = FRAME.with_columns(stamps.cast(kind).alias("ts"))
        layout = layout_of(frame)
        assert layout.frame(bars_of_frame(frame, layout)).equals(frame)


def test_pandas_is_named_where_it_is_missing(monkeypatch):
    def takes(frame: pandas.DataFrame):  # noqa: F821 - only its text is read
        return frame["close"]

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(functions, "import_module", missing)
    with pytest.raises(UnavailableError, match="pandas is not installed"):
        default_layout(takes, BARS)


def test_the_library_is_read_from_the_annotation_or_from_what_the_module_imports(monkeypatch):
    pandas = pytest.importorskip("pandas")

    def told(frame: pl.DataFrame):
        return frame["close"]

    assert default_layout(told, BARS).library == "polars"
    assert default_layout(slope, BARS).library == "polars"
    monkeypatch.setattr(sys.modules[__name__], "pd", pandas, raising=False)
    assert default_layout(slope, BARS).library == "pandas"
    assert default_layout(told, BARS).library == "polars"
