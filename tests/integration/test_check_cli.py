"""``ffm check`` as an author meets it."""

from __future__ import annotations

import json

import pytest

from ffm_core.bars.simulate import market

IDEA = '''"""Buy when the bar closes above the one before."""

import numpy as np
import polars as pl

from ffm_core import Column, Decisions, Labeler, expression_set, hookimpl


def decide(bars, params):
    close = bars.close
    up = np.zeros(len(close), dtype=bool)
    up[1:] = close[1:] > close[:-1]
{more}
    at = np.flatnonzero(up & (np.arange(len(close)) % 7 == 0))
    return Decisions(bar=at, side=np.ones(len(at), np.int8), risk=np.full(len(at), 20.0))


IDEA = Labeler(name="idea", decide=decide, horizon_bars=20, warmup_bars=1, history_bars=None,
               private={private})
RANGE = expression_set(
    "reach",
    {{Column(name="range", unit="points"): {expression}}},
    warmup_bars=1,
    history_bars=2,
    memory="finite",
)


@hookimpl
def ffm_labelers():
    return [IDEA]


@hookimpl
def ffm_feature_sets():
    return [RANGE]
'''
HONEST = 'pl.col("high").rolling_max(2) - pl.col("low").rolling_min(2)'
PEEK = "    up = up & np.append(close[1:] > close[:-1], True)"


@pytest.fixture
def idea(tmp_path):
    """Return words that check a file on a month of bars; the file keeps its lines' numbers."""
    data = tmp_path / "SIMA1_1h.parquet"
    market("SIMA1", months=1, timeframe="1h").frame.write_parquet(data)

    def write(more="", expression=HONEST, private=False, features="trivial8"):
        text = IDEA.format(more=more, expression=expression, private=private)
        place = tmp_path / "idea.py"
        place.write_text(text)
        return "check", place, "--data", data, "--features", features, "--quiet"

    return write


def test_an_honest_file_is_clean_and_says_what_was_excluded(ffm, idea):
    code, out, err = ffm(*idea(features="ffm68"))
    assert code == 0, err
    assert "SIMA1/1h" in out
    assert ": clean" in out
    assert "labeler idea, feature set ffm68, feature set reach" in out
    assert "every bar was proven" in out  # few bars: a cut at each of them


def test_a_peek_is_refused_and_its_line_is_named(ffm, idea):
    code, out, _ = ffm(*idea(more=PEEK))
    assert code == 6
    assert "broken" in out
    assert f"line: idea.py:13: {PEEK.strip()}" in out
    assert "fix:" in out


def test_the_features_a_file_brings_are_checked_too(ffm, idea):
    code, out, _ = ffm(*idea(expression='pl.col("high").shift(-1) - pl.col("low")'))
    assert code == 6
    assert "feature set reach" in out
    assert "range" in out


def test_json_is_one_document(ffm, idea):
    code, out, _ = ffm(*idea(more=PEEK), "--json")
    found = json.loads(out)
    assert code == 6
    assert found["schema"] == "ffm-check/2"
    (stream,) = found["streams"]
    assert stream["certificate"]["status"] == "broken"
    failure, words = stream["certificate"]["failures"][0], stream["words"][0]
    assert {"check", "column", "bar", "stamp", "line", "reason", "repair"} <= set(failure)
    assert failure["reason"]["numbers"]["later"] == failure["first_future_bar"]
    assert f"first later bar that matters is {failure['first_future_bar']}" in words["reason"]
    assert words["repair"]


def test_lines_of_a_private_strategy_are_hidden(ffm, idea):
    code, out, err = ffm(*(word for word in idea(more=PEEK, private=True) if word != "--quiet"))
    assert code == 6
    assert "np.append" not in out + err
    assert "--reveal shows them here" in err


def test_nothing_is_judged_and_no_trial_is_opened(ffm, idea, tmp_path):
    ffm(*idea())
    assert not list(tmp_path.rglob("run.json"))
    assert not list(tmp_path.rglob("ledger*"))


def test_an_unknown_name_gets_a_suggestion(ffm):
    code, _, err = ffm("check", "supertrnd")
    assert code == 2
    assert "did you mean 'supertrend'" in err


FUNCTIONS = """import polars as pl


def slope(frame: pl.DataFrame):
    return frame["close"].diff()


def ahead(frame: pl.DataFrame):
    later = frame["close"].shift(-1)
    return later / frame["close"]
"""


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("slope", 0, "SIMA1/1h: 479 bars: clean"),
        ("ahead", 6, "line: features.py:9: later = frame"),
        ("slop", 2, "did you mean 'slope'?"),
    ],
)
def test_any_function_of_a_file_is_checked(ffm, idea, tmp_path, name, code, says):
    *_, data, _, _, quiet = idea()
    (tmp_path / "features.py").write_text(FUNCTIONS)
    found = ffm("check", f"{tmp_path}/features.py:{name}", "--data", data, quiet)
    assert found[0] == code, found
    assert says in "".join(found[1:])


def test_settings_of_strategies_are_no_settings_of_a_function(ffm, idea, tmp_path):
    *_, data, _, _, quiet = idea()
    (tmp_path / "features.py").write_text(FUNCTIONS)
    words = ("--data", data, "--exit", "fixed_rr", quiet)
    code, _, err = ffm("check", f"{tmp_path}/features.py:slope", *words)
    assert code == 2
    assert "--exit belongs to strategies" in err
