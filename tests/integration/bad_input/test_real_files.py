"""Real files with real defects, through ``ffm data check`` and ``ffm eval``."""

from __future__ import annotations

from pathlib import Path

import pytest

ERRORS = {
    "ES_close_only_1m": ("no column open, high, low, volume", "bars need datetime, open"),
    "ES_bidask_1m": (
        "volume is -1 in every row: a placeholder, as in quote bars",
        "traded bars",
    ),
    "NQ_30m_dayfirst_swapped": ("the timestamps have no time zone", "--tz"),
}
REFUSALS = {
    "ES_wrong_instrument_1m": ("tick_grid", "off the 0.25 tick grid of ES.*wrong instrument"),
    "NQ_30m_deferred_segment": ("dead_segment", "127 sessions in a row.*a back month"),
    "6E_botched_backadj_5m": ("steps", "3 implausible jumps between bars.*-21.4 %"),
    "NG_5m": ("steps", r"2 implausible jumps between bars.*\+60.1 %"),
    "PL_1m": ("dead_volume", "98 % of bars had no trades"),
}
LONG_ENOUGH = sorted(set(REFUSALS) - {"ES_wrong_instrument_1m", "PL_1m"})


def broken(data_dir: Path, name: str) -> Path:
    return data_dir / "real" / "broken" / f"{name}.parquet"


@pytest.mark.parametrize("name", ERRORS)
def test_files_that_cannot_be_bars(refused, data_dir, name):
    says, fix = ERRORS[name]
    path = broken(data_dir, name)
    for words in (("data", "check", path), ("eval", "supertrend", "--data", path)):
        refused(*words, code=4, says=f"{name}.parquet: {says}", fix=fix)


def test_a_zone_does_not_save_days_and_months_that_were_swapped(refused, data_dir):
    path = broken(data_dir, "NQ_30m_dayfirst_swapped")
    words = ("eval", "supertrend", "--data", path, "--tz", "UTC")
    says = "audit rejects these bars: .*check the time zone, --stamps and the day-month order"
    refused(*words, code=4, says=says, fix="--accept-quality")


@pytest.mark.parametrize("name", REFUSALS)
def test_files_the_audit_refuses(desk, refused, data_dir, name):
    code, says = REFUSALS[name]
    path = broken(data_dir, name)
    refused("eval", "supertrend", "--data", path, code=4, says=says, fix="--accept-quality")
    with desk.untouched():
        checked = desk.run("data", "check", path, "--json")
    assert checked.code == 4
    (stream,) = checked.document["streams"]
    assert stream["audit"]["level"] == "refuse"
    levels = {finding["code"]: finding["level"] for finding in stream["audit"]["findings"]}
    assert levels[code] == "refuse"


@pytest.mark.parametrize("name", LONG_ENOUGH)
def test_consent_lets_the_evaluation_go_on(desk, data_dir, name):
    words = ("eval", "supertrend", "--data", broken(data_dir, name), "--accept-quality",
             "--dry-run", "--learner", "none", "--features", "", "--jobs", "1")  # fmt: skip
    with desk.untouched():
        answer = desk.run(*words, "--json")
    assert answer.code == 0, answer.err
    assert "accept_quality=True" in answer.document["qualifier"]
    assert "refuse: " in answer.err
    with desk.untouched():
        said = desk.run(*words, "--quiet").out
    assert "a PASS would be a qualified one: judged with accept_quality=True" in said


def test_consent_cannot_make_bars_without_trades_tradable(refused, data_dir):
    words = ("eval", "supertrend", "--data", broken(data_dir, "PL_1m"), "--accept-quality")
    more = ("--learner", "none", "--features", "", "--quiet")
    says = "enter or leave on a bar without volume"
    refused(*words, *more, code=4, says=says, fix="bring a contract that is traded")


def test_consent_cannot_make_nine_days_enough(refused, data_dir):
    path = broken(data_dir, "ES_wrong_instrument_1m")
    words = ("eval", "supertrend", "--data", path, "--accept-quality", "--features", "", "--quiet")
    refused(*words, code=4, says="8 trading days are too few", fix="a longer history")
