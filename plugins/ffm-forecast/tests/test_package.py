"""The package as FFM sees it: its commands, listed without being imported."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ffm_forecast.plugin import ffm_commands

from ffm_core.host.discovery import listed

NAMES = ("backbone.eval", "forecast")


def test_what_is_listed_is_offered():
    names = {name for name, found in listed("ffm_commands").items() if found[0].name == "forecast"}
    assert names == {command.name for command in ffm_commands()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_help_names_the_commands_and_imports_nothing_of_them(name):
    *above, last = name.split(".")
    code = (
        "import sys\nfrom ffm_core.cli import main\n"
        f"try:\n    main([*{above}, '--help'], prog_name='ffm')\n"
        "except SystemExit:\n    pass\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('ffm_forecast', 'numpy')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = done.stdout.split("Commands of ffm-forecast 0.1.0:\n")[1]
    assert said.split("\n")[0].strip() == last
    assert done.stdout.splitlines()[-1] == "[]"
