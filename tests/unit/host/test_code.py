from __future__ import annotations

import importlib
import shutil

import pytest

from ffm_core.errors import PluginLoadError
from ffm_core.host.code import code_hash, source_files
from ffm_core.host.discovery import Found


def found(module: str, distribution: str = "nobody", **more) -> Found:
    return Found(name="x", group="ffm.strategies", distribution=distribution, version="1",
                 module=module, **more)  # fmt: skip


@pytest.fixture
def package(site):
    folder = site / "ffm_test_code"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "plugin.py").write_text("A = 1\n")
    (folder / "inner" / "table.json").write_text("{}")
    importlib.invalidate_caches()
    return folder


NAME = "ffm_test_code.plugin"


def test_all_files_of_the_package_count(package):
    assert list(source_files(found(NAME))) == [
        "ffm_test_code/__init__.py",
        "ffm_test_code/inner/table.json",
        "ffm_test_code/plugin.py",
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda p: (p / "plugin.py").write_text("A = 2\n"),
        lambda p: (p / "inner" / "table.json").write_text("[]"),
        lambda p: (p / "new.py").write_text(""),
        lambda p: (p / "plugin.py").rename(p / "other.py"),
        lambda p: (p / "inner" / "table.json").unlink(),
    ],
)
def test_any_change_of_the_code_changes_the_hash(package, change):
    before = code_hash([found(NAME)])
    change(package)
    assert code_hash([found(NAME)]) != before


def test_compiled_and_hidden_files_do_not_count(package):
    before = code_hash([found(NAME)])
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "plugin.cpython-311.pyc").write_bytes(b"x")
    (package / "old.pyc").write_bytes(b"x")
    (package / ".DS_Store").write_bytes(b"x")
    assert code_hash([found(NAME)]) == before


def test_a_file_that_swallows_the_next_one_changes_the_hash(package):
    (package / "a.py").write_text("1")
    (package / "b.py").write_text("2")
    before = code_hash([found(NAME)])
    (package / "a.py").write_text("1ffm_test_code/b.py2")
    (package / "b.py").unlink()
    assert code_hash([found(NAME)]) != before


def test_the_hash_does_not_depend_on_the_place(package, tmp_path, monkeypatch):
    before = code_hash([found(NAME)])
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(package, elsewhere / package.name)
    shutil.rmtree(package)
    monkeypatch.syspath_prepend(str(elsewhere))
    assert code_hash([found(NAME)]) == before


def test_order_and_names_of_plugins_count(package):
    one, two = found(NAME), Found(name="y", group="g", distribution="d", version="1", module=NAME)
    assert len({code_hash(part) for part in ([], [one], [two], [one, two], [two, one])}) == 5


def test_a_module_in_a_shared_namespace_counts_alone(site):
    shared = site / "ffm_test_shared"
    for name in ("mine", "theirs"):
        (shared / name).mkdir(parents=True)
        (shared / name / "__init__.py").write_text("")
    importlib.invalidate_caches()
    assert list(source_files(found("ffm_test_shared.mine"))) == ["ffm_test_shared/mine/__init__.py"]


def test_other_modules_of_an_installed_distribution_count(install, site):
    module = install("alone")
    info = next(site.glob("*.dist-info"))
    (site / "ffm_test_helper.py").write_text("B = 1\n")
    (site / "__editable___x_finder.py").write_text("MAPPING = {}\n")
    names = ["ffm_test_helper.py", "__editable___x_finder.py", f"{module}.py", "../../bin/tool.py"]
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in names))
    files = source_files(found(module, "ffm-strategy-alone"))
    assert list(files) == [f"{module}.py", "ffm_test_helper.py"]


def test_a_single_file_counts_by_its_base_name(tmp_path):
    hashes = set()
    for folder in ("a", "b"):
        path = tmp_path / folder / "idea.py"
        path.parent.mkdir()
        path.write_text("A = 1\n")
        hashes.add(code_hash([found("ffm_strategy_file_idea", path=path)]))
    assert len(hashes) == 1
    path.write_text("A = 2\n")
    assert code_hash([found("ffm_strategy_file_idea", path=path)]) not in hashes


def test_a_file_that_vanished_is_a_plugin_error(tmp_path):
    with pytest.raises(PluginLoadError, match=r"gone\.py cannot be read: No such file"):
        code_hash([found("gone", path=tmp_path / "gone.py")])
