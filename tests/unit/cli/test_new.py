from __future__ import annotations

import json

from click.testing import CliRunner

from ffm_core.cli import main


def test_new_writes_a_package_and_says_what_next(tmp_path):
    result = CliRunner().invoke(main, ["new", "strategy", "zebra", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "ffm-strategy-zebra" / "pyproject.toml").is_file()
    assert "ffm eval zebra --demo" in result.stdout


def test_new_as_json_names_every_file(tmp_path):
    words = ["new", "strategy", "zebra", "--private", "--json", "--out", str(tmp_path)]
    document = json.loads(CliRunner().invoke(main, words).stdout)
    assert (document["schema"], document["private"]) == ("ffm-new/1", True)
    assert "pyproject.toml" in document["files"]


def test_new_refuses_a_bad_name_and_an_existing_folder(tmp_path):
    words = ["new", "strategy", "zebra", "--out", str(tmp_path)]
    assert CliRunner().invoke(main, words).exit_code == 0
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 2
    assert "already exists" in again.stderr
    assert CliRunner().invoke(main, ["new", "strategy", "Ze Bra"]).exit_code == 2
    forced = CliRunner().invoke(main, [*words, "--force"])
    assert forced.exit_code == 0
    assert "the old folder was moved to" in forced.stderr
