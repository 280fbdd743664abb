"""One bad plug-in is one clear line; everything else goes on working.

Each test runs the real program in a fresh interpreter with plug-ins installed
the way pip leaves them: a dist-info folder and a module on the path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ffm_core.hookspecs import HOOK_API

GOOD = """
from ffm_core import Decisions, Labeler, hookimpl

def decide(bars, params):
    return Decisions(bar=[], side=[], risk=[])

@hookimpl
def ffm_labelers():
    return [Labeler(name="{name}", decide=decide, horizon_bars=5, warmup_bars=3)]
"""

# name -> (code, words the one line must hold)
BROKEN = {
    "dies-at-import": ("raise RuntimeError('no licence')", ["RuntimeError: no licence"]),
    "exits-at-import": ("import sys\nsys.exit(0)", ["SystemExit: 0"]),
    "misspells": (GOOD.replace("ffm_labelers", "ffm_labellers"), ["unknown hook 'ffm_labellers'"]),
    "dies-in-hook": (
        GOOD.replace("return [", "raise KeyError('lost'); return ["),
        ["hook 'ffm_labelers'", "KeyError: 'lost'"],
    ),
    "from-the-future": (
        f"FFM_HOOK_API = {HOOK_API + 1}\n" + GOOD,
        [f"needs hook API {HOOK_API + 1}"],
    ),
}


def install(site: Path, name: str, code: str, *, distribution: str = "", folder: str = "") -> None:
    distribution = distribution or f"ffm-strategy-{name}"
    module = folder or distribution.replace("-", "_")
    info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[ffm.strategies]\n{name} = {module}\n")
    (site / f"{module}.py").write_text(code.replace("{name}", name))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One good plug-in, five broken ones, and a name that two claim."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, "good", GOOD)
    for name, (code, _) in BROKEN.items():
        install(folder, name, code)
    install(folder, "taken", GOOD, distribution="taken-by-one")
    install(folder, "taken", GOOD, distribution="taken-by-two")
    return folder


@pytest.fixture
def ffm(site: Path, tmp_path: Path):
    """Run ``ffm`` with those plug-ins installed."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(part for part in (str(site), os.environ.get("PYTHONPATH")) if part)
        return subprocess.run(
            [sys.executable, "-m", "ffm_core", *words],
            env={**os.environ, "PYTHONPATH": path, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_help_works_with_broken_plugins_installed(ffm):
    done = ffm("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "plugins" in done.stdout


def test_the_list_shows_every_fault_in_one_line(ffm):
    done = ffm("plugins", "list")
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert lines["good"].endswith("ok")
    for name, (_, words) in BROKEN.items():
        assert "broken: " in lines[name]
        assert [word for word in words if word not in lines[name]] == []
    assert "also claimed by taken-by-" in lines["taken"]


def test_the_list_as_json_holds_them_all(ffm):
    document = json.loads(ffm("plugins", "list", "--json").stdout)
    states = {}
    for item in document["plugins"]:
        states.setdefault(item["name"], []).append(item["state"])
    assert states["good"] == ["ok"]
    assert states["taken"] == ["broken", "broken"]
    assert {state for name in BROKEN for state in states[name]} == {"broken"}


def test_the_good_one_works_beside_them(ffm):
    done = ffm("plugins", "show", "good", "--json")
    plugin = json.loads(done.stdout)["plugin"]
    assert done.returncode == 0
    assert plugin["records"]["labelers"][0]["name"] == "good"


@pytest.mark.parametrize("name", BROKEN)
def test_asking_for_a_broken_one_is_one_clear_line_and_code_3(ffm, name):
    done = ffm("plugins", "show", name)
    assert done.returncode == 3
    problem, fix = done.stderr.splitlines()
    assert problem.startswith(f"error: ffm-strategy-{name} 1.2")
    assert [word for word in BROKEN[name][1] if word not in problem] == []
    assert fix.startswith("  fix: ")
    assert done.stdout == ""


def test_a_name_claimed_twice_names_both_and_ends_with_3(ffm):
    done = ffm("plugins", "show", "taken")
    assert done.returncode == 3
    assert "taken-by-one 1.2" in done.stderr
    assert "taken-by-two 1.2" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_where_it_came_from(ffm):
    done = ffm("plugins", "show", "dies-at-import", "--debug")
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert "no licence" in done.stderr


def test_a_plug_ins_own_exception_is_never_called_a_bug_of_ours(ffm):
    done = ffm("plugins", "show", "dies-at-import", FFM_STRICT="1")
    assert done.returncode == 3, done.stderr
    assert "a plug-in raised" in done.stderr
    assert "bug" not in done.stderr


def test_hidden_plugins_are_not_even_imported(ffm):
    done = ffm("plugins", "list", FFM_PLUGINS="good")
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "hidden by FFM_PLUGINS" in lines["dies-at-import"]
    assert "broken" not in done.stdout
    gone = ffm("plugins", "show", "good", FFM_PLUGINS="")
    assert gone.returncode == 2
    assert "FFM_PLUGINS='' hides it" in gone.stderr


def test_uninstalling_a_strategy_leaves_the_rest_working(ffm, site):
    install(site, "brief", GOOD)
    assert ffm("plugins", "show", "brief").returncode == 0
    for path in (*site.glob("ffm_strategy_brief*.dist-info/*"), site / "ffm_strategy_brief.py"):
        path.unlink()
    next(site.glob("ffm_strategy_brief*.dist-info")).rmdir()
    gone = ffm("plugins", "show", "brief")
    assert gone.returncode == 2
    assert "no strategy named 'brief'" in gone.stderr
    assert ffm("plugins", "show", "good").returncode == 0
