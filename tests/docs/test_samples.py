"""Everything the pages show is run: files, Python, commands, settings."""

from __future__ import annotations

import json
import sys
import tomllib
from types import ModuleType

import pytest

from helpers.store import lend_cache


def run_block(docs, block, folder, names, before=""):
    """Run one block; return what its last command printed."""
    if block.title:
        path = folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
    if block.is_output:
        assert docs.lines_not_said(block, before) == [], f"{block.place}:\n{before}"
    elif block.language == "python":
        exec(compile(block.text, block.place, "exec", dont_inherit=True), names)
    elif block.language in docs.SHELLS:
        for command in docs.commands(block):
            before = run_command(docs, command, folder)
    return before


def run_command(docs, command, folder):
    if command.words[0] == "make":
        targets = {word for word in command.words[1:] if "=" not in word}
        assert targets <= docs.make_targets(), command.place
    if command.words[0] in docs.NOT_RUN:
        return ""
    done = docs.run(command, folder)
    said = f"{command.place}: {' '.join(command.words)}\n{done.stdout}{done.stderr}"
    assert done.returncode in command.codes, f"{said}\nexit code {done.returncode}"
    return done.stdout + done.stderr


def test_what_a_page_shows_works(
    docs, runnable_page, tmp_path, monkeypatch, sample_files, shared_cache
):
    sample_files(runnable_page, tmp_path)
    lend_cache(docs.home(tmp_path), shared_cache)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module, said = ModuleType("__docs__"), ""
    monkeypatch.setitem(sys.modules, "__docs__", module)  # dataclasses look there
    names = module.__dict__
    for block in docs.blocks(runnable_page):
        said = run_block(docs, block, tmp_path, names, said)


def test_settings_shown_can_be_read(docs, page):
    for block in docs.blocks(page):
        if block.language == "toml":
            tomllib.loads(block.text)
        if block.language == "json":
            json.loads(block.text)


def test_every_block_names_its_language(docs, page):
    assert [block.place for block in docs.blocks(page) if not block.language] == []


def test_commands_stand_in_shell_blocks(docs, page):
    # A command in a text block would never be run. The strategies' own pages show
    # installed names, which their tests judge.
    if page.parent.parent.name == "plugins":
        return
    for block in docs.blocks(page):
        if block.language == "text":
            assert "\nffm " not in "\n" + block.text, block.place


def test_a_command_that_fails_is_noticed(docs, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```sh\nffm data check gone.csv\n```\n")
    with pytest.raises(AssertionError, match="exit code 4"):
        run_block(docs, docs.blocks(page)[0], tmp_path, {})


def test_a_stated_exit_code_is_checked(docs, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```sh\nffm data check \\\n  gone.csv  # exits with 4\n```\n")
    run_block(docs, docs.blocks(page)[0], tmp_path, {})
    page.write_text("```sh\nffm data check gone.csv  # exits with 2\n```\n")
    with pytest.raises(AssertionError, match="exit code 4"):
        run_block(docs, docs.blocks(page)[0], tmp_path, {})


def test_python_that_fails_is_noticed(docs, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nimport ffm_core\nffm_core.Nothing\n```\n")
    with pytest.raises(AttributeError):
        run_block(docs, docs.blocks(page)[0], tmp_path, {})


def test_unknown_programs_are_not_let_through(docs, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```sh\ncurl example.org\n```\n")
    with pytest.raises(AssertionError, match="no command that is checked"):
        run_block(docs, docs.blocks(page)[0], tmp_path, {})


def test_output_that_was_never_printed_is_noticed(docs, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```text output\nverdict  FAIL\nrun … of today\n```\n")
    block = docs.blocks(page)[0]
    assert docs.lines_not_said(block, "a\nverdict FAIL\nb\nrun 17 of today\n") == []
    assert docs.lines_not_said(block, "verdict PASS\nrun 17 of today\n") == ["verdict FAIL"]
    assert docs.lines_not_said(block, "run 17 of today\nverdict FAIL\n") == ["run … of today"]
