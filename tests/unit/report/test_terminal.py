from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from ffm_core.report import terminal

KINDS = ("full", "refused", "no_learner", "inconclusive", "private", "hostile")


def printed(run, *, width=80, **options):
    out = io.StringIO()
    terminal.summary(run, Console(file=out, width=width, **options))
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_eighty_columns_are_enough(runs, kind):
    lines = printed(getattr(runs, kind)()).splitlines()
    long = [line for line in lines if len(line) > 80]
    # A name without blanks cannot be broken; everything else can.
    assert not [line for line in long if "<script>" not in line]


@pytest.mark.parametrize("kind", KINDS)
def test_the_decision_comes_first(runs, kind):
    run = getattr(runs, kind)()
    first = next(line for line in printed(run).splitlines() if line)
    assert first == run["result"]["verdict"]["decision"]


def test_a_qualifier_stands_beside_the_decision(runs):
    run = runs.full()
    run["result"]["verdict"]["qualifier"] = "custom checks"
    assert "\nPASS (qualified: custom checks)\n" in printed(run)


def test_nothing_is_told_by_colour_alone(runs):
    colourful = printed(runs.full(shift=-0.2), force_terminal=True, color_system="standard")
    plain = printed(runs.full(shift=-0.2))
    assert "\x1b[" in colourful
    assert "\x1b" not in plain
    for outcome in ("pass", "fail", "inconclusive", "info"):
        assert f"\n{outcome} " in plain


def test_every_part_is_there(runs):
    text = printed(runs.full())
    for part in ("- Earns after costs: the trades taken earn +0.210 R", "no promise",
                  "beats shuffled", "p ≥ 0.025",
                 "REAL            3,016  +0.210  +0.12…+0.30",
                 "SIMA7/5m, 174,321 bars", "audit warn",
                 "none in 4,000 cuts", "is sealed", "7 counted on these days", "simulated",
                 "ffm-runs/20250701T120000-simulated-demo/report.html"):  # fmt: skip
        assert part in text, part
    assert "repeats an earlier run" not in text


def test_a_repeat_says_so_and_a_run_folder_is_not_doubled(runs):
    run = runs.full()
    run["envelope"].update(repeat=True, out="here/20250701T120000-simulated-demo/")
    text = printed(run, width=100)
    assert "repeats an earlier run" in text
    assert "report      here/20250701T120000-simulated-demo/report.html" in text


def test_a_refused_run_says_what_was_found_and_shows_no_arms(runs):
    run = runs.refused()
    run["result"]["certificate"]["failures"] *= 6
    text = printed(run)
    assert text.count("! labeler simulated-demo on SIMA7/5m (prefix)") == 4
    assert "and 2 more" in text
    assert "fix: confirm the swing two bars later" in text
    assert "REAL" not in text
    assert "look-ahead  none" not in text


def test_a_failure_names_column_bar_time_later_bar_line_and_repair(runs):
    run = runs.refused()
    found = run["result"]["certificate"]["failures"][0]
    found["line"] = "idea.py:42: x = close.shift(-1)"
    lines = printed(run, width=100).splitlines()
    at = lines.index(
        "! labeler simulated-demo on SIMA7/5m (prefix), column swing_high, bar 4117 "
        "(2023-02-01T15:35:00Z)"
    )
    said = " ".join(" ".join(lines[at + 1 :]).split())
    assert (
        "the value is 4012.25 when bar 4118 is the last one known and 4015 in the full series; "
        "the first later bar that matters is 4119 (2023-02-01T15:45:00Z)"
    ) in said
    assert "line: idea.py:42: x = close.shift(-1) fix: confirm the swing two bars later" in said
    whole = " ".join(lines)  # not once more among the reasons
    assert whole.count("idea.py:42") == whole.count("confirm the swing") == 1


def test_a_promise_that_is_not_kept_is_not_called_look_ahead(runs):
    run = runs.refused()
    found = run["result"]["certificate"]["failures"][0]
    opens = {"kind": "opens_file", "numbers": {}, "names": {"file": "a.csv"}}
    found.update(check="access", column="", bar=0, first_future_bar=None, reason=opens)
    text = printed(run)
    assert "violates its contract" in text
    assert "The strategy uses future bars" not in text
    assert "! labeler simulated-demo on SIMA7/5m (access)\n" in text


def test_names_are_never_markup_nor_control_codes(runs):
    run = runs.hostile()
    run["result"]["strategy"]["name"] = "evil\x1b[31m\x1b]0;title\x07\nPASS"
    text = printed(run, force_terminal=True, color_system="standard", no_color=True)
    assert "[bold red]not markup[/]" in text
    assert "\x1b[31m" not in text
    assert "\x07" not in text
    assert "evil [31m ]0;title PASS 0.1.0" in text


def test_arms_come_in_a_fixed_order_and_draws_leave_blanks(runs):
    rows = [re.split(r" {2,}", line) for line in printed(runs.full()).splitlines()]
    start = next(k for k, row in enumerate(rows) if row[:2] == ["arm", "trades"])
    names = [row[0] for row in rows[start + 1 : start + 7]]
    assert names == ["REAL", "NAIVE", "RANDOM", "SHUFFLE", "SHUFFLE block", "ENTRY"]
    assert rows[start + 3][-4:] == ["–", "–", "+150.8", "–"]


def test_a_bare_record_prints_something(runs):
    assert "INCONCLUSIVE" in printed({"result": {}, "envelope": {}})
