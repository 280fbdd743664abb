"""A private strategy: built outside the repository, installed beside FFM, removed.

The environment is a fresh one. FFM and the strategies come from wheels, their
dependencies from the environment that runs the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from ffm_core.host.scaffold import new_strategy

# Words that must show up in no artefact: columns, parameters, modules.
SECRETS = ("channel_width", "break_size", "entry_bars", "stop_atr", "ffm_strategy_night_owl")


@dataclass(frozen=True)
class Fresh:
    """A fresh environment with FFM, SuperTrend and a private strategy installed."""

    python: Path
    private_wheel: Path
    core_wheel: Path
    home: Path

    def ffm(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``ffm`` away from the repository."""
        return subprocess.run(
            [self.python.with_name("ffm"), *words],
            cwd=self.home,
            env={**_clean_environment(), "FFM_HOME": str(self.home / "ffm-home")},
            capture_output=True,
            text=True,
            check=False,
        )

    def pip(self, *words: str) -> None:
        """Run the tests' own pip on the fresh environment, offline."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "--quiet"]
        _run([*command, "--disable-pip-version-check", *words], self.home)


def _clean_environment() -> dict[str, str]:
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "FFM_PLUGINS", "FFM_STRICT")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def _run(command: list[str], cwd: Path) -> None:
    done = subprocess.run(
        command, cwd=cwd, env=_clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _wheel(project: Path, out: Path) -> Path:
    out.mkdir()
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    _run([*command, str(project)], out)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Fresh:
    root = tmp_path_factory.mktemp("fresh")
    project = new_strategy("night-owl", parent=root / "elsewhere", private=True).folder
    private = _wheel(project, root / "private")
    core = _wheel(repository, root / "core")
    other = _wheel(repository / "plugins" / "ffm-strategy-supertrend", root / "other")
    venv.create(root / "env", with_pip=False, symlinks=True)
    made = Fresh(root / "env" / "bin" / "python", private, core, root)
    purelib = subprocess.run(
        [made.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    # A plain path in a .pth file lends the dependencies without the editable
    # installs beside them, so that FFM itself can only come from its wheel.
    lent = "\n".join(dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib")))
    (Path(purelib) / "lent.pth").write_text(lent + "\n")
    made.pip("install", "--no-index", "--no-deps", str(core), str(other), str(private))
    return made


def test_ffm_comes_from_its_wheel(fresh):
    done = subprocess.run(
        [fresh.python, "-c", "import ffm_core; print(ffm_core.__file__)"],
        cwd=fresh.home, env=_clean_environment(), capture_output=True, text=True, check=True,
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


def test_after_uninstalling_it_all_else_works(fresh):
    fresh.pip("uninstall", "--yes", "ffm-strategy-night-owl")
    try:
        gone = fresh.ffm("plugins", "show", "night-owl")
        assert gone.returncode == 2
        assert "no strategy named 'night-owl' is installed" in gone.stderr
        assert fresh.ffm("--help").returncode == 0
        assert fresh.ffm("plugins", "show", "supertrend").returncode == 0
    finally:
        fresh.pip("install", "--no-index", "--no-deps", str(fresh.private_wheel))
