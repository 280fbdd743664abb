"""A run folder is whole, checkable, and the same for the same result."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import os

import numpy as np
import polars as pl
import pytest

from ffm_core.errors import OutputError, RecordError, UnknownNameError
from ffm_core.runs.find import find_run, list_runs, read_run
from ffm_core.runs.record import load_run, read_record, run_id, verify_run, versions, write_run


def rewrite(folder, change):
    path = folder / "run.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_a_run_reads_back(store):
    folder = store()
    run = load_run(folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "decisions.parquet", "report.html", "run.json", "trades.parquet",
    ]  # fmt: skip
    assert run.run_id == folder.name == "20240701T120000000Z-abababab"
    assert run.decision == "FAIL"
    assert run.table("decisions").height == 3
    assert verify_run(folder).ok


def test_the_result_has_the_same_bytes_whatever_the_envelope(store):
    first, second = load_run(store()), load_run(store(envelope={"seconds": 99, "jobs": 2}))
    assert first.result_hash == second.result_hash
    assert first.result == second.result
    assert load_run(store(seed=1)).result_hash != first.result_hash


def test_numpy_and_nan_are_stored_as_json(tmp_path):
    result = {"verdict": {"decision": "FAIL"}, "x": np.float64("nan"), "y": np.arange(2),
              "z": float("inf")}  # fmt: skip
    folder = write_run(tmp_path, result, {"run_id": "one"}, tables={}, html="")
    assert load_run(folder).result == {"verdict": {"decision": "FAIL"}, "x": None, "y": [0, 1],
                                       "z": None}  # fmt: skip
    assert verify_run(folder).ok


def test_an_edited_number_is_found(store):
    folder = store()
    rewrite(folder, lambda r: r["result"]["arms"]["REAL"].update(mean_r=0.31))
    report = verify_run(folder)
    assert not report.ok
    assert "result does not match" in report.problems[0]
    assert report.recomputed != report.result_hash
    with pytest.raises(RecordError, match="edited after the run"):
        load_run(folder)
    assert read_record(folder).result_hash == report.result_hash


def test_an_envelope_without_a_list_of_files_is_found(store):
    folder = store()
    record = json.loads((folder / "run.json").read_text())
    record["envelope"]["files"] = [1]
    (folder / "run.json").write_text(json.dumps(record))
    assert verify_run(folder).problems == ("the envelope is missing the hashes of its files",)


def test_an_edited_or_missing_table_is_found(store):
    folder = store()
    pl.DataFrame({"row": [1]}).write_parquet(folder / "decisions.parquet")
    (folder / "trades.parquet").unlink()
    assert verify_run(folder).problems == (
        "decisions.parquet does not match its hash: it was edited after the run",
        "trades.parquet is missing",
    )


@pytest.mark.parametrize("name", ["/dev/zero", "../other/run.json", "", ".", "a/b"])
def test_a_name_that_leads_out_of_the_folder_is_not_opened(store, name):
    folder = store()
    rewrite(folder, lambda record: record["envelope"]["files"].update({name: "ab"}))
    assert verify_run(folder).problems == (f"{name!r} is no file of this folder",)


def test_a_link_to_an_endless_device_is_not_read(store):
    folder = store()
    (folder / "trades.parquet").unlink()
    (folder / "trades.parquet").symlink_to("/dev/zero")
    assert verify_run(folder).problems == ("'trades.parquet' is no file of this folder",)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("{"),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text('{"schema": "ffm-run/9"}'),
        lambda path: path.write_text('{"schema": "ffm-run/1", "result": 3, "envelope": {}}'),
        lambda path: path.write_text(
            '{"schema": "ffm-run/1", "result": {}, "envelope": {}, "result_hash": ""}'
        ),
    ],
)
def test_a_damaged_record_is_an_error_not_a_crash(store, damage):
    folder = store()
    damage(folder / "run.json")
    with pytest.raises(RecordError):
        load_run(folder)
    with pytest.raises(RecordError):
        verify_run(folder)


def test_a_damaged_table_is_an_error_not_a_crash(store):
    run = load_run(store())
    (run.path / "trades.parquet").write_bytes(b"PAR1 junk")
    for name in ("trades", "absent"):
        with pytest.raises(RecordError):
            run.table(name)


def test_a_full_disk_leaves_no_half_written_run(store, monkeypatch, tmp_path):
    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        store()
    assert list((tmp_path / "ffm-runs").iterdir()) == []


def test_a_run_is_never_overwritten(store):
    folder = store()
    before = (folder / "run.json").read_bytes()
    with pytest.raises(OutputError, match="exists"):
        store(envelope={"run_id": folder.name}, seed=5)
    assert (folder / "run.json").read_bytes() == before


def test_run_ids_sort_by_time_in_any_zone():
    zone = dt.timezone(dt.timedelta(hours=9))
    early = dt.datetime(2024, 1, 1, 8, 0, tzinfo=zone)
    late = dt.datetime(2024, 1, 1, 0, 0, 0, 5000, tzinfo=dt.UTC)
    assert run_id(early, "f" * 64) == "20231231T230000000Z-ffffffff"
    assert run_id(early, "f" * 64) < run_id(late, "0" * 64)


def test_versions_name_what_is_installed():
    found = versions()
    assert {"ffm", "python", "numpy", "polars", "numba"} <= set(found)
    assert all(found.values())


def test_finding_a_run(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = store(), store(identity="cd" * 32)
    out = tmp_path / "ffm-runs"
    for reference in (first, str(first), first / "run.json", first.name, first.name[:18],
                      "abababab"):  # fmt: skip
        assert find_run(reference, out_dir=out) == first
    assert read_run("latest", out_dir=out).path == second
    assert find_run("latest").resolve() == second


@pytest.mark.parametrize(
    ("reference", "words"),
    [("2024", "matches 2 runs"), ("", "no run"), ("20240701T120000000Z-abababax", "did you mean")],
)
def test_what_names_no_single_run(store, tmp_path, reference, words):
    store(), store()
    with pytest.raises(UnknownNameError, match=words):
        find_run(reference, out_dir=tmp_path / "ffm-runs")


def test_no_runs_at_all(tmp_path):
    assert list_runs(tmp_path / "absent") == ([], [])
    with pytest.raises(UnknownNameError):
        find_run("latest", out_dir=tmp_path / "absent")


def test_one_broken_run_does_not_hide_the_others(store, tmp_path):
    first, second = store(), store()
    (first / "run.json").write_text("{")
    (tmp_path / "ffm-runs" / ".ffm-partial-x").mkdir()
    (tmp_path / "ffm-runs" / ".ffm-partial-x" / "run.json").write_text("half")
    runs, broken = list_runs(tmp_path / "ffm-runs")
    assert [run.path for run in runs] == [second]
    assert len(broken) == 1


def test_a_list_reads_only_what_it_shows(store, monkeypatch):
    out = store().parent
    monkeypatch.setattr("ffm_core.runs.record.sha256_json", lambda _: pytest.fail("it was hashed"))
    (run,), broken = list_runs(out)
    assert not broken
    assert set(run.result) == {"strategy", "prereg", "data", "verdict"}


def test_a_pass_that_was_forged_is_not_listed(store, tmp_path):
    folder, out = store(), tmp_path / "ffm-runs"
    rewrite(folder, lambda record: record["result"]["verdict"].update(decision="PASS"))
    runs, broken = list_runs(out)
    assert (runs, len(broken)) == ([], 1)


def test_a_record_that_the_ledger_has_otherwise_is_not_listed(store, tmp_path):
    folder, out = store(), tmp_path / "ffm-runs"
    known = {folder.name: hashlib.sha256((folder / "run.json").read_bytes()).hexdigest()}
    assert len(list_runs(out, known)[0]) == 1
    rewrite(folder, lambda record: record["result"]["strategy"].update(name="other"))
    assert len(list_runs(out)[0]) == 1, "it is believed where the ledger does not know it"
    runs, broken = list_runs(out, known)
    assert (runs, len(broken)) == ([], 1)


def test_a_table_of_more_rows_than_anybody_has_decisions_is_refused(store, monkeypatch):
    run = load_run(store())
    monkeypatch.setattr("ffm_core.runs.record._MOST_ROWS", 2)
    with pytest.raises(RecordError, match="holds 3 rows"):
        run.table("decisions")


def test_a_record_without_an_end_is_an_error(tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "run.json").symlink_to("/dev/zero")
    with pytest.raises(RecordError, match="more than 64 MiB"):
        read_record(folder)
