"""Fresh environments in which FFM and packages come from wheels, and nothing else of ours does."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Environment:
    """An environment and a folder to work in."""

    python: Path
    home: Path

    def ffm(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run ``ffm`` away from the repository."""
        return subprocess.run(
            [self.python.with_name("ffm"), *map(str, words)],
            cwd=self.home,
            env={**clean_environment(), "FFM_HOME": str(self.home / "ffm-home")},
            capture_output=True,
            text=True,
            check=False,
        )

    def pip(self, *words: str) -> None:
        """Run the tests' own pip on the environment, offline."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "--quiet"]
        _run([*command, "--disable-pip-version-check", *words], self.home)

    def install(self, *wheels: Path) -> None:
        """Install wheels and nothing that they ask for: it is lent already."""
        self.pip("install", "--no-index", "--no-deps", *map(str, wheels))

    @property
    def packages(self) -> Path:
        """Where packages are installed."""
        told = [self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        done = subprocess.run(told, capture_output=True, text=True, check=True)
        return Path(done.stdout.strip())


def clean_environment() -> dict[str, str]:
    """Return the variables of this process without those that would lend it our code."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "FFM_PLUGINS", "FFM_STRICT")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def wheel(project: Path, out: Path) -> Path:
    """Build the wheel of a project."""
    out.mkdir()
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    _run([*command, str(project)], out)
    return next(out.glob("*.whl"))


def make_environment(folder: Path) -> Path:
    """Make an environment that borrows every library of this one but FFM; return its Python.

    What is borrowed lies in a folder of links: editable installs of ours and what their
    metadata list stay out of it.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    python = next(place for place in folder.glob("*/python*") if place.stem == "python")
    lent = folder / "lent" / "site-packages"  # so called, or it would not pass for libraries
    lent.mkdir(parents=True)
    for place in dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib")):
        for item in Path(place).iterdir():
            ours = item.name.lstrip("_").startswith(("ffm", "editable_impl_ffm"))
            if not ours and item.suffix != ".pth":
                (lent / item.name).symlink_to(item)
    (Environment(python, folder).packages / "lent.pth").write_text(f"{lent}\n")
    return python


def _run(command: list[str], cwd: Path) -> None:
    done = subprocess.run(
        command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
