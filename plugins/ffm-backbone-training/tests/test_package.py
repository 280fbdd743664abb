"""The package as FFM sees it: its commands, listed without being imported."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from ffm_backbone_training.plugin import ffm_commands

from ffm_core.bars.simulate import market
from ffm_core.cli import main
from ffm_core.host.discovery import listed

NAMES = ("ab", "eval-synthetic", "finetune", "pretrain")


def ffm(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0), capsys.readouterr()


def test_what_is_listed_is_offered():
    names = {name for name, found in listed("ffm_commands").items()
             if found[0].name == "backbone-training"}  # fmt: skip
    assert names == {command.name for command in ffm_commands()}
    assert names == {f"backbone.{name}" for name in NAMES}


def test_help_names_the_commands_and_imports_nothing_of_them():
    code = (
        "import sys\nfrom ffm_core.cli import main\n"
        "try:\n    main(['backbone', '--help'], prog_name='ffm')\n"
        "except SystemExit:\n    pass\n"
        "print([name for name in sys.modules if name.split('.')[0] in "
        "('ffm_backbone_training', 'numpy', 'torch')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Commands of ffm-backbone-training" in done.stdout
    assert all(name in done.stdout for name in NAMES)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_each_command_has_its_help(capsys, name):
    code, said = ffm(capsys, "backbone", name, "--help")
    assert code == 0
    assert f"ffm backbone {name}" in said.out or f"backbone {name}" in said.out


def test_held_out_series_are_scored_beside_the_controls(capsys):
    words = ("backbone", "eval-synthetic", "drift", "--rows", 12, "--context", 64, "--json")
    code, said = ffm(capsys, *words)
    assert code == 0
    found = json.loads(said.out)
    assert [row["stream"] for row in found["streams"]] == [
        "synthetic, price-like", "synthetic, generic"]  # fmt: skip
    assert {row["forecaster"] for row in found["scores"]} >= {"drift", "naive_last"}


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_fine_tuning_that_writes_nothing_does_not_end_as_if_it_had(
    capsys, monkeypatch, tmp_path, words
):
    monkeypatch.setattr("ffm_backbone_training.finetune.finetune", lambda *_, **__: None)
    bars = tmp_path / "SIMA1_1h.parquet"
    market("SIMA1", months=2, timeframe="1h").frame.write_parquet(bars)
    asked = ("backbone", "finetune", "ffm-bolt-synth", "--name", "mine", "--data", bars, *words)
    code, said = ffm(capsys, *asked)
    assert code == 7
    assert json.loads(said.out)["backbone"] is None if words else "nothing was written" in said.out
