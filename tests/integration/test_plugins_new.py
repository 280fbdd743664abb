"""``ffm new strategy``: what it writes passes its own tests at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ffm_core.host.scaffold import new_strategy

LABELER = "src/ffm_strategy_zebra_drive/labeler.py"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_strategy("zebra-drive", parent=tmp_path_factory.mktemp("new")).folder


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=cwd, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def own_tests(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run("pytest", "-q", "-p", "no:cacheprovider", *words, cwd=folder)


def test_a_new_package_passes_its_own_tests(package):
    done = own_tests(package)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("close > upper", "np.roll(close, -1) > upper", "test_contract"),
        ('name="zebra-drive"', 'name="other"', "test_plugin"),
    ],
    ids=["looks ahead", "wrong name"],
)
def test_its_tests_notice_when_the_rule_is_broken(package, tmp_path, old, new, check):
    folder = tmp_path / "copy"
    shutil.copytree(package, folder)
    source = (folder / LABELER).read_text()
    assert old in source
    (folder / LABELER).write_text(source.replace(old, new))
    done = own_tests(folder, "-x", "-p", "no:randomly", f"tests/{check}.py")
    assert done.returncode == 1, done.stdout + done.stderr


def test_a_new_package_is_tidy(package):
    # Isolated: the rules must hold where the author has no configuration of ours.
    rules = "--select=E,F,W,I,UP,B,SIM,RUF,PTH,PT,C4,RET,PERF,NPY"
    common = ["--isolated", "--no-cache", "--line-length=100", "--target-version=py311"]
    for words in (
        ["check", rules, "--ignore=RUF001,RUF002,RUF003"],
        ["check", "--select=D,ANN", "--config=lint.pydocstyle.convention='numpy'", "src"],
        ["format", "--check"],
    ):
        done = run("ruff", words[0], *common, *words[1:], cwd=package)
        assert done.returncode == 0, done.stdout + done.stderr
