from __future__ import annotations

import errno
import json
import sys
import types
import warnings

import click
import pytest
from click.testing import CliRunner, Result

from ffm_core import errors
from ffm_core.cli import COMMANDS, main
from ffm_core.cli._shell import LazyGroup
from ffm_core.cli.output import emit_json, json_option, say

CODES = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.FFMError) and hasattr(kind, "exit_code")
}


@pytest.fixture
def group(monkeypatch):
    """A lazy group with one command, ``do``, whose body a test provides."""
    module = types.ModuleType("ffm_test_command")
    module.__spec__ = types.SimpleNamespace(name="ffm_test_command")
    monkeypatch.setitem(sys.modules, "ffm_test_command", module)

    def make(body) -> LazyGroup:
        module.command = click.command("do")(json_option(lambda as_json: body()))
        table = {
            "do": ("ffm_test_command:command", "Do it."),
        }
        return LazyGroup(name="ffm", table=table)

    return make


def run(group: click.Group, *words: str) -> Result:
    return CliRunner().invoke(group, list(words))


def raising(error: BaseException):
    def body():
        raise error

    return body


@pytest.mark.parametrize("name", CODES)
def test_every_error_has_its_documented_code_and_one_clear_line(group, name):
    error = CODES[name]("bar 7 is bad", fix="drop it")
    result = run(group(raising(error)), "do")
    assert result.exit_code == CODES[name].exit_code
    assert result.exit_code not in (0, 1)
    assert result.stderr == "error: bar 7 is bad\n  fix: drop it\n"
    assert result.stdout == ""


def test_a_bug_is_one_line_and_code_70(group):
    result = run(group(raising(ZeroDivisionError("oh\nno"))), "do")
    assert result.exit_code == 70
    assert "ZeroDivisionError: oh no" in result.stderr
    assert "Traceback" not in result.stderr
    assert "--debug" in result.stderr


@pytest.mark.parametrize("words", [("--debug", "do"), ("do", "--debug")])
def test_debug_anywhere_shows_the_traceback(group, words):
    shown = run(group(raising(ZeroDivisionError("oh no"))), *words)
    # Here the group has no such option; the traceback is shown for that as well.
    assert "Traceback" in shown.stderr


def test_debug_from_the_environment_shows_the_cause(group, monkeypatch):
    def body():
        try:
            raise KeyError("cause")
        except KeyError as error:
            raise errors.DataError("bad data") from error

    assert "cause" not in run(group(body), "do").stderr
    monkeypatch.setenv("FFM_DEBUG", "1")
    result = run(group(body), "do")
    assert result.exit_code == 4
    assert "KeyError: 'cause'" in result.stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort(), EOFError()])
def test_an_interrupt_is_130(group, error):
    result = run(group(raising(error)), "do")
    assert result.exit_code == 130
    assert "error: interrupted" in result.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["dou"], "No such command 'dou'. Did you mean 'do'?"),
        (["later"], "No such command 'later'."),
        (["do", "--jsn"], "--json"),
        (["do", "extra"], "unexpected extra argument"),
        (["--nothing"], "No such option"),
    ],
)
def test_a_wrong_command_line_is_2(group, words, text):
    result = run(group(lambda: None), *words)
    assert result.exit_code == 2
    assert text in result.stderr
    assert "--help'" in result.stderr


def test_no_click_error_ends_with_1_which_means_fail(group):
    assert run(group(raising(click.ClickException("x"))), "do").exit_code == 2
    assert run(group(raising(click.FileError("x"))), "do").exit_code == 2


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (errno.EPIPE, "stopped early"),
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "writable file system"),
    ],
)
def test_what_cannot_be_written_is_2_and_says_what_mends_it(group, code, fix):
    result = run(group(raising(OSError(code, "gone", "some/file"))), "do")
    assert result.exit_code == 2
    assert "cannot write some/file: gone" in result.stderr
    assert fix in result.stderr
    assert ("space" in result.stderr) == (code == errno.ENOSPC)


def test_another_failure_of_the_system_is_a_bug(group):
    assert run(group(raising(OSError(errno.EIO, "broken"))), "do").exit_code == 70


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (5, 5), (0, 0), (True, 0), ("x", 0)])
def test_a_command_answers_with_its_exit_code(group, answer, code):
    assert run(group(lambda: answer), "do").exit_code == code


def test_a_command_may_also_leave_through_the_context(group):
    result = run(group(lambda: click.get_current_context().exit(5)), "do")
    assert (result.exit_code, result.stderr) == (5, "")


def test_with_json_stdout_is_one_document_whatever_is_printed(group):
    def body():
        print("a plug-in talks")
        say("and so do we")
        emit_json("ffm-x/1", {"answer": 42})

    result = run(group(body), "do", "--json")
    assert json.loads(result.stdout) == {"schema": "ffm-x/1", "answer": 42}
    assert result.stderr == "a plug-in talks\nand so do we\n"


def test_with_json_a_failure_is_a_document_too(group):
    result = run(group(raising(errors.DataError("bad", fix="mend"))), "do", "--json")
    assert json.loads(result.stdout) == {
        "schema": "ffm-error/1",
        "error": {"kind": "DataError", "problem": "bad", "fix": "mend", "exit_code": 4},
    }
    assert result.exit_code == 4
    assert "error: bad" in result.stderr


def test_a_failure_after_the_document_does_not_write_a_second_one(group):
    def body():
        emit_json("ffm-x/1", {})
        raise errors.CausalityError("looks ahead")

    result = run(group(body), "do", "--json")
    assert json.loads(result.stdout) == {"schema": "ffm-x/1"}
    assert result.exit_code == 6


def test_help_is_text_even_with_json(group):
    assert "Usage" in run(group(lambda: None), "do", "--json", "--help").stdout


def test_words_behind_a_double_dash_are_not_flags(group):
    result = run(group(lambda: None), "do", "--", "--json")
    assert result.stdout == ""
    assert result.exit_code == 2


def test_warnings_of_ours_are_one_line(group):
    def body():
        warnings.warn("two bars were dropped", errors.FFMWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = run(group(body), "do")
    assert result.stderr == "warning: two bars were dropped\n"


def test_help_prints_the_table_and_imports_no_command(group):
    built = group(lambda: None)
    del sys.modules["ffm_test_command"].command
    text = run(built, "--help").stdout
    assert "Do it." in text


def test_the_table_of_ffm_is_the_public_surface():
    assert list(COMMANDS) == [
        "eval", "check", "plugins", "new", "features", "backbone", "context", "data", "runs",
        "explain", "report", "ruler",
    ]  # fmt: skip
    listed = main.list_commands(click.Context(main))
    for name in listed:
        command = main.get_command(click.Context(main), name)
        assert isinstance(command, click.Command), name
    assert {"plugins", "new"} <= set(listed)


def test_the_version_is_the_packages():
    from ffm_core import __version__

    assert run(main, "--version").stdout == f"ffm {__version__}\n"


def test_without_a_command_help_is_shown_and_it_is_a_usage_error():
    result = run(main)
    assert result.exit_code == 2
    assert "Commands:" in result.stderr
    assert "error:" not in result.stderr
