"""The chores of a contributor: Makefile, hooks of git, the workflow, the matrix of Pythons."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml

from helpers.loading import load_module


@pytest.fixture(scope="module")
def matrix(docs):
    return load_module("ffm_matrix", docs.ROOT / "tests" / "matrix.py")


@pytest.fixture(scope="module")
def workflow(docs):
    text = (docs.ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


@pytest.fixture(scope="module")
def hooks(docs):
    text = (docs.ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    (ours,) = yaml.safe_load(text)["repos"]
    return {hook["id"]: hook for hook in ours["hooks"]}


@pytest.fixture
def make(docs):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")

    def run(*words):
        # Neither builds .venv nor runs what it shows.
        command = ["make", "-n", "-o", ".venv/.used", "-o", ".venv/.installed", *words]
        done = subprocess.run(command, cwd=docs.ROOT, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def recipe(docs, target):
    """Return the first line of a chore's recipe."""
    text = (docs.ROOT / "Makefile").read_text(encoding="utf-8")
    return re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)[1]


def test_every_chore_says_what_it_does(docs):
    text = (docs.ROOT / "Makefile").read_text(encoding="utf-8")
    silent = re.findall(r"^([a-z][\w-]*):(?!.*##).*$", text, re.MULTILINE)
    assert silent == []


def test_what_ci_runs_is_the_readmes_command_and_leaves_nothing_out(docs):
    script = (docs.ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.splitlines()[-2:] == ["make check", "make test"]
    assert " -m " not in recipe(docs, "test").replace("-m pytest", "")
    assert '-m "not slow"' in recipe(docs, "test-fast")


def test_the_tests_of_one_room_are_found(make):
    code, said = make("test-room", "ROOM=ruler")
    assert (code, "tests/unit/ruler" in said, '-m "not slow"' in said) == (0, True, True)
    code, said = make("test-room", "ROOM=supertrend")
    assert "plugins/ffm-strategy-supertrend/tests" in said


def test_git_runs_the_commands_of_make_check(docs, hooks):
    ours = " ".join(recipe(docs, chore) for chore in ("lint", "types", "contracts", "docs"))
    for name, hook in hooks.items():
        if name != "no-data":
            assert hook["entry"].replace(" --force-exclude", "") in ours.replace("$(BIN)/", "")
    assert len(hooks) == 6


@pytest.mark.parametrize("name", ["a.parquet", "data/bars.csv", "ffm-runs/a/run.json", "r.html"])
def test_git_refuses_data_and_reports(hooks, name):
    assert re.search(hooks["no-data"]["files"], name)


@pytest.mark.parametrize("name", ["docs/a.md", "templates/report.html.j2", "golden.json"])
def test_git_takes_pages_and_templates(hooks, name):
    assert not re.search(hooks["no-data"]["files"], name)


def test_the_workflow_covers_every_python_and_system(workflow, matrix):
    wanted = workflow["jobs"]["fast"]["strategy"]["matrix"]
    assert wanted["python"] == matrix.supported() == ["3.11", "3.12", "3.13"]
    assert {name.partition("-")[0] for name in wanted["os"]} == {"ubuntu", "windows", "macos"}
    assert workflow["permissions"] == {"contents": "read"}


def test_the_workflow_needs_no_secret(docs):
    text = (docs.ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert "secrets." not in text


def test_the_smoke_part_exists(docs, matrix):
    for name in (*matrix.SMOKE, *matrix.STRATEGIES):
        assert (docs.ROOT / name).is_dir(), name


def test_a_version_nobody_supports_is_a_mistake(matrix, capsys):
    assert matrix.main(["2.7"]) == 2
    assert "2.7 is not among 3.11, 3.12, 3.13" in capsys.readouterr().out


def test_a_version_that_was_asked_for_and_is_absent_fails(matrix, capsys, monkeypatch):
    monkeypatch.setattr(matrix, "interpreter", lambda version: None)
    assert matrix.main(["3.12"]) == 1
    assert "not installed: 3.12" in capsys.readouterr().out


def test_a_machine_without_any_version_fails(matrix, monkeypatch):
    monkeypatch.setattr(matrix, "interpreter", lambda version: None)
    assert matrix.main([]) == 1
