"""Flags of ``ffm eval`` that may be given more than once."""

from __future__ import annotations

import pytest

from ffm_core.cli.eval import command


@pytest.mark.parametrize("flag", ["ablate", "features"])
def test_a_flag_given_twice_is_a_list(flag):
    words = ["supertrend", f"--{flag}", "a,b", f"--{flag}", "c"]
    assert command.make_context("eval", words).params[flag] == "a,b,c"
    assert command.make_context("eval", ["supertrend"]).params[flag] is None
