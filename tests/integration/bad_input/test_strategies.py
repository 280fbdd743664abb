"""Strategies of one file that are none, or break on the way."""

from __future__ import annotations

import pytest

LABELER = """from ffm_core import Decisions, Labeler

NONE = Decisions(bar=[], side=[], risk=[])

{body}

LABELER = Labeler(name="idea", decide=decide, horizon_bars=5, warmup_bars=3)
"""


def labeler(body: str) -> str:
    return LABELER.format(body=body)


def returns(decisions: str) -> str:
    return labeler(
        f"def decide(bars, params):\n    return NONE if len(bars) < 60 else Decisions({decisions})"
    )


# what the file holds, what the answer says, how it can be mended
FILES = {
    "syntax error": ("def decide(bars, params)\n    pass\n",
                     r"SyntaxError: expected ':' \(idea.py:1\)$", "correct the file"),
    "missing library": ("import nosuchlibrary\n",
                        r"No module named 'nosuchlibrary' \(idea.py:1\)", "correct the file"),
    "raises": ("raise RuntimeError('one\\ntwo')\n", r"RuntimeError: one two \(idea.py:1\)",
               "correct the file"),
    "leaves": ("import sys\nsys.exit(0)\n", r"SystemExit: 0 \(idea.py:2\)", "correct the file"),
    "no text": (b"\x00\x01\xff", "idea.py .*failed to load", "correct the file"),
    "empty": ("", "declares no hook", "define LABELER in the file"),
    "another labeler": ("LABELER = 5\n", "LABELER is a int, expected a Labeler", "ffm_core.Lab"),
    "misspelt hook": ("from ffm_core import hookimpl\n\n@hookimpl\ndef ffm_labellers():\n    pass",
                      "unknown hook 'ffm_labellers'", "did you mean 'ffm_labelers'"),
    "newer API": ("FFM_HOOK_API = 99\n" + labeler("decide = None"), "needs hook API 99",
                  "upgrade ffm-core"),
    "decides nothing": (labeler("def decide(bars, params):\n    return None"),
                        "labeler 'idea': decide on .* returned NoneType", "return ffm_core.De"),
    "raises later": (labeler("def decide(bars, params):\n    raise KeyError('atr')"),
                     r"labeler 'idea': KeyError: 'atr' \(idea.py:6\)", "correct the plug-in"),
    "decides beyond the bars": (returns("bar=[10**6], side=[1], risk=[1.0]"),
                                "labeler 'idea': decision 0 is at bar 10* .* 400 bars", "index"),
    "neither long nor short": (returns("bar=[50], side=[2], risk=[9.0]"),
                               r"side of decision 0 is 2 at bar 50.*\(idea.py:6\)", "long"),
    "unsorted": (returns("bar=[50, 40], side=[1, 1], risk=[9.0, 9.0]"), "order of bars", "sort"),
    "of two lengths": (returns("bar=[50], side=[1, 1], risk=[9.0]"),
                       r"decisions.side has shape \(2,\), expected \(1,\)", "one number per"),
    "no risk": (returns("bar=[50], side=[1]"), "either 'risk' or 'stop_price'", "give the"),
    "undeclared column": (returns("bar=[50], side=[1], risk=[9.0], columns={'x': [1.0]}"),
                          "columns differ in x", "declare every column"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_strategy(desk, refused, lines, name):
    content, says, fix = FILES[name]
    desk.write("idea.py", content)
    desk.write("SIMA1_1h.csv", lines)
    words = ("eval", "./idea.py", "--data", "SIMA1_1h.csv", "--quiet")
    refused(*words, code=3, says=says, fix=fix)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("./gone.py", "gone.py does not exist"),
        ("./", ". is a folder"),
        ("./idea.txt", "idea.txt is not a .py file"),
        ("y" * 300 + ".py", "does not exist"),
    ],
)
def test_a_path_that_is_no_strategy(desk, refused, name, says):
    desk.write("idea.txt", "")
    words = ("eval", name, "--demo")
    refused(*words, code=2, says=says, fix="the path of a Python file")
