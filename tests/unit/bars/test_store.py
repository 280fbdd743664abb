"""Store and import: atomic, resumable, honest about what it holds."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ffm_core.bars import Bars
from ffm_core.bars.importing import import_files
from ffm_core.bars.readers import Options, load, load_many
from ffm_core.bars.simulate import market
from ffm_core.bars.store import MANIFEST, open_store
from ffm_core.errors import DataError, DataQualityError, OutputError, SchemaError


@pytest.fixture(scope="module")
def bars() -> Bars:
    return market("SIMA1", months=2, timeframe="1h")


@pytest.fixture
def halves(tmp_path, bars) -> list[Path]:
    """Two files of one stream that share ten bars."""
    folder = tmp_path / "in"
    folder.mkdir()
    middle = len(bars) // 2
    paths = []
    for name, part in (("a", bars[: middle + 10]), ("b", bars[middle:])):
        paths.append(folder / f"SIMA1_{name}.csv")
        frame = part.frame.rename({"ts": "datetime"})
        frame.write_csv(paths[-1], datetime_format="%Y-%m-%d %H:%M:%S+00:00")
    return paths


def test_import_joins_overlapping_files_and_says_what_it_has(tmp_path, bars, halves):
    store, report = import_files([(None, path) for path in halves], tmp_path / "store")
    assert [entry.state for entry in report] == ["imported", "imported"]
    entry = store.streams["SIMA1/1h"]
    assert entry.rows == len(bars)
    assert entry.bars_sha256 == bars.sha256
    assert (entry.first, entry.last) == (
        f"{bars.frame['ts'][0]:%Y-%m-%dT%H:%MZ}",
        f"{bars.frame['ts'][-1]:%Y-%m-%dT%H:%MZ}",
    )
    assert set(entry.gaps) == {"sessions", "bars"}
    assert [source["name"] for source in entry.sources] == ["SIMA1_a.csv", "SIMA1_b.csv"]
    assert open_store(tmp_path / "store").load("SIMA1/1h").frame.equals(bars.frame)


def test_the_order_of_files_does_not_matter(tmp_path, halves):
    one, _ = import_files([(None, path) for path in halves], tmp_path / "one")
    two, _ = import_files([(None, path) for path in halves[::-1]], tmp_path / "two")
    assert one.streams["SIMA1/1h"].sha256 == two.streams["SIMA1/1h"].sha256


def test_importing_again_reads_nothing(tmp_path, halves):
    out = tmp_path / "store"
    import_files([str(halves[0])], out)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    _, report = import_files([str(halves[0])], out)
    assert [entry.state for entry in report] == ["present"]
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_a_changed_source_is_read_again(tmp_path, bars, halves):
    out = tmp_path / "store"
    import_files([str(halves[0])], out)
    middle = len(bars) // 2
    bars[: middle + 50].frame.rename({"ts": "datetime"}).write_csv(
        halves[0], datetime_format="%Y-%m-%d %H:%M:%S+00:00"
    )
    store, report = import_files([str(halves[0])], out)
    assert report[0].state == "imported"
    assert store.streams["SIMA1/1h"].rows == middle + 50


def test_a_contradiction_is_an_error_and_keeps_the_store(tmp_path, bars, halves):
    out = tmp_path / "store"
    store, _ = import_files([str(halves[0])], out)
    odd = bars.frame.with_columns(pl.col("volume") + 1).rename({"ts": "datetime"})
    odd.write_csv(halves[1], datetime_format="%Y-%m-%d %H:%M:%S+00:00")
    after, report = import_files([str(halves[1])], out)
    assert report[0].state == "failed"
    assert "bars differ from those stored, first at 2022-" in report[0].problem
    assert after.streams == store.streams


def test_one_bad_file_does_not_stop_the_others(tmp_path, halves):
    bad = halves[0].with_name("SIMA1_bad.csv")
    bad.write_text("nothing here")
    unknown = halves[0].with_name("WHAT_5m.csv")
    unknown.write_text(halves[0].read_text())
    store, report = import_files([str(halves[0].parent)], tmp_path / "store")
    states = {entry.name: entry.state for entry in report}
    assert states == {
        "SIMA1_a.csv": "imported",
        "SIMA1_b.csv": "imported",
        "SIMA1_bad.csv": "failed",
        "WHAT_5m.csv": "failed",
    }
    assert all(entry.problem and entry.fix for entry in report if entry.state == "failed")
    assert list(store.streams) == ["SIMA1/1h"]


def test_progress_is_told_file_by_file(tmp_path, halves):
    told = []
    import_files([str(halves[0].parent)], tmp_path / "s", watch=lambda *now: told.append(now))
    assert told == [("SIMA1_a.csv", 0, 2), ("SIMA1_b.csv", 1, 2), ("", 2, 2)]


def test_a_store_is_data_like_any_other(tmp_path, bars, halves):
    out = tmp_path / "store"
    import_files([str(halves[0].parent)], out)
    assert load(out).bars.sha256 == bars.sha256
    assert [item.bars.stream for item in load_many([f"SIMA1={out}"])] == ["SIMA1/1h"]
    for options in ({"symbol": "NQ"}, {"timeframe": "5m"}):
        with pytest.raises(DataError, match="contains nothing for"):
            load(out, **options)
    with pytest.raises(DataError, match="does not contain NQ/5m"):
        open_store(out).load("NQ/5m")


def test_refused_data_need_consent_on_the_way_in_and_out(tmp_path, bars):
    path = tmp_path / "SIMA1.csv"
    flat = bars.frame.with_columns(pl.lit(0.0).alias("volume"), pl.col("ts").alias("datetime"))
    flat = flat.with_columns(pl.when(pl.int_range(pl.len()) < 5).then(1.0).otherwise(0.0)
                             .alias("volume")).drop("ts")  # fmt: skip
    flat.write_csv(path, datetime_format="%Y-%m-%d %H:%M:%S+00:00")
    _, report = import_files([str(path)], tmp_path / "store")
    assert "no trade" in report[0].problem
    _, report = import_files([str(path)], tmp_path / "store", options=Options(accept_quality=True))
    assert (report[0].state, report[0].level) == ("imported", "refuse")
    with pytest.raises(DataQualityError):
        load(tmp_path / "store")


# -- tampering ----------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path, halves) -> Path:
    import_files([str(halves[0].parent)], tmp_path / "store")
    return tmp_path / "store"


def test_an_edited_file_is_noticed(stored):
    (path,) = stored.glob("*.parquet")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(SchemaError, match="do not match the manifest"):
        load(stored)


def test_an_absent_file_is_noticed(stored):
    next(stored.glob("*.parquet")).unlink()
    with pytest.raises(DataError, match="cannot be read"):
        load(stored)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": "ffm-store/1"}', '{"schema": "ffm-store/9", "streams": {}}',
             '{"schema": "ffm-store/1", "streams": {"ES/5m": {"file": 3}}}'],
)  # fmt: skip
def test_a_broken_manifest_is_a_data_error(stored, text):
    (stored / MANIFEST).write_text(text)
    with pytest.raises(DataError, match=r"manifest|schema"):
        open_store(stored)


def test_no_store_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="there is no store here"):
        open_store(tmp_path)


def test_a_newer_manifest_is_not_overwritten(tmp_path, halves):
    out = tmp_path / "store"
    out.mkdir()
    (out / MANIFEST).write_text('{"schema": "ffm-store/2", "streams": {}}')
    with pytest.raises(DataError, match="reads ffm-store/1"):
        import_files([str(halves[0])], out)


# -- output that gives way ------------------------------------------------------------


def full_disk(monkeypatch, after: int) -> None:
    """Let ``after`` files be written, then report a full disk half-way through one."""
    real, calls = os.fsync, []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)


def visible(folder: Path) -> list[str]:
    """Return what lies in a folder beside the lock; unfinished files count."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_full_disk_leaves_nothing_half_written(tmp_path, halves, monkeypatch):
    out = tmp_path / "store"
    full_disk(monkeypatch, after=0)
    with pytest.raises(OutputError, match="No space left") as caught:
        import_files([str(halves[0])], out)
    assert caught.value.exit_code == 2
    assert visible(out) == []


# File and folder are forced to disk one after the other; a folder may refuse.
@pytest.mark.parametrize("after", [2, 4, 6])
def test_a_disk_that_fills_later_keeps_what_was_finished(tmp_path, halves, monkeypatch, after):
    out = tmp_path / "store"
    with monkeypatch.context() as patch:
        full_disk(patch, after=after)
        with pytest.raises(OutputError):
            import_files([str(path) for path in halves], out)
    named = {entry.file for entry in open_store(out, create=True).streams.values()}
    assert {name for name in visible(out) if name != MANIFEST} == named
    store, report = import_files([str(path) for path in halves], out)
    assert [entry.state for entry in report] == (
        ["imported", "imported"] if after == 2 else ["present", "imported"]
    )
    assert len(list(out.glob("*.parquet"))) == 1
    assert store.load("SIMA1/1h").sha256 == store.streams["SIMA1/1h"].bars_sha256


def test_two_processes_that_add_streams_lose_none(tmp_path):
    out = tmp_path / "store"
    first, second = open_store(out, create=True), open_store(out, create=True)
    for store, seed in ((first, 1), (second, 2)):
        store.add(market(f"SIMA{seed}", months=1, timeframe="1h"), {"name": str(seed)})
    assert sorted(open_store(out).streams) == ["SIMA1/1h", "SIMA2/1h"]


def test_a_store_that_another_process_holds_is_waited_for(tmp_path, monkeypatch):
    code = (
        "import sys, time; from pathlib import Path; from ffm_core.runs.atomic import locked\n"
        "with locked(Path(sys.argv[1]), seconds=9): print('held', flush=True); time.sleep(60)"
    )
    monkeypatch.setattr("ffm_core.bars.store._PATIENCE", 0.1)
    store, bars = open_store(tmp_path, create=True), market("SIMA1", months=1, timeframe="1h")
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(OutputError, match="another process is writing"):
            store.add(bars, {"name": "1"})
        holder.kill()  # and its hold is gone
    assert list(store.add(bars, {"name": "1"}).streams) == ["SIMA1/1h"]


def test_a_folder_that_cannot_be_made(tmp_path, halves):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write") as caught:
        import_files([str(halves[0])], tmp_path / "file" / "store")
    assert "--out" in caught.value.fix


def test_a_read_only_folder(tmp_path, halves, monkeypatch):
    # Permissions do not stop the super-user, so the refusal is simulated.
    real = Path.open

    def refuse(self, mode="r", *args, **kwargs):
        if "w" in mode:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        import_files([str(halves[0])], tmp_path / "store")


def test_the_manifest_is_plain_json_without_paths(stored, tmp_path):
    text = (stored / MANIFEST).read_text()
    content = json.loads(text)
    assert content["schema"] == "ffm-store/1"
    assert str(tmp_path) not in text


@pytest.mark.parametrize("place", ["../outside.parquet", "{absolute}", "deep/outside.parquet", ""])
def test_a_manifest_that_leads_out_of_the_store_deletes_nothing(tmp_path, halves, place):
    out, outside = tmp_path / "store", tmp_path / "outside.parquet"
    import_files([str(halves[0])], out)
    manifest = json.loads((out / MANIFEST).read_text())
    entry = manifest["streams"]["SIMA1/1h"]
    outside.write_bytes((out / entry["file"]).read_bytes())
    entry["file"] = place.format(absolute=outside)
    (out / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="not a store manifest"):
        import_files([str(halves[1])], out)
    assert outside.exists()


def test_a_file_of_more_rows_than_anybody_has_bars_is_refused_unread(
    tmp_path, bars, halves, monkeypatch
):
    import_files([str(halves[0])], tmp_path / "store")
    bars.frame.write_parquet(tmp_path / "SIMA1_1h.parquet")
    monkeypatch.setattr("ffm_core.bars.readers._parquet.MOST_ROWS", 100)
    monkeypatch.setattr(
        "ffm_core.bars.readers._parquet.papq.read_table",
        lambda *_, **__: pytest.fail("it was read"),
    )
    with pytest.raises(SchemaError, match="the most that is read"):
        load(tmp_path / "SIMA1_1h.parquet")
    with pytest.raises(SchemaError, match="the most that is read"):
        open_store(tmp_path / "store").load("SIMA1/1h")


def test_too_little_memory_is_no_damage_of_the_file(tmp_path, bars, monkeypatch):
    import pyarrow as pa

    def full(*_args, **_named):
        raise pa.ArrowMemoryError("malloc of size 99 failed")

    bars.frame.write_parquet(tmp_path / "SIMA1_1h.parquet")
    monkeypatch.setattr("ffm_core.bars.readers._parquet.papq.read_table", full)
    with pytest.raises(MemoryError):
        load(tmp_path / "SIMA1_1h.parquet")


@pytest.mark.parametrize("first", ["ffm_core.bars.store", "ffm_core.bars.readers"])
def test_store_and_readers_can_be_imported_in_either_order(first):
    words = f"import {first}; import ffm_core.bars.store, ffm_core.bars.readers"
    subprocess.run([sys.executable, "-c", words], check=True)
