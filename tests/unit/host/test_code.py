from __future__ import annotations

import importlib
import os
import pickle
import shutil
import sys
import textwrap

import pytest

from ffm_core.errors import PluginLoadError
from ffm_core.host.code import code_hash, code_of, source_files
from ffm_core.host.discovery import Found
from ffm_core.host.loading import open_host


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


# --- what a plug-in loads -----------------------------------------------------------------

IDEA = """
    {imports}
    from ffm_core import Decisions, Labeler

    def decide(bars, params):
        {inside}
        return Decisions(bar=[], side=[], risk=[])

    LABELER = Labeler(name="idea", decide=decide, horizon_bars=5, warmup_bars=3)
"""


@pytest.fixture
def idea(tmp_path, site):
    def write(imports: str = "", inside: str = "pass", **others: str) -> str:
        folder = tmp_path / "ideas"
        folder.mkdir(exist_ok=True)
        for name, text in others.items():
            place = folder / f"{name}.py"
            place.parent.mkdir(exist_ok=True)
            place.write_text(textwrap.dedent(text))
        text = textwrap.dedent(IDEA).format(imports=imports, inside=inside)
        (folder / "idea.py").write_text(text)
        return str(folder / "idea.py")

    return write


@pytest.mark.parametrize(
    ("imports", "inside"),
    [
        ("import helper", "helper.N"),
        ("from helper import N", "pass"),
        ("", "from helper import N"),  # first imported when it is called
        ("import importlib\nhelper = importlib.import_module('hel' + 'per')", "helper.N"),
        ("import middle", "middle.helper.N"),
        ("import kit.inner", "kit.inner.N"),
    ],
    ids=["module", "name", "inside", "computed", "through", "package"],
)
def test_a_helper_beside_a_file_is_part_of_its_code_and_read_anew(idea, imports, inside):
    kit = {"kit/__init__": "", "kit/inner": "from helper import N"}
    path = idea(imports, inside, helper="N = 1", middle="import helper", **kit)
    host = open_host(path)
    first, again = host.code_hash(), pickle.loads(pickle.dumps(host)).code_hash()
    host.labeler().record.decide(None, {})
    assert first == again == open_host(path).code_hash()
    idea(imports, inside, helper="N = 2")
    assert open_host(path).code_hash() != first
    if inside == "helper.N" and "importlib" not in imports:
        assert sys.modules["helper"].N == 2
    idea(imports, inside, helper="N = 1")
    assert open_host(path).code_hash() == first


def test_what_lies_beside_a_file_and_is_not_imported_does_not_count(idea):
    path = idea(helper="N = 1")
    first = open_host(path).code_hash()
    idea(helper="N = 2", signal="raise RuntimeError")
    assert open_host(path).code_hash() == first


def test_nothing_beside_a_file_replaces_a_module_of_the_library(idea):
    names = ("signal", "random", "queue", "json", "select", "types", "numpy")
    path = idea("import json, numpy", **dict.fromkeys(names, "raise RuntimeError('mine')"))
    host = open_host(path)
    assert "mine" not in repr(host.labeler())
    assert list(code_of(host.strategy).files) == ["idea.py"]


def test_what_lies_beside_a_file_is_imported_for_its_folder_alone(idea):
    open_host(idea("import helper", helper="N = 1", optional="N = 1"))
    with pytest.raises(ModuleNotFoundError):
        import optional  # noqa: F401


def test_the_hash_of_a_file_with_helpers_does_not_depend_on_the_place(idea, tmp_path):
    path = idea("import helper", helper="N = 1")
    first = open_host(path).code_hash()
    shutil.copytree(tmp_path / "ideas", tmp_path / "elsewhere")
    assert open_host(str(tmp_path / "elsewhere" / "idea.py")).code_hash() == first
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "idea.py").symlink_to(path)
    assert open_host(str(tmp_path / "linked" / "idea.py")).code_hash() == first


def test_a_package_that_a_plugin_imports_counts_with_its_data_and_links(install, site, tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (real / "table.json").write_text("[1]")
    (site / "ffm_test_kit").mkdir()
    (site / "ffm_test_kit" / "__init__.py").write_text("")
    (site / "ffm_test_kit" / "data").symlink_to(real)
    (site / "ffm_test_kit" / "loop").symlink_to(site / "ffm_test_kit")
    module = install("kitted", "import ffm_test_kit")
    plugin = found(module, "ffm-strategy-kitted")
    assert "ffm_test_kit/data/table.json" in source_files(plugin)
    first = code_hash([plugin])
    (real / "table.json").write_text("[2]")
    assert code_hash([plugin]) != first


def test_an_installed_library_counts_by_version_and_record_alone(install, site):
    (site / "ffm_test_library.py").write_text("A = 1")
    info = site / "ffm_test_library-1.0.dist-info"
    info.mkdir()
    record = "ffm_test_library.py,sha256=a,9\n../../bin/x,sha256={0},1\nx.so,sha256={0},1\n"
    (info / "RECORD").write_text(record.format("here"))
    module = install("reader", "def f():\n    import ffm_test_library")
    plugin = found(module, "ffm-strategy-reader")
    assert set(code_of(plugin).libraries) == {"ffm-test-library"}
    first = code_hash([plugin])
    (site / "ffm_test_library.py").write_text("A = 2")

    def hash_now() -> str:
        from ffm_core.host.libraries import _recorded

        _recorded.cache_clear()  # a process sees one set of libraries
        return code_hash([plugin])

    assert hash_now() == first
    (info / "RECORD").write_text(record.format("there"))  # scripts hold paths, builds differ
    assert hash_now() == first
    (info / "RECORD").write_text(record.replace("=a", "=b"))
    assert hash_now() != first
    (info / "RECORD").write_text(record.format("here"))
    info.rename(site / "ffm_test_library-1.1.dist-info")
    assert hash_now() != first


def test_a_library_installed_for_editing_counts_by_content(install, site):
    (site / "ffm_test_edited.py").write_text("A = 1")
    info = site / "ffm_test_edited-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("__editable__.ffm_test_edited.pth,sha256=a,9\n")
    plugin = found(install("editing", "import ffm_test_edited"), "ffm-strategy-editing")
    first = code_hash([plugin])
    (site / "ffm_test_edited.py").write_text("A = 2")
    assert code_hash([plugin]) != first


# --- the environment ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("imports", "inside"),
    [
        ("import os\nN = os.environ.get('ZQ_KNOB', '3')", "pass"),
        ("import os\nN = os.environ.get('zq_knob'.upper())", "pass"),  # a computed name
        ("from os import getenv\nKNOB = 'ZQ_KNOB'\nN = getenv(KNOB)", "pass"),
        ("import os", "os.environ['ZQ_KNOB']"),
        ("import helper", "helper.N"),
        ("import os\nN = 'ZQ_KNOB' in os.environ", "pass"),
    ],
    ids=["get", "computed", "getenv", "called", "helper", "in"],
)
def test_a_variable_that_its_own_code_reads_is_part_of_a_plugin(idea, monkeypatch, imports, inside):
    path = idea(imports, inside, helper="import os\nN = os.getenv('ZQ_KNOB')")
    hashes = {open_host(path).code_hash()}
    for value in ("", "3", "4"):
        monkeypatch.setenv("ZQ_KNOB", value)
        hashes.add(open_host(path).code_hash())
        monkeypatch.setenv("ZQ_OTHER", value)
        hashes.add(open_host(path).code_hash())
    assert len(hashes) == 4


def test_a_variable_that_a_library_reads_is_none_of_a_plugins(idea, monkeypatch):
    path = idea("import os\nHOME = os.path.expanduser('~')")
    first = open_host(path).code_hash()
    monkeypatch.setenv("HOME", "/elsewhere")
    assert open_host(path).code_hash() == first


def test_what_a_plugin_writes_into_the_environment_is_taken_back(idea):
    write = "os.environ.update(ZQ_MEMO='1', HOME='/zq')"
    host = open_host(idea(f"import os\n{write}", "import os; os.environ['ZQ_MEMO'] = '1'"))
    assert "ZQ_MEMO" not in os.environ
    assert os.environ["HOME"] != "/zq"
    from ffm_core.host.boundary import call_plugin

    call_plugin(host.strategy, "labeler", host.labeler().record.decide, None, {})
    assert "ZQ_MEMO" not in os.environ


def test_a_thread_that_outlives_loading_is_refused_and_holds_nothing_up(idea):
    thread = """
import threading, time
def wait():
    time.sleep(60)
KEPT = threading.Thread(target=wait, name="zq-waits")
KEPT.start()
"""
    with pytest.raises(PluginLoadError, match=r"starts a thread while it is loaded: zq-waits"):
        open_host(idea(thread))
    import threading

    assert all(t.daemon for t in threading.enumerate() if t.name == "zq-waits")


def test_threads_that_end_while_loading_are_no_fault(idea):
    thread = """
import threading
def wait():
    pass
KEPT = threading.Thread(target=wait)
KEPT.start()
KEPT.join()
"""
    assert open_host(idea(thread)).labeler()
