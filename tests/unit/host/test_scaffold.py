from __future__ import annotations

import ast
import os
import re
import stat
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ffm_core import __version__
from ffm_core.errors import ConfigError, OutputError, UsageError
from ffm_core.host.scaffold import MAX_NAME_CHARS, check_name, new_strategy, render


@pytest.fixture
def written(tmp_path):
    return new_strategy("open-drive", parent=tmp_path / "deep" / "er")


def test_the_package_is_complete(written):
    assert written.folder.name == "ffm-strategy-open-drive"
    assert {
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "src/ffm_strategy_open_drive/__init__.py",
        "src/ffm_strategy_open_drive/labeler.py",
        "src/ffm_strategy_open_drive/plugin.py",
        "src/ffm_strategy_open_drive/py.typed",
        "tests/test_contract.py",
        "tests/test_indicator.py",
        "tests/test_plugin.py",
    } <= set(written.files)
    on_disk = {
        path.relative_to(written.folder).as_posix()
        for path in written.folder.rglob("*")
        if path.is_file()
    }
    assert on_disk == set(written.files)


def test_every_file_is_valid_and_free_of_placeholders(written):
    for name in written.files:
        text = (written.folder / name).read_text(encoding="utf-8")
        assert re.search(r"\{\{|\}\}|__package__", text) is None, name
        if name.endswith(".py"):
            ast.parse(text, name)


def test_the_project_file_says_how_ffm_finds_it(written):
    project = tomllib.loads((written.folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "ffm-strategy-open-drive"
    assert project["entry-points"]["ffm.strategies"] == {
        "open-drive": "ffm_strategy_open_drive.plugin"
    }
    core = next(item for item in project["dependencies"] if item.startswith("ffm-core"))
    low, high = re.findall(r"\d+\.\d+", core)
    assert __version__.startswith(low + ".")
    assert high != low
    assert "classifiers" not in project


def test_a_private_package_is_marked_everywhere(tmp_path):
    written = new_strategy("open-drive", parent=tmp_path, private=True)
    project = tomllib.loads((written.folder / "pyproject.toml").read_text())["project"]
    assert project["classifiers"] == ["Private :: Do Not Upload"]
    labeler = (written.folder / "src/ffm_strategy_open_drive/labeler.py").read_text()
    assert "private=True" in labeler
    assert "private" in (written.folder / "README.md").read_text()


def test_permissions_are_those_of_an_ordinary_folder(written):
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(written.folder.stat().st_mode) == 0o777 & ~mask


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("Open Drive", "try 'open-drive'"),
        ("open_drive", "try 'open-drive'"),
        ("open--drive", "try 'open-drive'"),
        ("-open", "try 'open'"),
        ("2fast", "try 'fast'"),
        ("../up", "try 'up'"),
        ("ffm-strategy-open", "try 'open'"),
        ("a" * 51, f"try '{'a' * 50}'"),
        ("", "choose a name such as 'open-drive'"),
        ("9", "choose a name such as 'open-drive'"),
        ("ü", "choose a name such as 'open-drive'"),
        ("open\n", "try 'open'"),
    ],
)
def test_a_name_that_cannot_be_used_gets_a_better_one(tmp_path, name, fix):
    with pytest.raises(ConfigError) as caught:
        new_strategy(name, parent=tmp_path)
    assert caught.value.fix == fix
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=MAX_NAME_CHARS + 20))
def test_a_suggested_name_is_itself_fine(name):
    try:
        check_name(name)
    except ConfigError as error:
        better = re.fullmatch(r"try '(.*)'", error.fix)
        if better:
            check_name(better[1])
    else:
        assert re.fullmatch(r"[a-z][a-z0-9-]*", name)


def test_an_existing_folder_is_refused_and_left_alone(tmp_path):
    target = tmp_path / "ffm-strategy-mine"
    target.mkdir()
    (target / "precious.txt").write_text("x")
    with pytest.raises(UsageError, match="already exists"):
        new_strategy("mine", parent=tmp_path)
    assert [path.name for path in target.iterdir()] == ["precious.txt"]


def test_force_moves_the_old_folder_aside_and_loses_nothing(tmp_path):
    (tmp_path / "ffm-strategy-mine").mkdir()
    (tmp_path / "ffm-strategy-mine" / "precious.txt").write_text("x")
    first = new_strategy("mine", parent=tmp_path, force=True)
    assert (first.backup / "precious.txt").read_text() == "x"
    second = new_strategy("mine", parent=tmp_path, force=True)
    assert {first.backup.name, second.backup.name} == {
        "ffm-strategy-mine.bak1",
        "ffm-strategy-mine.bak2",
    }


def test_an_installed_name_is_refused(tmp_path, install):
    install("mine")
    with pytest.raises(UsageError, match=r"already installed by ffm-strategy-mine 1\.2"):
        new_strategy("mine", parent=tmp_path)
    assert new_strategy("mine", parent=tmp_path, force=True).backup is None


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    from pathlib import Path

    real = Path.write_bytes

    def full(self, data):
        if self.name == "labeler.py":
            raise OSError(28, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        new_strategy("mine", parent=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        new_strategy("mine", parent=tmp_path / "file")


def test_a_template_that_uses_an_unknown_value_is_our_bug():
    with pytest.raises(ValueError, match="which has no value"):
        render({"package": "x"})
