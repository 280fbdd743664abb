"""Files that do not end, and machines that are too small, have a line of their own."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from ffm_core.cli import main


@pytest.fixture
def ffm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(main, args, prog_name="ffm")


@pytest.mark.parametrize(
    "words",
    [
        ("eval", "supertrend", "--demo", "--config", "/dev/zero"),
        ("eval", "supertrend", "--demo", "--checks", "/dev/zero"),
        ("eval", "supertrend", "--data", "ES=/dev/zero"),
        ("data", "check", "ES=/dev/zero", "--instruments", "/dev/zero"),
        ("runs", "verify", "--head", "/dev/zero"),
    ],
    ids=lambda words: " ".join(words[:2] + words[-2:]),
)
def test_a_device_that_never_ends_is_an_error(ffm, words):
    done = ffm(*words)
    assert done.exit_code in (2, 4)
    assert "fix:" in done.stderr


def test_no_memory_is_not_called_a_bug(ffm, monkeypatch):
    def full(*_args, **_named):
        raise MemoryError

    monkeypatch.setattr("ffm_core.cli.runs.list_runs", full)
    done = ffm("runs", "list")
    assert done.exit_code == 7
    assert "not enough memory" in done.stderr
    assert "bug" not in done.stderr
