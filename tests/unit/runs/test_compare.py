"""Two runs side by side."""

from __future__ import annotations

import json

from ffm_core.runs.compare import compare_runs
from ffm_core.runs.record import load_run, read_record


def test_equal_runs_differ_in_nothing(store):
    found = compare_runs(load_run(store()), load_run(store()))
    assert found.same_result
    for part in (found.config, found.data, found.code, found.prereg, found.versions):
        assert part == {}
    assert next(iter(found.checks.values()))["value"] == (0.031, 0.031)


def test_only_what_differs_is_listed(store):
    one = load_run(store())
    folder = store(seed=7, decision="PASS", mean_r=0.2, envelope={"versions": {"ffm": "0.2.0"}})
    record = json.loads((folder / "run.json").read_text())
    record["result"]["data"][0]["sha256"] = "0" * 64
    record["result"]["strategy"]["params"]["length"] = 12
    record["result"]["prereg"]["checks"][0]["constants"]["delta"] = 0.2
    record["result"]["checks"].append({"name": "extra", "outcome": "pass", "value": 1.0})
    record["result"]["data"].append({"instrument": "SIMB1", "timeframe": "5m", "rows": 9})
    (folder / "run.json").write_text(json.dumps(record))
    found = compare_runs(one, read_record(folder))
    assert not found.same_result
    assert found.decision == ("FAIL", "PASS")
    assert found.config == {"seed": (0, 7)}
    assert found.data == {"SIMA1/5m sha256": ("da7a" * 16, "0" * 64), "SIMB1/5m rows": (None, 9)}
    assert found.code == {"params.length": (10, 12)}
    assert found.prereg == {"checks.profit.delta": (0.15, 0.2)}
    assert found.versions == {"ffm": ("0.1.0", "0.2.0")}
    assert [(name, c["outcome"]) for name, c in found.checks.items()] == [
        ("profit", ("fail", "fail")), ("extra", (None, "pass")),
    ]  # fmt: skip
    assert found.arms["REAL"] == (0.031, 0.2)


def test_a_refused_run_without_arms_can_be_compared(store):
    folder = store(decision="REFUSED")
    record = json.loads((folder / "run.json").read_text())
    record["result"] = {"verdict": record["result"]["verdict"]}
    (folder / "run.json").write_text(json.dumps(record))
    found = compare_runs(read_record(folder), load_run(store()))
    assert found.decision == ("REFUSED", "FAIL")
    assert found.code["name"] == (None, "supertrend")
