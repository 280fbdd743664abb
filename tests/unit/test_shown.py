"""Names from records, packages and files are shown, and never steer the terminal."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner

from ffm_core.cli import main
from ffm_core.cli.output import columns, note, page, say
from ffm_core.errors import DataError
from ffm_core.runs.canonical import sha256_json
from helpers import simulated_runs as runs

EVIL = (
    "x\nPASS\r\x1b[2J\x1b[32mPASS\x1b]0;t\x07\x9b1A\x85\u202ekcattA\u2066\u200b\u2028PASS\x00\x08"
)
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def ffm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(main, args, prog_name="ffm")


def assert_tame(text):
    assert not OBEYED.search(text)
    assert not [line for line in text.splitlines() if line.startswith("PASS")]


def poisoned(value):
    """Put the text into every string of a record but those that have to be one of a few."""
    if isinstance(value, dict):
        fixed = {"kind", "outcome", "decision", "schema", "name", "started", "claim"}
        return {k: v if k in fixed else poisoned(v) for k, v in value.items()}
    if isinstance(value, list):
        return [poisoned(item) for item in value]
    return f"{value}{EVIL}" if isinstance(value, str) else value


@pytest.fixture
def hostile(tmp_path):
    """Return the folder of a run whose texts are all hostile, hashes made anew."""
    run = runs.full(shift=-0.1)
    result = poisoned(run["result"])
    result["strategy"]["name"] = EVIL
    envelope = {**poisoned(run["envelope"]), "files": {}}
    folder = tmp_path / "ffm-runs" / "one"
    folder.mkdir(parents=True)
    record = {"schema": run["schema"], "result": result, "result_hash": sha256_json(result),
              "envelope": envelope}  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize(
    "words",
    [("runs", "list"), ("runs", "show", "one"), ("runs", "verify"), ("report", "one"),
     ("runs", "compare", "one", "one"), ("runs", "show", EVIL[:60]), ("explain", "one"),
     ("eval", f"./{EVIL}.py", "--demo"), (EVIL,), ("data", "check", EVIL.replace("\x00", ""))],
    ids=lambda words: " ".join(words)[:16],
)  # fmt: skip
@pytest.mark.parametrize("more", [(), ("--json",), ("--debug",)], ids=str)
def test_no_command_prints_what_a_terminal_obeys(ffm, hostile, words, more):
    done = ffm(*words, *more)
    assert done.exit_code != 70, done.stderr
    assert_tame(done.stdout)
    if more != ("--debug",):
        assert_tame(done.stderr)
    assert not OBEYED.search(done.stderr)


def test_a_header_of_a_file_is_tame(ffm, tmp_path):
    (tmp_path / "ES.csv").write_text(f"ts,{json.dumps(EVIL)},open\n1,2,3\n", encoding="utf-8")
    done = ffm("data", "check", "ES.csv")
    assert done.exit_code == 4
    assert_tame(done.stderr)


def test_everything_printed_goes_through_one_place(capsys):
    say(EVIL)
    note(EVIL)
    say(columns([("a", EVIL), (EVIL, "b")]))
    say(page(["one", EVIL, columns([(EVIL,)])]))
    said = capsys.readouterr()
    assert_tame(said.out + said.err)
    assert len(said.out.splitlines()) == 6


def test_json_is_the_same_document(ffm, hostile):
    done = ffm("runs", "show", "one", "--json")
    assert json.loads(done.stdout)["result"]["strategy"]["name"] == EVIL


def test_an_error_is_two_lines_whatever_it_says(ffm, monkeypatch):
    def fail(*_args, **_named):
        raise DataError(EVIL, fix=EVIL)

    monkeypatch.setattr("ffm_core.cli.runs.list_runs", fail)
    done = ffm("runs", "list")
    assert len(done.stderr.splitlines()) == 2
    assert_tame(done.stderr)


def test_names_of_packages_are_tame(ffm, monkeypatch):
    from ffm_core.host import facts

    found = facts.survey(load=False)
    evil = [replace(fact, version=EVIL, reason=EVIL) for fact in found]
    monkeypatch.setattr(facts, "survey", lambda load: evil)
    assert_tame(ffm("plugins", "list", "--no-load").stdout)
