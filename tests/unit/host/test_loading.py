from __future__ import annotations

import pickle
import sys
import textwrap

import pytest

from ffm_core.errors import PluginConflictError, PluginLoadError, UnknownNameError
from ffm_core.hookspecs import HOOK_API
from ffm_core.host.discovery import EXTENSIONS
from ffm_core.host.loading import open_host

BROKEN = {
    "raises": ("x = 1\nraise ValueError('bad\\nday')", r"failed to load: ValueError: bad day"),
    "exits": ("import sys\nsys.exit(1)", "failed to load: SystemExit: 1"),
    "syntax": ("def (:\n", "failed to load: SyntaxError"),
    "needs": ("import library_nobody_has", "No module named 'library_nobody_has'"),
    "empty": ("x = 1", "declares no hook"),
    "misspelt": (
        "from ffm_core import hookimpl\n@hookimpl\ndef ffm_labellers():\n    return []",
        "unknown hook 'ffm_labellers'",
    ),
    "misspelt_bare": ("def ffm_labeler():\n    return []", "unknown hook 'ffm_labeler'"),
    "unmarked": ("def ffm_labelers():\n    return []", "'ffm_labelers' is not marked as a hook"),
    "arguments": (
        "from ffm_core import hookimpl\n@hookimpl\ndef ffm_labelers(config):\n    return []",
        "declares a hook wrongly",
    ),
    "wrapper": (
        "from ffm_core import hookimpl as h\n@h(wrapper=True)\ndef ffm_labelers(): return (yield)",
        "wraps hook 'ffm_labelers'",
    ),
    "newer": (f"FFM_HOOK_API = {HOOK_API + 1}\n", f"needs hook API {HOOK_API + 1}"),
    "older": ("FFM_HOOK_API = 1\n", "(?s)hook API 1.*docs/how-to/move-to-hook-api-2.md"),
    "odd_api": ("FFM_HOOK_API = 'two'\n", "FFM_HOOK_API is 'two', expected an integer"),
    "other_core": ("from ffm_core.records import Nothing", "cannot import name 'Nothing'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_one_clear_line(install, name):
    code, message = BROKEN[name]
    install(name, code)
    with pytest.raises(PluginLoadError, match=message) as caught:
        open_host(name)
    assert caught.value.exit_code == 3
    assert f"ffm-strategy-{name} 1.2" in caught.value.problem
    assert "\n" not in caught.value.problem
    assert caught.value.fix


def test_a_misspelt_hook_gets_a_suggestion(install):
    install("misspelt", BROKEN["misspelt"][0])
    with pytest.raises(PluginLoadError) as caught:
        open_host("misspelt")
    assert caught.value.fix == "did you mean 'ffm_labelers'?"


def test_a_failure_names_file_and_line(install):
    module = install("raises", BROKEN["raises"][0])
    with pytest.raises(PluginLoadError, match=rf"\({module}\.py:2\)\n"):
        open_host("raises")


def test_a_missing_library_is_named_in_the_fix(install):
    install("needs", BROKEN["needs"][0])
    with pytest.raises(PluginLoadError) as caught:
        open_host("needs")
    assert caught.value.fix == "install what it needs: library_nobody_has"


def test_a_plugin_written_for_another_core_is_told_so(install):
    install("other", BROKEN["other_core"][0])
    with pytest.raises(PluginLoadError) as caught:
        open_host("other")
    assert "another ffm-core" in caught.value.fix


def test_strict_mode_raises_the_original(install, monkeypatch):
    install("raises", BROKEN["raises"][0])
    monkeypatch.setenv("FFM_STRICT", "1")
    with pytest.raises(ValueError, match="bad"):
        open_host("raises")


def test_an_optional_hook_of_a_newer_core_is_accepted(install):
    code = """
        from ffm_core import Decisions, Labeler, hookimpl

        def ffm_style_helper():
            return None

        @hookimpl(optionalhook=True)
        def ffm_hook_of_the_future():
            raise RuntimeError

        @hookimpl
        def ffm_labelers():
            return []
    """
    install("modern", code)
    assert open_host("modern").strategy.name == "modern"


def test_only_what_was_named_is_imported(install):
    install("good")
    other = install("other", "raise RuntimeError")
    extension = install("extra", "raise RuntimeError", group=EXTENSIONS)
    host = open_host("good")
    assert [offer.record.name for offer in host.labelers()] == ["good"]
    assert {other, extension}.isdisjoint(sys.modules)
    with pytest.raises(PluginLoadError, match="ffm-strategy-extra"):
        open_host("good", ["extra"])


def test_a_name_claimed_twice_stops_only_whoever_asks_for_it(install):
    install("good")
    install("twice", distribution="one")
    install("twice", distribution="two")
    assert open_host("good").labeler().record.name == "good"
    with pytest.raises(PluginConflictError, match=r"one 1\.2 and by two 1\.2"):
        open_host("twice")


def test_extensions_keep_their_order_and_load_once(install):
    for name in ("b", "a"):
        code = "from ffm_core import hookimpl\n@hookimpl\ndef ffm_controls(): return []\n"
        install(name, code, group=EXTENSIONS)
    host = open_host(None, ["b", "a", "b", "core"])
    assert [found.name for found in host.extensions] == ["b", "a"]
    with pytest.raises(UnknownNameError, match="no strategy was named"):
        _ = host.strategy


def test_an_entry_point_may_lead_to_an_object(install):
    code = """
        from ffm_core import Decisions, Labeler, hookimpl

        class Plugin:
            FFM_HOOK_API = 2

            @hookimpl
            def ffm_labelers(self):
                decide = lambda bars, params: None
                return [Labeler(name="thing", decide=decide, horizon_bars=1, warmup_bars=1)]

        class holder:
            plugin = Plugin()
    """
    install("thing", code, module="ffm_test_thing",
            entries="[ffm.strategies]\nthing = ffm_test_thing:holder.plugin\n")  # fmt: skip
    assert open_host("thing").labeler().origin.attribute == "holder.plugin"


FILE = """
from __future__ import annotations
from dataclasses import dataclass
from ffm_core import Decisions, Labeler

@dataclass
class Setting:
    n: int = 3

def decide(bars, params):
    return Decisions(bar=[], side=[], risk=[])

LABELER = Labeler(name="my_idea", decide=decide, horizon_bars=5, warmup_bars=Setting().n)
"""


@pytest.fixture
def write(tmp_path, site):
    def make(name: str, code: str) -> str:
        path = tmp_path / name
        path.write_text(textwrap.dedent(code))
        return str(path)

    return make


def test_a_file_with_a_labeler_is_a_strategy(write):
    path = write("idea.py", FILE)
    host = open_host(path)
    assert host.labeler().record.name == "my_idea"
    assert (host.strategy.name, host.strategy.who) == ("idea", "idea.py")
    assert not host.is_core(host.strategy)


def test_a_file_may_also_use_hooks_and_offer_variants(write):
    code = FILE + textwrap.dedent("""
        from dataclasses import replace
        from ffm_core import hookimpl

        @hookimpl
        def ffm_labelers():
            return [replace(LABELER, name="idea"), replace(LABELER, name="idea:fast")]
    """)
    path = write("idea.py", code)
    assert open_host(path).labeler().record.name == "idea"
    assert open_host(f"{path}:fast").labeler().record.name == "idea:fast"
    with pytest.raises(UnknownNameError) as caught:
        open_host(f"{path}:fats").labeler()
    assert "idea:fast" in caught.value.fix


def test_a_file_is_read_afresh_each_time(write, tmp_path):
    path = write("idea.py", FILE)
    first = open_host(path).code_hash()
    write("idea.py", FILE.replace("horizon_bars=5", "horizon_bars=9"))
    host = open_host(path)
    assert host.labeler().record.horizon_bars == 9
    assert host.code_hash() != first
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("bare.py", "x = 1", "declares no hook"),
        ("wrong.py", "LABELER = 'me'", "LABELER is a str, expected a Labeler"),
        ("bad.py", "x = 1\n1 / 0\n", r"ZeroDivisionError: division by zero \(bad\.py:2\)"),
        ("syntax.py", "x = 1\ny = (\n", r"SyntaxError.*\(syntax\.py:2\)"),
    ],
)
def test_a_broken_file_is_one_clear_line(write, name, code, message):
    path = write(name, code)
    with pytest.raises(PluginLoadError, match=message) as caught:
        open_host(path)
    assert name in caught.value.problem


def test_a_path_that_is_no_strategy_file(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    for path, what in (
        (tmp_path / "absent.py", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / "notes.txt", r"is not a \.py file"),
    ):
        with pytest.raises(UnknownNameError, match=what):
            open_host(str(path))


def test_a_pickled_host_opens_the_same_plugins(install):
    install("good")
    host = pickle.loads(pickle.dumps(open_host("good")))
    assert host.strategy.name == "good"
    assert host.labeler().record.name == "good"


def test_a_built_in_without_its_library_leaves_the_rest_working(install, site, monkeypatch):
    # A module named None in sys.modules is how Python says 'not importable'.
    monkeypatch.setitem(sys.modules, "ffm_xgb.plugin", None)
    install("good")
    host = open_host("good")
    assert "xgb" in host.unavailable
    assert host.labeler().record.name == "good"
