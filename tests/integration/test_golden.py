"""Two recordings of the golden set are compared figure by figure."""

from __future__ import annotations

import pytest

from helpers.loading import load_module


@pytest.fixture(scope="module")
def golden(repository):
    return load_module("ffm_golden", repository / "benchmarks" / "golden.py")


def test_a_figure_that_moved_is_named(golden):
    before = {"arms.REAL.mean_r": 0.25, "arms.REAL.n_trades": 100, "decision": "FAIL", "gone": 1}
    after = {"arms.REAL.mean_r": 0.25 + 1e-12, "arms.REAL.n_trades": 101, "decision": "PASS"}
    assert golden.moved(before, after) == [
        "arms.REAL.n_trades: 100 -> 101",
        "decision: FAIL -> PASS",
        "gone: 1 -> absent",
    ]
    assert golden.moved(before, before) == []


def test_only_figures_are_committed(golden):
    found = golden.figures(
        {
            "result": {
                "arms": {"REAL": {"mean_r": 0.1}},
                "checks": [{"name": "profit", "value": 0.1, "reason": "a sentence"}],
                "strategy": {"code_hash": "c0de"},
            },
            "tables": {"trades.r_net": {"sha256": "ab", "rows": 3, "sum": 1.5}},
        }
    )
    assert found == {
        "result.arms.REAL.mean_r": 0.1,
        "result.checks[0].name": "profit",
        "result.checks[0].value": 0.1,
        "tables.trades.r_net.rows": 3,
        "tables.trades.r_net.sum": 1.5,
    }
