"""A small run record like those an evaluation writes."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict

import polars as pl
import pytest
from click.testing import CliRunner

from ffm_core.cli import main
from ffm_core.records import because
from ffm_core.runs.record import run_id, write_run


def make_result(decision="FAIL", mean_r=0.031, seed=0):
    return {
        "strategy": {"name": "supertrend", "distribution": "ffm-strategy-supertrend",
                     "version": "0.1.0", "code_hash": "c0de" * 16, "hook_api": 1,
                     "private": False, "labeler": "supertrend", "params": {"length": 10}},
        "data": [{"instrument": "SIMA1", "timeframe": "5m", "path_name": "SIMA1_5m.csv",
                  "sha256": "da7a" * 16, "rows": 100, "first": "2024-01-02", "last": "2024-06-28",
                  "currency": "USD"}],
        "config": {"seed": seed, "features": ["trivial8"], "params": {"length": 10}},
        "prereg": {"hash": "9e9" * 21, "claim": "selection", "settings": {"delta": 0.15},
                   "checks": [{"name": "profit", "constants": {"delta": 0.15}}]},
        "arms": {"REAL": {"mean_r": mean_r, "n_trades": 120}, "NAIVE": {"mean_r": 0.01,
                                                                        "n_trades": 240}},
        "checks": [{"name": "profit", "outcome": "fail", "value": mean_r, "interval": [-0.1, 0.1],
                    "threshold": 0.0, "reason": asdict(because("excluded", measure="profit",
                                                                 effect=0.15))}],
        "verdict": {"decision": decision, "qualifier": "",
                    "reasons": [asdict(because("ruled_out", months=12, claim="selection"))]},
        "trials": {"n": 1, "effective_n": 1.0, "sharpe_variance": 0.0},
    }  # fmt: skip


def make_decisions():
    return pl.DataFrame({
        "row": [0, 1, 2], "stream": ["SIMA1/5m"] * 3, "side": [1, -1, 1],
        "bar_time": [dt.datetime(2024, 3, 1, 14, minute, tzinfo=dt.UTC) for minute in (0, 5, 10)],
        "entry_price": [100.0, 101.25, None], "risk_points": [2.0, 0.5, None],
        "target_r": [3.0, 2.5, None], "r_gross": [3.0, -1.0, None], "r_net": [2.9, -1.4, None],
        "mfe_r": [3.1, 0.2, None], "mae_r": [0.4, 1.0, None],
        "exit_time": [dt.datetime(2024, 3, 1, 15, minute, tzinfo=dt.UTC) for minute in (0, 5, 9)],
        "reason": ["target", "stop", "none"], "void_reason": ["none", "none", "roll"],
    })  # fmt: skip


@pytest.fixture
def store(tmp_path):
    """Write a run and return its folder; later calls are later runs."""
    count = iter(range(1000))

    def put(out=None, identity="ab" * 32, **changes):
        started = dt.datetime(2024, 7, 1, 12, 0, next(count), tzinfo=dt.UTC)
        envelope = {"run_id": run_id(started, identity), "started": started, "seconds": 1.5,
                    "command": "ffm eval supertrend --demo", "ledger_head": "",
                    "ledger_since": "2024-07-01T00:00:00Z",
                    "versions": {"ffm": "0.1.0"}}  # fmt: skip
        envelope.update(changes.pop("envelope", {}))
        return write_run(
            out or tmp_path / "ffm-runs", make_result(**changes), envelope,
            tables={"decisions": make_decisions(), "trades": pl.DataFrame({"arm": ["REAL"]})},
            html="<!doctype html><title>FAIL</title>",
        )  # fmt: skip

    return put


@pytest.fixture
def ffm(tmp_path, monkeypatch):
    """Run a command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(main, args, prog_name="ffm")
