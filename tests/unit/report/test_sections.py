from __future__ import annotations

import datetime as dt
from itertools import pairwise

import polars as pl
import pytest

from ffm_core.report import sections


def test_the_calendar_holds_every_month_once_and_adds_up(runs):
    result = runs.full()["result"]
    data = result["plots"]["months"]
    blocks = sections.calendar(result)
    assert [b["name"] for b in blocks] == ["All markets", *data["streams"]]
    for block, totals, counts in zip(blocks[1:], data["total_r"], data["n_trades"], strict=True):
        cells = [c for year in block["years"] for c in year["cells"] if c]
        assert [c["r"] for c in cells] == totals
        assert [c["n"] for c in cells] == counts
        assert sum(y["r"] for y in block["years"]) == pytest.approx(sum(totals))
    everything = sum(sum(row) for row in data["total_r"])
    assert sum(y["r"] for y in blocks[0]["years"]) == pytest.approx(everything)
    assert blocks[1]["years"][0]["year"] == "2023"
    assert blocks[1]["years"][0]["cells"][:4] == [None] * 4  # the first test month is May


def test_heat_shares_one_scale_and_its_sign(runs):
    blocks = sections.calendar(runs.full()["result"])[1:]
    cells = [c for b in blocks for y in b["years"] for c in y["cells"] if c]
    assert max(abs(c["heat"]) for c in cells) == 1.0
    assert all(c["heat"] * c["r"] >= 0 for c in cells)


def test_one_market_needs_no_sum(runs):
    result = runs.full()["result"]
    data = result["plots"]["months"]
    result["plots"]["months"] = {"months": data["months"], "streams": data["streams"][:1],
                                 "total_r": [[0.0] * len(data["months"])],
                                 "n_trades": data["n_trades"][:1]}  # fmt: skip
    blocks = sections.calendar(result)
    assert len(blocks) == 1
    assert blocks[0]["years"][0]["cells"][5]["heat"] == 0.0


def test_bars_of_hours_share_one_axis(runs):
    result = runs.full()["result"]
    result["plots"]["hours"] = [
        {"hour": 1, "n": 5, "mean_r": -0.5, "total_r": -2.5},
        {"hour": 2, "n": 5, "mean_r": 1.5, "total_r": 7.5},
        {"hour": 3, "n": 0, "mean_r": None, "total_r": 0.0},
    ]
    low, high = sections.hours(result)
    assert (low["left"], low["width"], low["zero"], low["negative"]) == (0.0, 25.0, 25.0, True)
    assert (high["left"], high["width"], high["zero"]) == (25.0, 75.0, 25.0)


def test_folds_lie_inside_the_span_in_order(runs):
    line = sections.timeline(runs.full()["result"])
    assert len(line["rows"]) == 22
    for row in line["rows"]:
        kinds = [kind for kind, _ in row["bars"]]
        assert kinds == ["train", "validation", "test"]
        ends = [(b["left"], b["left"] + b["width"]) for _, b in row["bars"]]
        assert all(a[1] <= b[0] + 0.01 for a, b in pairwise(ends))
        assert all(0 <= low < high <= 100.01 for low, high in ends)
    tests = [dict(r["bars"])["test"] for r in line["rows"]]
    assert all(t["left"] + t["width"] <= line["seal"]["left"] + 0.01 for t in tests)
    assert line["seal"]["left"] + line["seal"]["width"] == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize("years", [0.3, 1, 3, 8, 40])
def test_a_handful_of_ticks_whatever_the_span(runs, years):
    result = runs.full()["result"]
    last = dt.date(2023, 1, 2) + dt.timedelta(days=int(years * 365))
    result["folds"]["span"][1] = last.isoformat()
    ticks = sections.timeline(result)["ticks"]
    assert 1 <= len(ticks) <= 8
    assert all(0 <= t["left"] <= 100 for t in ticks)


def test_no_folds_no_timeline(runs):
    refused = runs.refused()["result"]
    assert sections.timeline(refused) is None
    refused["folds"] = runs.full()["result"]["folds"]
    assert sections.timeline(refused) is None  # planned, and never judged
    result = runs.full()["result"]
    result["folds"]["seal"] = {"from": None, "opened": None, "n_decisions": 0}
    assert sections.timeline(result)["seal"] is None


def test_bars_of_checks_share_one_scale(runs):
    rows = {r["name"]: r for r in sections.checks(runs.full()["result"]["checks"])}
    assert rows["sample"]["bar"] is None
    assert rows["shuffle"]["bar"] is None
    profit, entry = rows["profit"]["bar"], rows["entry"]["bar"]
    assert 50 < profit["low"] < profit["value"] < profit["high"] < entry["high"] <= 100
    assert profit["asked"] == entry["asked"]


def test_checks_without_any_value_have_rows(runs):
    check = {"name": "profit", "outcome": "inconclusive", "value": None, "interval": None}
    row = sections.checks([check])[0]
    assert row["bar"] is None
    assert row["measured"] == "–"


def test_the_newest_trades_come_first_and_are_cut(runs):
    frame = runs.trades(n=50)
    part = sections.trades(frame, limit=20)
    assert (len(part["rows"]), part["total"], part["all"]) == (20, 50, 100)
    stamps = [row[0] for row in part["rows"]]
    assert stamps == sorted(stamps, reverse=True)
    newest = frame.filter(pl.col("arm") == "REAL")["decision_time"].max()
    assert stamps[0] == newest.strftime("%Y-%m-%d %H:%M")


def test_columns_of_a_strategy_never_reach_the_page(runs):
    frame = runs.trades(n=5).with_columns(pl.lit(1.5).alias("secret_column"))
    part = sections.trades(frame)
    assert "secret_column" not in [head for head, _ in part["head"]]
    assert len(part["rows"][0]) == len(part["head"]) == 13


def test_stamps_may_be_microseconds_and_sides_words(runs):
    frame = runs.trades(n=5)
    same = frame.with_columns(
        pl.col("decision_time").dt.epoch("us"),
        pl.when(pl.col("side") > 0).then(pl.lit("long")).otherwise(pl.lit("short")).alias("side"),
    )
    assert sections.trades(frame)["rows"] == sections.trades(same)["rows"]


def test_empty_cells_are_blank_and_no_trades_no_part(runs):
    frame = runs.trades(n=3).with_columns(pl.lit(None, dtype=pl.Float64).alias("probability"))
    part = sections.trades(frame)
    where = [head for head, _ in part["head"]].index("chance")
    assert {row[where] for row in part["rows"]} == {"–"}
    assert sections.trades(pl.DataFrame()) is None
    only = frame.filter(pl.col("arm") == "NAIVE")
    assert sections.trades(only)["arm"] == "NAIVE"
