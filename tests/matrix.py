"""Run a smoke part of the tests on every supported Python that is installed.

``python tests/matrix.py`` builds the wheels once, installs them into a fresh environment
per version, judges a strategy and runs the tests named in :data:`SMOKE`. Versions that are
not installed are named and left out; a version that fails makes the exit code 1, and so
does a machine that has none of them. ``python tests/matrix.py 3.12 3.13`` asks for some
versions alone; those must be there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "pandas", "psutil")
SMOKE = ("tests/unit/host", "tests/unit/labels", "tests/unit/report", "tests/unit/runs",
         "plugins/ffm-strategy-supertrend/tests")  # fmt: skip
STRATEGIES = ("plugins/ffm-strategy-supertrend",)
COMMANDS = (
    ("plugins", "list"),
    ("eval", "supertrend", "--demo", "--learner", "none", "--features", "trivial8", "--quiet"),
)
VERDICTS = {0, 1, 5}


def supported(pyproject: Path = ROOT / "pyproject.toml") -> list[str]:
    """Return the Python versions the package says it supports, oldest first."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    found = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    return sorted(found, key=lambda version: int(version.partition(".")[2]))


def interpreter(version: str) -> Path | None:
    """Return a Python of this version: from the path, from pyenv, or from Windows' launcher."""
    tried = [shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    tried += [str(place) for place in sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)]
    if launcher := shutil.which("py"):
        told = _run([launcher, f"-{version}", "-c", "import sys; print(sys.executable)"])
        tried.append(told.stdout.strip() if told.returncode == 0 else None)
    for place in filter(None, tried):
        told = _run([place, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"])
        if told.returncode == 0 and told.stdout.strip() == version:
            return Path(place)
    return None


def _run(command: list[str | Path], **options: object) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [str(word) for word in command], text=True, capture_output=True, check=False, **options
        )
    except OSError as error:  # a shim of a version that is gone
        return subprocess.CompletedProcess(command, 127, "", str(error))


def wheels(folder: Path) -> list[Path]:
    """Build the core and the strategies the smoke part needs."""
    for project in (ROOT, *(ROOT / name for name in STRATEGIES)):
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, project]
        done = _run(command)
        if done.returncode:
            sys.exit(f"error: cannot build {project.name}\n{done.stdout}{done.stderr}")
    return sorted(folder.glob("*.whl"))


def smoke(version: str, python: Path, built: list[Path], folder: Path) -> str:
    """Install and try the project on one Python; return what went wrong, or nothing."""
    bin_folder = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    core, *others = sorted(built, key=lambda wheel: not wheel.name.startswith("ffm_core"))
    pip = [bin_folder / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
           "-c", ROOT / "constraints.txt"]  # fmt: skip
    own = {
        **os.environ,
        "FFM_HOME": str(folder / "home"),
        "NUMBA_CACHE_DIR": str(folder / "numba"),
        "PYTHONPATH": "",
    }
    steps: list[tuple[list[str | Path], Path, set[int]]] = [
        ([python, "-m", "venv", folder / "env"], folder, {0}),
        ([*pip, f"{core}[xgb]", *others, *TOOLS], folder, {0}),
        *(([bin_folder / "ffm", *words], folder, VERDICTS) for words in COMMANDS),
        # Not `python -m pytest`: that would put the checkout before the installed wheels.
        ([bin_folder / "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *SMOKE], ROOT, {0}),
    ]
    for words, place, good in steps:
        done = _run(words, cwd=place, env=own)
        if done.returncode not in good:
            said = (done.stdout + done.stderr)[-4000:]
            return f"{' '.join(map(str, words))} ended with {done.returncode}\n{said}"
    return ""


def main(asked: list[str]) -> int:
    """Try every version; return the exit code."""
    known = supported()
    if unknown := set(asked) - set(known):
        print(f"error: {', '.join(sorted(unknown))} is not among {', '.join(known)}")
        return 2
    pythons = {version: interpreter(version) for version in asked or known}
    if asked and None in pythons.values():
        print("error: not installed:", ", ".join(v for v, p in pythons.items() if p is None))
        return 1
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="ffm-matrix-") as place:
        folder = Path(place)
        built = wheels(folder / "wheels") if any(pythons.values()) else []
        for version, python in pythons.items():
            if python is None:
                print(f"{version}  not installed", flush=True)
                continue
            began = time.monotonic()
            (folder / version).mkdir()
            wrong = smoke(version, python, built, folder / version)
            outcomes.append(not wrong)
            seconds = time.monotonic() - began
            print(
                f"{version}  {'FAILED' if wrong else 'ok'}  {seconds:.0f} s  {python}", flush=True
            )
            if wrong:
                print(wrong, flush=True)
    return 0 if outcomes and all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
