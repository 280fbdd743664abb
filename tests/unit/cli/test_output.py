from __future__ import annotations

import datetime
import io
import json
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from ffm_core.cli.output import Shell, columns, console, emit_json, note, output_options, plain


def test_a_document_has_its_schema_first(capsys):
    emit_json("ffm-things/1", {"things": [1, 2]})
    text = capsys.readouterr().out
    assert json.loads(text) == {"schema": "ffm-things/1", "things": [1, 2]}
    assert text.index("schema") < text.index("things")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (np.float64("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([1.0, np.inf]), [1.0, None]),
        (Path("a/b"), "a/b"),
        (datetime.date(2024, 5, 1), "2024-05-01"),
        ({"b", "a"}, ["a", "b"]),
        ({1: (True, None)}, {"1": [True, None]}),
        ("ü", "ü"),
    ],
)
def test_values_become_plain_json(value, expected):
    got = plain(value)
    assert got == expected
    assert type(got) is type(expected)
    json.dumps(got, allow_nan=False)


def test_what_has_no_json_form_is_a_bug_not_a_guess():
    with pytest.raises(TypeError, match="object has no JSON form"):
        plain(object())


def test_columns_line_up_and_the_last_one_is_ragged():
    assert (
        columns([("a", "bb", "c"), ("aaa", "b", "long text")]) == "a    bb  c\naaa  b   long text"
    )
    assert columns([]) == ""


def test_notes_go_to_stderr_and_quiet_silences_them():
    @click.command()
    @output_options
    def command(as_json: bool, quiet: bool) -> None:
        note(f"progress {as_json} {quiet}")

    loud = CliRunner().invoke(command, [])
    assert (loud.stdout, loud.stderr) == ("", "progress False False\n")
    silent = CliRunner().invoke(command, ["--quiet"], obj=Shell(stdout=io.StringIO(), quiet=True))
    assert (silent.stdout, silent.stderr) == ("", "")


def test_the_console_speaks_on_stderr(capsys):
    console().print("hello")
    console(quiet=True).print("nothing")
    out, err = capsys.readouterr()
    assert out == ""
    assert "hello" in err
    assert "nothing" not in err
