"""All of a file or folder, or nothing."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from ffm_core.errors import OutputError
from ffm_core.runs.atomic import atomic_dir, atomic_write, require_writable
from helpers.limits import small_files
from helpers.processes import was_killed


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def full_disk(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_written_and_replaced(tmp_path):
    target = tmp_path / "deep" / "er" / "file"
    atomic_write(target, b"one")
    atomic_write(target, b"two")
    assert target.read_bytes() == b"two"
    assert names(target.parent) == ["file"]


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "file"
    atomic_write(target, b"old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OutputError, match="No space left") as caught:
        atomic_write(target, b"new")
    assert str(target) in caught.value.problem
    assert "free some space" in caught.value.fix
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_real_refusal_of_the_system_leaves_nothing(tmp_path):
    with small_files(4096), pytest.raises(OutputError, match="too large"):
        atomic_write(tmp_path / "file", b"x" * 10_000)
    assert names(tmp_path) == []


def test_a_parent_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    for attempt in (lambda p: atomic_write(p, b"x"), lambda p: atomic_dir(p).__enter__()):
        with pytest.raises(OutputError):
            attempt(tmp_path / "file" / "inside")


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "runs" / "one"
    with atomic_dir(target) as folder:
        (folder / "a").write_text("a")
        (folder / "sub").mkdir()
        (folder / "sub" / "b").write_text("b")
        assert not target.exists()
    assert names(target) == ["a", "sub"]
    assert names(target.parent) == ["one"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(tmp_path, error):
    def fill():
        with atomic_dir(tmp_path / "one") as folder:
            (folder / "a").write_text("a")
            raise error

    with pytest.raises(error):
        fill()
    assert names(tmp_path) == []


def test_a_full_disk_while_filling_a_folder(tmp_path):
    def fill():
        with atomic_dir(tmp_path / "one") as folder:
            (folder / "a").write_text("a")
            full_disk()

    with pytest.raises(OutputError, match="one: No space left"):
        fill()
    assert names(tmp_path) == []


def test_an_existing_folder_is_kept(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "mine").write_text("keep")
    with pytest.raises(OutputError, match="exists"), atomic_dir(tmp_path / "one"):
        pass
    assert names(tmp_path) == ["one"]
    assert names(tmp_path / "one") == ["mine"]


KILLED = """
import os, sys
from pathlib import Path
from ffm_core.runs.atomic import atomic_dir
with atomic_dir(Path(sys.argv[1]) / "killed") as folder:
    (folder / "run.json").write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_is_swept_by_the_next_one(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert was_killed(done.returncode)
    (left,) = names(tmp_path)
    assert left.startswith(".ffm-partial-")
    with atomic_dir(tmp_path / "next") as mine:
        with atomic_dir(tmp_path / "other"):  # a live neighbour's folder is left alone
            pass
        assert mine.is_dir()
    assert names(tmp_path) == ["next", "other"]


def test_looking_whether_a_folder_can_be_written_sweeps_it_too(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    require_writable(tmp_path)
    assert names(tmp_path) == []


def test_hidden_names_that_are_not_ours_stay(tmp_path):
    (tmp_path / ".ffm-partial-notes").mkdir()
    (tmp_path / ".ffm-partial-a.b.c.d.e").write_text("x")
    with atomic_dir(tmp_path / "one"):
        pass
    assert names(tmp_path) == [".ffm-partial-a.b.c.d.e", ".ffm-partial-notes", "one"]


def test_paths_are_untouched_by_failure_to_make_a_folder(tmp_path):
    place = tmp_path / "nothing"
    place.write_text("a file")
    with pytest.raises(OutputError):
        atomic_write(place / "here", b"x")
    assert place.read_text() == "a file"
