"""The arithmetic printed is the arithmetic stored."""

from __future__ import annotations

import re

import polars as pl
import pytest

from ffm_core.errors import RecordError, UnknownNameError
from ffm_core.runs.explain import explain_decision, stored_decision
from ffm_core.runs.record import load_run


@pytest.fixture
def explained(store):
    run = load_run(store())
    return lambda row: explain_decision(stored_decision(run, row))


def evaluated(line):
    """Compute the left side of ``name  left = right ...`` and return both sides."""
    left, right = line.split("=")[-2:]
    body = re.sub(r"^\w+\s+(.*that is)?", "", left.replace("−", "-").replace("×", "*"))
    body = body.replace(" points", "").strip()
    return eval(body), float(re.match(r"\s*([-+]?[\d.]+)", right)[1])


def by_name(lines):
    return {line.split()[0]: line for line in lines}


@pytest.mark.parametrize("row", [0, 1])
def test_every_equation_is_true(explained, row):
    lines = by_name(explained(row))
    for name in ("stop", "target", "gross", "costs", "net"):
        computed, printed = evaluated(lines[name])
        assert computed == pytest.approx(printed, abs=1e-5), lines[name]


def test_a_long_that_reached_its_target(explained):
    lines = by_name(explained(0))
    assert "long, SIMA1/5m, last known bar 2024-03-01T14:00Z" in lines["decision"]
    assert "98" in lines["stop"]
    assert "106" in lines["target"]
    assert lines["exit"].split()[1:] == ["106", "by", "target,", "2024-03-01T15:00Z"]
    assert lines["net"].endswith("= +2.900000 R")


def test_a_short_that_was_stopped(explained):
    lines = by_name(explained(1))
    assert "short" in lines["decision"]
    assert "101.75" in lines["stop"]
    assert "100" in lines["target"]
    assert "101.75 by stop" in lines["exit"]
    assert lines["net"].endswith("= -1.400000 R")


def test_a_void_decision_says_why(explained):
    lines = explained(2)
    assert lines[-1] == "void      roll: counted, never trained on, never traded"
    assert "gross" not in by_name(lines)


def test_whose_exits_are_explained_is_said():
    stored = {"row": 4, "side": 1, "entry_price": 10.0, "risk_points": 1.0, "target_r": 3.0,
              "r_gross": 3.0, "r_net": 2.9}  # fmt: skip
    assert "exits" not in by_name(explain_decision(stored))
    run = by_name(explain_decision({**stored, "exits": "run"}, "atr_trail"))
    assert run["exits"].split() == ["exits", "atr_trail"]
    label = by_name(explain_decision({**stored, "exits": "label"}, "dynamic_target"))
    assert "those of the labels: dynamic_target predicts a target" in label["exits"]


def test_reasons_stored_as_codes_are_named():
    stored = {"row": 4, "side": 1, "entry_price": 10.0, "risk_points": 1.0, "target_r": 3.0,
              "r_gross": -1.5, "r_net": -1.6, "reason": 2, "void_reason": 0,
              "exit_price": 8.5}  # fmt: skip
    lines = by_name(explain_decision(stored))
    assert lines["exit"].endswith("8.5 by stop_gap")
    assert "void" in by_name(explain_decision({**stored, "void_reason": 3}))


def test_a_decision_that_does_not_exist(store):
    with pytest.raises(UnknownNameError, match="run from 0 to 2"):
        stored_decision(load_run(store()), 3)


def test_a_table_of_another_kind(store):
    run = load_run(store())
    pl.DataFrame({"row": [1]}).write_parquet(run.path / "decisions.parquet")
    with pytest.raises(RecordError, match="lacks side"):
        stored_decision(run, 1)
