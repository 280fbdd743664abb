"""A private strategy: built outside the repository, installed beside FFM, removed.

The environment is a fresh one. FFM and the strategies come from wheels, their
dependencies from the environment that runs the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from ffm_core.host.scaffold import new_strategy
from helpers.environments import Environment, clean_environment, make_environment, wheel
from helpers.reading import everything_said

pytestmark = pytest.mark.slow  # whole evaluations

# What must show up in no artefact: columns, parameters and a value of one, what
# describes them, modules and files. The name of the strategy itself is public.
SECRETS = (
    "channel_width", "break_size", "bar_range", "entry_bars", "stop_atr", "hindsight", "2.71875",
    "Channel breakouts", "height of the channel", "ffm_strategy_night_owl", "labeler.py",
)  # fmt: skip

# Two ways to misbehave, for those who set the new parameter.
MISBEHAVE = """    if params["hindsight"] == 9:
        raise ValueError(f"channel_width is odd with entry_bars={params['entry_bars']}")
    upper = np.roll(upper, -int(params["hindsight"]))
"""


@dataclass(frozen=True)
class Fresh(Environment):
    """A fresh environment with FFM, SuperTrend and a private strategy installed."""

    private_wheel: Path
    core_wheel: Path


def _teach_to_misbehave(labeler: Path) -> None:
    code = labeler.read_text()
    for before, more in (
        ("PARAMS = (\n", '    Param(name="hindsight", default=0, minimum=0, maximum=9),\n'),
        ('window_bars=int(params["entry_bars"]))\n', MISBEHAVE),
    ):
        assert code.count(before) == 1
        code = code.replace(before, before + more)
    labeler.write_text(code)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Fresh:
    root = tmp_path_factory.mktemp("fresh")
    project = new_strategy("night-owl", parent=root / "elsewhere", private=True).folder
    _teach_to_misbehave(project / "src" / "ffm_strategy_night_owl" / "labeler.py")
    private = wheel(project, root / "private")
    core = wheel(repository, root / "core")
    other = wheel(repository / "plugins" / "ffm-strategy-supertrend", root / "other")
    made = Fresh(make_environment(root / "env"), root, private, core)
    made.install(core, other, private)
    return made


def test_ffm_comes_from_its_wheel(fresh):
    done = subprocess.run(
        [fresh.python, "-c", "import ffm_core; print(ffm_core.__file__)"],
        cwd=fresh.home, env=clean_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(fresh.home / "env") in done.stdout


def test_the_core_wheel_holds_the_template_and_nothing_of_a_strategy(fresh, repository):
    names = zipfile.ZipFile(fresh.core_wheel).namelist()
    template = repository / "ffm_core" / "host" / "template"
    shipped = {name for name in names if name.startswith("ffm_core/host/template/")}
    assert shipped == {
        path.relative_to(repository).as_posix() for path in template.rglob("*") if path.is_file()
    }
    assert "ffm_core/py.typed" in names
    assert [name for name in names if name.startswith(("tests/", "plugins/"))] == []


def test_a_private_wheel_cannot_be_uploaded_by_mistake(fresh):
    wheel = zipfile.ZipFile(fresh.private_wheel)
    [metadata] = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    assert b"Classifier: Private :: Do Not Upload" in wheel.read(metadata)


def test_the_private_strategy_is_found_and_its_names_are_hidden(fresh):
    for words in (["plugins", "show", "night-owl"], ["plugins", "show", "night-owl", "--json"],
                  ["plugins", "list", "--json"]):  # fmt: skip
        done = fresh.ffm(*words)
        assert done.returncode == 0, done.stderr
        assert "night-owl" in done.stdout
        assert [secret for secret in SECRETS if secret in done.stdout + done.stderr] == []


def test_a_public_one_is_shown_in_full(fresh):
    document = json.loads(fresh.ffm("plugins", "show", "supertrend", "--json").stdout)
    assert document["plugin"]["module"] == "ffm_strategy_supertrend.plugin"


def test_the_installed_program_writes_new_packages(fresh, tmp_path):
    done = fresh.ffm("new", "strategy", "early-bird", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ffm-strategy-early-bird" / "tests" / "test_contract.py").is_file()


def leaks(fresh: Fresh, done: subprocess.CompletedProcess[str], runs: Path | None = None) -> list:
    """Return private names, and folders of this machine, that got out."""
    said = {"stdout": done.stdout, "stderr": done.stderr}
    said |= everything_said(runs) if runs else {}
    for path in (fresh.home / "ffm-home").glob("ledger*"):
        said[path.name] = path.read_bytes().decode("latin-1")
    hidden = (*SECRETS, str(fresh.home), str(Path.home()) + "/")
    return [(place, word) for place, text in said.items() for word in hidden if word in text]


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ([], {1, 5}),
        (["--learner", "none", "--json"], {1, 5}),
        (["--learner", "none", "--set", "hindsight=2"], {6}),
    ],
    ids=["selection", "trigger", "refused"],
)
def test_judging_it_leaves_no_private_name_anywhere(fresh, quiet_market, tmp_path, words, codes):
    out = os.path.relpath(tmp_path / "runs", fresh.home)
    settings = ["--set", "stop_atr=2.71875", "--set", "entry_bars=23", "--to", "2023-03-31"]
    done = fresh.ffm("eval", "night-owl", "--data", str(quiet_market[0]), "--out", out,
                     "--jobs", "1", *settings, *words)  # fmt: skip
    assert done.returncode in codes, done.stderr
    [folder] = (tmp_path / "runs").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        "decisions.parquet", "report.html", "run.json", "trades.parquet",
    ]  # fmt: skip
    record = json.loads((folder / "run.json").read_text())
    assert len(record["result"]["strategy"]["params"]) == 5  # how many is no secret
    if codes == {6}:
        assert record["result"]["certificate"]["failures"][0]["column"].startswith("private_")
    assert leaks(fresh, done, tmp_path / "runs") == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--set", "entry_bras=23"], 2),
        (["--set", "stop_atr=-2.71875"], 2),
        (["--set", "hindsight=9"], 3),
        (["--set", "hindsight=9", "--json"], 3),
        (["--set", "entry_bars=23", "--data", "absent.csv"], 4),
    ],
)
def test_errors_name_nothing_private_either(fresh, quiet_market, words, code):
    data = [] if "--data" in words else ["--data", str(quiet_market[0])]
    done = fresh.ffm("eval", "night-owl", *data, "--learner", "none", "--jobs", "1", *words)
    assert done.returncode == code, done.stderr
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
    typed = {word.partition("=")[0] for word in words}  # what the user typed comes back
    assert [leak for leak in leaks(fresh, done) if leak[1] not in typed] == []


def test_the_search_for_private_names_finds_them(fresh, quiet_market):
    """With --debug and --reveal the author sees everything: the search must find something."""
    done = fresh.ffm("eval", "night-owl", "--data", str(quiet_market[0]), "--learner", "none",
                     "--jobs", "1", "--set", "hindsight=9", "--debug", "--reveal")  # fmt: skip
    found = {word for _, word in leaks(fresh, done)}
    assert {"ffm_strategy_night_owl", "labeler.py", "channel_width"} <= found


def test_after_uninstalling_it_all_else_works(fresh, quiet_market):
    fresh.pip("uninstall", "--yes", "ffm-strategy-night-owl")
    try:
        gone = fresh.ffm("plugins", "show", "night-owl")
        assert gone.returncode == 2
        assert "no strategy named 'night-owl' is installed" in gone.stderr
        assert fresh.ffm("--help").returncode == 0
        assert fresh.ffm("plugins", "show", "supertrend").returncode == 0
        words = ("--learner", "none", "--jobs", "1", "--out", "after")
        # Two markets: one alone has too few months for a fold.
        data = [word for path in quiet_market for word in ("--data", str(path))]
        judged = fresh.ffm("eval", "supertrend", *data, *words)
        assert judged.returncode in (1, 5), judged.stderr
        assert fresh.ffm("runs", "verify", "--out", "after").returncode == 0
    finally:
        fresh.install(fresh.private_wheel)
