"""Places that cannot be written: said at once, and nothing half-written is left."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from ffm_core.cli import main
from ffm_core.runs.ledger import Ledger
from helpers.limits import small_files_in_child

proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc on this system")
LINUX = ("of the kernel",)


def places(table):
    """Make a parameter of every place; those of Linux alone skip elsewhere."""
    return [pytest.param(name, marks=[proc] if name in LINUX else []) for name in table]


PLACES = {
    "a file": ("taken", "taken.* is a file|cannot write taken", "--help|--out"),
    "under a file": ("taken/runs", "cannot write taken/runs: Not a directory", "--out"),
    "of the kernel": ("/proc/ffm-runs", "cannot write /proc/ffm-runs", "--out"),
    "a device": ("/dev/null", "cannot write /dev/null", "--out"),
    "too long a name": ("x" * 300, "File name too long", "--out"),
}


@pytest.mark.parametrize("name", places(PLACES))
def test_out_that_cannot_be_written(desk, refused, judged, name):
    desk.write("taken", "")
    place, says, fix = PLACES[name]
    refused(*judged, "--out", place, code=2, says=says, fix=fix)


HOMES = {
    "a file": ("taken", "cannot write taken: Not a directory"),
    "under a file": ("taken/home", "cannot write taken/home: Not a directory"),
    "of the kernel": ("/proc/ffm", "cannot write /proc/ffm"),
    "too long a name": ("x" * 300, "File name too long"),
}


@pytest.mark.parametrize("name", places(HOMES))
def test_a_home_that_cannot_be_written(desk, refused, judged, monkeypatch, name):
    desk.write("taken", "")
    place, says = HOMES[name]
    monkeypatch.setenv("FFM_HOME", place)
    refused(*judged, code=2, says=says, fix="FFM_HOME")
    if name not in ("of the kernel",):  # there it is merely absent
        refused("runs", "verify", code=4, says="cannot read the ledger", fix="FFM_HOME")


COMMANDS = {
    "import": ("data", "import", "SIMA1_1h.csv", "--out"),
    "simulate": ("data", "simulate", "SIMA1", "--months", "1", "--timeframe", "1h", "--out"),
    "new": ("new", "strategy", "another-idea", "--out"),
}


@pytest.mark.parametrize("place", ["taken/here", pytest.param("/proc/here", marks=proc)])
@pytest.mark.parametrize("name", COMMANDS)
def test_commands_that_write(desk, refused, lines, name, place):
    desk.write("SIMA1_1h.csv", lines)
    desk.write("taken", "")
    json = name != "new"
    refused(*COMMANDS[name], place, code=2, says=place, fix="--out", json=json)


def test_what_exists_is_not_overwritten(desk, refused):
    assert desk.run(*COMMANDS["simulate"], "here").code == 0
    refused(*COMMANDS["simulate"], "here", code=2, says="already exists", fix="--force")
    assert desk.run(*COMMANDS["new"], "there").code == 0
    refused(*COMMANDS["new"], "there", code=2, says="already exists", fix="--out", json=False)


def run_folders(folder: Path) -> list[str]:
    place = folder / "ffm-runs"
    return sorted(p.name for p in place.iterdir()) if place.is_dir() else []


@pytest.mark.parametrize("moment", ["the sync of the run", "the rename of the run"])
def test_a_disk_that_fills_up_at_the_end(desk, judged, monkeypatch, moment):
    """The verdict is in the ledger by then; the folder is whole or absent."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if moment == "the sync of the run":
            patch.setattr("ffm_core.runs.atomic._sync_tree", full)
        else:
            patch.setattr(Path, "rename", full)
        answer = desk.run(*judged)
    assert answer.code == 2
    assert "error: cannot write ffm-runs/" in answer.err
    assert "No space left on device\n  fix: free some space" in answer.err
    assert run_folders(desk.folder) == []
    assert Ledger(desk.home).verify().trials == {"open": 0, "closed": 1, "aborted": 0}
    assert desk.run(*judged).code in (0, 1, 5)
    assert len(run_folders(desk.folder)) == 1
    assert Ledger(desk.home).verify().repeats == 1  # the same trial, counted once


def limited(size: int, desk, words) -> subprocess.CompletedProcess[str]:
    """Run ``ffm`` where no file may grow beyond ``size`` bytes, as on a full disk."""
    return subprocess.run(
        [sys.executable, "-m", "ffm_core", *words],
        cwd=desk.folder,
        env={**os.environ, "FFM_HOME": str(desk.home)},
        preexec_fn=small_files_in_child(size),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("size", [0, 20_000, 200_000])
def test_a_disk_without_room(desk, judged, size):
    """No room for anything, for the ledger, and for the report."""
    answer = limited(size, desk, judged)
    assert answer.returncode == 2, answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stderr.splitlines()[-2].startswith("error: cannot write "), answer.stderr
    assert answer.stderr.splitlines()[-1].startswith("  fix: ")
    assert answer.stdout == ""
    assert run_folders(desk.folder) == []
    assert Ledger(desk.home).verify().ok
    assert desk.run(*judged).code in (0, 1, 5)  # with room again it just works
    assert Ledger(desk.home).verify().trials == {"open": 0, "closed": 1, "aborted": 0}


def test_an_import_into_a_full_disk(desk, lines):
    desk.write("SIMA1_1h.csv", lines)
    answer = limited(1_000, desk, ("data", "import", "SIMA1_1h.csv", "--out", "store"))
    assert answer.returncode == 2, answer.stderr
    assert "cannot write " in answer.stderr
    assert "File too large" in answer.stderr
    assert [path.name for path in (desk.folder / "store").iterdir()] == [".lock"]


@pytest.mark.parametrize("place", ["ffm-runs", "FFM_HOME"])
def test_a_folder_that_may_not_be_written(desk, refused, judged, place, tmp_path):
    if os.geteuid() == 0 and shutil.which("chattr") is None:
        pytest.skip("the super-user may write anywhere")
    folder = desk.folder / "ffm-runs" if place == "ffm-runs" else desk.home
    folder.mkdir()
    folder.chmod(0o555)
    if os.geteuid() == 0 and not immutable(folder, "+i"):
        pytest.skip("the super-user may write anywhere on this file system")
    try:
        says = f"cannot write {folder if place == 'FFM_HOME' else 'ffm-runs'}: .*permitted|denied"
        fix = "--out" if place == "ffm-runs" else "FFM_HOME"
        refused(*judged, code=2, says=says, fix=f"grant write permission, .*{fix}")
    finally:
        immutable(folder, "-i")
        folder.chmod(0o755)


def immutable(folder: Path, flag: str) -> bool:
    """Close a folder even to the super-user; False where that cannot be done."""
    if shutil.which("chattr") is None:
        return False
    done = subprocess.run(["chattr", flag, str(folder)], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("out", ["Läufe vom März/1. Woche", "日本"])
def test_odd_but_legal_places_work(desk, judged, out):
    answer = desk.run(*judged, "--out", out, "--json")
    assert answer.code in (0, 1, 5)
    folder = Path(answer.document["folder"])
    assert {p.name for p in folder.iterdir()} == {
        "run.json", "report.html", "decisions.parquet", "trades.parquet",
    }  # fmt: skip
    assert desk.run("runs", "verify", "--out", out).code == 0


def shown(encoding: str, *words: object) -> tuple[int, str]:
    """Run ``ffm`` on a terminal that cannot show everything; return code and output."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    with redirect_stdout(stream), pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    stream.flush()
    return int(left.value.code or 0), stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_a_terminal_without_the_signs(stored, encoding):
    code, text = shown(encoding, "explain", stored, "--decision", "3")
    minus = "\N{MINUS SIGN}" if encoding == "utf-8" else r"\u2212"
    assert code == 0
    assert f" {minus} 0.059" in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_document_is_whole_on_any_terminal(desk, encoding):
    code, text = shown(encoding, "data", "check", "Läufe 東京 💥.csv", "--json")
    assert code == 4
    assert "Läufe 東京 💥.csv: no such" in json.loads(text)["error"]["problem"]


def test_nothing_to_write_to(desk):
    with redirect_stdout(None), pytest.raises(SystemExit) as left:
        main(["runs", "list"])
    assert not left.value.code
