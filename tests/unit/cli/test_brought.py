"""Commands that packages bring: listed from metadata, loaded when called, blamed by name."""

from __future__ import annotations

import sys

import pytest

from ffm_core.cli import main

CODE = """
    import click
    from ffm_core import FFMError, hookimpl
    from ffm_core.errors import DataError

    @click.group()
    def group():
        "Rules of accounts."

    @group.command("list")
    def list_command():
        click.echo("two accounts")

    @click.command()
    @click.argument("how")
    def command(how):
        "Do as told."
        if how == "data":
            raise DataError("no such account", fix="name another")
        if how == "usage":
            raise click.UsageError("not like this")
        if how == "leave":
            click.get_current_context().exit(5)
        if how == "fall":
            raise KeyError("beam")
        click.echo(how)

    LOADS = {"account": lambda: group, "backbone.prune": lambda: command, "odd": lambda: 7}

    @hookimpl
    def ffm_commands():
        from ffm_core.records import Command
        return [Command(name=name, summary="s", load=load) for name, load in LOADS.items()]
"""


@pytest.fixture
def package(install):
    def make(*names, name="accounts", code=CODE):
        module = f"ffm_test_ffm_{name}"
        rows = "".join(f"{one} = {module}\n" for one in names)
        entries = f"[ffm.extensions]\n{name} = {module}\n[ffm.commands]\n{rows}"
        return install(name, code, distribution=f"ffm-{name}", entries=entries)

    return make


@pytest.fixture
def ffm(capsys):
    def run(*words):
        for group in (main, main.get_command(None, "backbone")):
            group._found = None  # a process sees one set of packages; a test installs more
        with pytest.raises(SystemExit) as left:
            main(list(words))
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    yield run
    main._found = main.get_command(None, "backbone")._found = None


def test_help_lists_what_metadata_say_and_imports_nothing(package, ffm):
    module = package("account", "backbone.prune", code="raise RuntimeError('imported')")
    code, out, _ = ffm("--help")
    assert code == 0
    assert "Commands of ffm-accounts 1.2:\n  account" in out
    assert "prune" not in out
    assert "Commands of ffm-accounts 1.2:\n  prune" in ffm("backbone", "--help")[1]
    assert module not in sys.modules


def test_a_command_and_a_group_run(package, ffm):
    package("account", "backbone.prune")
    assert ffm("account", "list") == (0, "two accounts\n", "")
    assert ffm("backbone", "prune", "here") == (0, "here\n", "")
    assert "Do as told." in ffm("backbone", "prune", "--help")[1]


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("data", 4, "error: no such account\n  fix: name another"),
        ("usage", 2, "error: not like this"),
        ("leave", 5, ""),
        ("fall", 3, "error: ffm-accounts 1.2: command 'backbone prune': KeyError: 'beam' (ffm_"),
    ],
)
def test_what_goes_wrong_has_its_code_and_its_author(package, ffm, how, code, said):
    package("backbone.prune")
    found = ffm("backbone", "prune", how)
    assert found[0] == code
    assert said in found[2]


def test_what_loads_something_else_is_named(package, ffm):
    package("odd")
    code, _, err = ffm("odd")
    assert (code, "command 'odd' is a int" in err) == (3, True)


def test_a_listed_command_that_is_not_offered_is_unknown(package, ffm):
    package("missing")
    code, _, err = ffm("missing")
    assert (code, "there is no command named 'missing'" in err) == (2, True)


def test_our_own_commands_cannot_be_taken_over(package, ffm):
    package("eval", "backbone.list", code="raise RuntimeError('imported')")
    assert "Judge a strategy" in ffm("eval", "--help")[1]
    assert "Commands of ffm-accounts" not in ffm("--help")[1]
    assert "List the backbones" in ffm("backbone", "list", "--help")[1]


def test_two_packages_with_one_command_are_a_conflict(package, ffm):
    package("account")
    package("account", name="others")
    code, _, err = ffm("account")
    assert (code, "provided by ffm-" in err) == (3, True)


def test_a_near_miss_is_suggested(package, ffm):
    package("account")
    assert "Did you mean 'account'?" in ffm("acount")[2]


@pytest.mark.parametrize(
    ("words", "name", "package"),
    [
        (("forecast", "--demo"), "forecast", "ffm-forecast"),
        (("backbone", "eval", "ets", "--demo"), "backbone eval", "ffm-forecast"),
        (("backbone", "pretrain", "--out", "x"), "backbone pretrain", "ffm-backbone-training"),
    ],
)
def test_a_package_of_the_project_that_is_absent_is_named(ffm, monkeypatch, words, name, package):
    monkeypatch.setattr("ffm_core.cli._shell.names_listed", lambda hook: set())
    code, _, err = ffm(*words)
    assert code == 7
    assert err == (
        f"error: command '{name}' comes with {package}, which is not installed\n"
        f"  fix: pip install {package}\n"
    )
