from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from ffm_core.cli import main
from ffm_core.cli._complete import complete_extensions, complete_strategies


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def idea(tmp_path):
    path = tmp_path / "idea.py"
    path.write_text(
        "print('loading')\n"
        "from ffm_core import Column, Labeler, Param\n"
        "LABELER = Labeler(name='idea', decide=print, horizon_bars=5, warmup_bars=3,\n"
        "                  columns=(Column(name='edge', unit='ATR'),),\n"
        "                  params=(Param(name='lookback', default=7, description='bars'),))\n"
    )
    return str(path)


def test_the_list_is_one_document_with_states():
    document = json.loads(run("plugins", "list", "--json").stdout)
    assert document["schema"] == "ffm-plugins/1"
    xgb = next(item for item in document["plugins"] if item["name"] == "xgb")
    assert set(xgb) == {
        "name", "kind", "distribution", "version", "builtin", "state", "reason", "hooks",
        "hook_api",
    }  # fmt: skip
    assert (xgb["builtin"], xgb["distribution"]) == (True, "ffm-core")


def test_the_list_is_a_table_for_people():
    head, *rows = run("plugins", "list", "--no-load").stdout.splitlines()
    assert head.split() == ["NAME", "KIND", "DISTRIBUTION", "HOOKS", "STATE"]
    assert any("ffm-core" in row and "(built in)" in row and "not loaded" in row for row in rows)


def test_show_describes_a_file_for_people(idea):
    text = run("plugins", "show", idea).stdout
    for part in ("idea.py", "hook API", "--set lookback=7", "column edge", "ATR", "history bars"):
        assert part in text


def test_show_keeps_what_a_plugin_prints_out_of_the_document(idea):
    result = run("plugins", "show", idea, "--json")
    plugin = json.loads(result.stdout)["plugin"]
    assert plugin["records"]["labelers"][0]["params"][0]["name"] == "lookback"
    assert "loading" in result.stderr


def test_show_of_an_unknown_name_is_a_usage_error():
    result = run("plugins", "show", "nowhere-to-be-found")
    assert result.exit_code == 2
    assert "error: no strategy named 'nowhere-to-be-found' is installed" in result.stderr


def test_show_of_a_broken_file_is_a_plugin_error(tmp_path):
    (tmp_path / "bad.py").write_text("1 / 0\n")
    result = run("plugins", "show", str(tmp_path / "bad.py"))
    assert result.exit_code == 3
    assert "ZeroDivisionError" in result.stderr
    assert len(result.stderr.splitlines()) == 2


def test_completion_offers_names_and_hides_built_ins(monkeypatch):
    monkeypatch.setenv("FFM_PLUGINS", "")
    assert complete_strategies(None, None, "") == []
    assert complete_extensions(None, None, "") == []


@pytest.mark.parametrize(
    ("words", "offered"),
    [("eval super", "plain,supertrend"), ("check super", "plain,supertrend"),
     ("eval supertrend --with qe", "plain,qe150"), ("eval idea", "file,idea")],
)  # fmt: skip
def test_the_shell_is_offered_names_and_files(words, offered):
    shell = subprocess.run(
        [sys.executable, "-m", "ffm_core"],
        env={**os.environ, "_FFM_COMPLETE": "bash_complete", "COMP_WORDS": f"ffm {words}",
             "COMP_CWORD": str(len(words.split()))},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert offered in shell.stdout.splitlines()
