"""Names and paths that mean the same on every system."""

from __future__ import annotations

import os

import pytest

from ffm_core.paths import _behind_kernels, is_folder_name, one_spelling


@pytest.mark.parametrize("name", ["ctx7", "my-heads_2", "bolt.small", "7", "console", "com10"])
def test_names_of_folders(name):
    assert is_folder_name(name)


@pytest.mark.parametrize(
    "name", ["", "Heads", "a:b", "a/b", ".hidden", "ends.", "con", "nul.txt", "lpt1", "a b", "a?"]
)
def test_names_that_some_system_refuses(name):
    assert not is_folder_name(name)


def test_two_ways_to_one_file_are_spelled_alike(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert one_spelling(tmp_path / "link" / "file") == one_spelling(tmp_path / "a" / "file")
    assert os.sep == "/" or "\\" not in one_spelling(tmp_path)


def test_compiled_code_follows_kernels_and_what_they_import(tmp_path):
    package = tmp_path / "ffm_core"
    for name, text in {
        "jit.py": "",
        "labels/step.py": "from ffm_core.jit import kernel\nfrom ffm_core.records import STOP\n",
        "records/__init__.py": "from ffm_core.records.reasons import STOP\n",
        "records/reasons.py": "STOP = 1\n",
        "cli/eval.py": "from ffm_core.labels.step import step\n",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    behind = _behind_kernels(package)
    assert set(behind) == {
        "ffm_core.jit", "ffm_core.labels.step", "ffm_core.records", "ffm_core.records.reasons"
    }  # fmt: skip
    assert behind["ffm_core.records.reasons"] == "STOP = 1\n"
