"""``ffm data`` as a user meets it: output, exit codes, files left behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ffm_core.bars.simulate import market


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two clean files, one with a bad row and one that is no data at all."""
    place = tmp_path_factory.mktemp("in")
    bars = market("SIMA1", months=2, timeframe="1h").frame.rename({"ts": "datetime"})
    for name, part in (("SIMA1_1h.csv", bars), ("SIMB1_1h.csv", bars[:400])):
        part.write_csv(place / name, datetime_format="%Y-%m-%d %H:%M:%S+00:00")
    lines = (place / "SIMA1_1h.csv").read_text().splitlines()
    lines[5] = lines[5].replace(lines[5].split(",")[3], "-1")
    (place / "SIMC1_1h.csv").write_text("\n".join(lines))
    (place / "SIMD1_1h.csv").write_bytes(b"\x00\x01")
    return place


def test_import_keeps_the_good_and_lists_the_bad(ffm, folder, tmp_path):
    out = tmp_path / "store"
    answer = ffm("data", "import", folder, "--out", out)
    assert answer.code == 4
    assert [line.split()[0] for line in answer.out.splitlines()] == ["SIMA1/1h", "SIMB1/1h"]
    assert "2 of 4 failed" in answer.err
    assert "SIMC1_1h.csv line 6" in answer.err
    assert "SIMD1_1h.csv: binary content" in answer.err
    assert "fix:" in answer.err
    assert sorted(p.suffix for p in out.iterdir() if p.name != ".lock") == [
        ".json", ".parquet", ".parquet",
    ]  # fmt: skip


def test_import_drops_bad_rows_when_told(ffm, folder, tmp_path):
    words = ("data", "import", folder / "SIMC1_1h.csv", "--out", tmp_path / "store")
    assert ffm(*words).code == 4
    answer = ffm(*words, "--policy", "drop", "--json")
    assert answer.code == 0
    assert answer.json["schema"] == "ffm-data-import/1"
    (stream,) = answer.json["streams"]
    assert sum(stream["sources"][0]["dropped"].values()) == 1


def test_import_is_resumable(ffm, folder, tmp_path):
    words = ("data", "import", folder / "SIMA1_1h.csv", "--out", tmp_path / "s", "--json")
    states = [ffm(*words).json["files"][0]["state"] for _ in range(2)]
    assert states == ["imported", "present"]


def test_check_and_describe(ffm, folder):
    checked = ffm("data", "check", folder / "SIMA1_1h.csv")
    assert checked.code == 0
    assert "SIMA1/1h" in checked.out
    assert "rolls" not in checked.err
    document = ffm("data", "check", folder / "SIMA1_1h.csv", "--json").json
    assert document["schema"] == "ffm-data-check/1"
    assert document["streams"][0]["audit"]["level"] in ("info", "warn")
    described = ffm("data", "describe", f"SIMA9={folder / 'SIMA1_1h.csv'}", "--json").json
    (stream,) = described["streams"]
    assert stream["stream"] == "SIMA9/1h"
    assert stream["tick_value"] == 12.5
    assert "round trip points" in ffm("data", "describe", folder / "SIMA1_1h.csv").out


def test_check_of_a_batch_goes_on_after_a_failure(ffm, folder):
    answer = ffm("data", "check", folder, "--json")
    assert answer.code == 4
    assert [stream["stream"] for stream in answer.json["streams"]] == ["SIMA1/1h", "SIMB1/1h"]
    assert [fault["name"] for fault in answer.json["failed"]] == ["SIMC1_1h.csv", "SIMD1_1h.csv"]


def test_check_of_refused_data_exits_4_with_the_reason(ffm, folder, tmp_path):
    text = (folder / "SIMA1_1h.csv").read_text().splitlines()
    dead = [text[0], *[",".join([*r.split(",")[:5], "0" if i % 9 else "1", r.split(",")[6]])
                       for i, r in enumerate(text[1:])]]  # fmt: skip
    path = tmp_path / "SIMA1_1h.csv"
    path.write_text("\n".join(dead))
    answer = ffm("data", "check", path)
    assert answer.code == 4
    assert "refuse" in answer.out
    assert "no trade" in answer.err


def test_one_bad_file_is_an_ordinary_error(ffm, folder):
    answer = ffm("data", "check", folder / "SIMC1_1h.csv", "--json")
    assert answer.code == 4
    assert answer.json["error"]["kind"] == "SchemaError"
    assert "line 6" in answer.json["error"]["problem"]


def test_column_map_and_formats(ffm, folder, tmp_path):
    text = (folder / "SIMA1_1h.csv").read_text().replace(",low,", ",Llow,", 1)
    path = tmp_path / "SIMA1_1h.csv"
    path.write_text(text)
    answer = ffm("data", "check", path)
    assert answer.code == 4
    assert "--column low=Llow" in answer.err
    assert ffm("data", "check", path, "--column", "low=Llow").code == 0


USAGE = {
    "no path": ("data", "check"),
    "no out": ("data", "import", "x.csv"),
    "bad map": ("data", "check", "x.csv", "--column", "low"),
    "bad choice": ("data", "check", "x.csv", "--stamps", "middle"),
    "bad layout": ("data", "check", "x.csv", "--layout", "excel"),
    "unknown command": ("data", "repair"),
    "months": ("data", "simulate", "SIMA1", "--months", "0"),
    "timeframe": ("data", "simulate", "SIMA1", "--timeframe", "5 parsecs"),
}


@pytest.mark.parametrize("kind", USAGE)
def test_wrong_words_exit_2(ffm, kind):
    answer = ffm(*USAGE[kind])
    assert answer.code == 2
    assert answer.err.startswith("error: ")


DATA = {
    "absent": "SIMA1_absent.csv",
    "no instrument": "SIMPLE=x",
    "folder without bars": ".",
}


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("command", ["check", "describe"])
def test_wrong_data_exit_4(ffm, tmp_path, monkeypatch, command, kind):
    monkeypatch.chdir(tmp_path)
    answer = ffm("data", command, DATA[kind])
    assert answer.code == 4
    assert answer.out == ""


def test_help_lists_the_layouts_without_loading_the_readers():
    from ffm_core.bars.readers import LAYOUTS
    from ffm_core.cli import files

    assert files.LAYOUTS == LAYOUTS
    script = "import sys; from ffm_core.cli import data; print('polars' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_simulate_writes_what_check_accepts(ffm, tmp_path):
    answer = ffm(
        "data", "simulate", "SIMA1", "--months", "2", "--timeframe", "1h", "--out", tmp_path
    )
    path = tmp_path / "SIMA1_1h.parquet"
    assert answer.out.strip() == str(path)
    assert ffm("data", "check", path).code == 0
    document = ffm("data", "check", path, "--json").json
    assert document["streams"][0]["sha256"] == market("SIMA1", months=2, timeframe="1h").sha256


def test_simulate_overwrites_only_when_told(ffm, tmp_path):
    words = ("data", "simulate", "SIMA", "--seed", "1", "--months", "1", "--timeframe", "1h",
             "--out", tmp_path)  # fmt: skip
    assert ffm(*words).code == 0
    answer = ffm(*words)
    assert answer.code == 2
    assert "--force" in answer.err
    assert ffm(*words, "--force").code == 0


def test_full_disk_and_unwritable_output_exit_2(ffm, folder, tmp_path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "file").write_text("x")
    source = folder / "SIMA1_1h.csv"
    for words in (
        ("data", "import", source, "--out", tmp_path / "file" / "store"),
        ("data", "simulate", "SIMA1", "--months", "1", "--out", tmp_path / "file" / "store"),
    ):
        assert ffm(*words).code == 2
    monkeypatch.setattr(os, "fsync", full)
    for words in (
        ("data", "import", source, "--out", tmp_path / "store"),
        ("data", "simulate", "SIMA1", "--months", "1", "--out", tmp_path / "store"),
    ):
        answer = ffm(*words)
        assert answer.code == 2
        assert "No space left" in answer.err
    assert [path.name for path in (tmp_path / "store").iterdir()] == [".lock"]
