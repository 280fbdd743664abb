"""Every kind of failure and repair has its sentence, the same for terminal, page and errors."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from ffm_core.host.redact import Redactor
from ffm_core.records import Certificate, Failure, Reason, because, stated
from ffm_core.records.proofs import GROUPS, number, of_line, told
from ffm_core.report import html, terminal, words
from ffm_core.report.failures import finding
from ffm_core.report.reasons import WORDS, parts_of, sentence
from ffm_core.runs.canonical import canonical_json
from helpers import simulated_runs
from helpers.evidence import BROKEN

CORE = Path(__file__).resolve().parents[3] / "ffm_core"
PLACES = {"check", "failure"}  # kinds that refer to something else in a record
NO_KINDS = {"", "fix_"}  # the start of a kind, and the name of a function
LATER = {"later": 9, "later_stamp": "2024-01-02T00:45:00Z"}
_LATER = "; the first later bar that matters is 9 (2024-01-02T00:45:00Z)"
_MIRRORED = "on the mirrored series it reads later bars: "
_LATE = "the decision is missing when bar 7 is the last one known"
_SIDE = "the decision has the other side when bar 7 is the last one known"
_VANISHES = "a decision made when bar 7 was the last one known vanishes later"
_VALUE = "the value is 1.5 when bar 7 is the last one known and 1.23457e+06 in the full series"
VALUE = {"part": 1.5, "full": 1234567.0}
TARGET = {"full": 0.25, "full_end": 12, "part": 0.5, "part_end": 9}
HELD = {"value": 0.5, "end": 12}
ANSWER = {"answer": "score", "full": 0.123456789, "part": 0.5}
DECISION = {"decision": "2024-01-02T00:00:00Z"}
ROW = {**DECISION, "stream": "ES/5m"}
_ROW = "the decision of 2024-01-02T00:00:00Z"
_TWO = ": the score is 0.123456789 and 0.5"
REACH = {
    "end": "2024-01-03T00:00:00Z", "begins": "2024-01-02T12:00:00Z", "part": "train",
    "next_part": "validation", "over": 1234, "rows": 5678,
}  # fmt: skip
_REACH = (
    "at 2024-01-03T00:00:00Z, but validation begins with the decision of 2024-01-02T12:00:00Z "
    "(1234 of 5678 train rows reach into validation)"
)

# Every kind of failure, and its words.
SEEN = [
    (because("edits_bars"), "it edits the bars it is given"),
    (because("calls_disagree"), "two calls on the same bars disagree"),
    (because("later_call_disagrees"), "a later call on the same bars disagrees"),
    (because("remembers"), "it remembers bars from earlier calls and answers from them"),
    (
        because("process_disagrees"),
        (
            "another process, with other threads, hash seed, clock and time zone, returns "
            "different values"
        ),
    ),
    (because("infinite"), "the value is infinite"),
    (
        because("stream_disagrees", part=0.1234567891, full=2.0),
        "the stream says 0.123456789 where the batch says 2",
    ),
    (because("snapshot_disagrees"), "a stream restored from a snapshot goes another way"),
    (because("late", last=7), _LATE),
    (because("late", last=7, **LATER), _LATE + _LATER),
    (because("side", last=7, **LATER), _SIDE + _LATER),
    (because("vanishes", last=7), _VANISHES),
    (because("value", last=7, **VALUE), _VALUE),
    (because("value", last=7, **VALUE, **LATER), _VALUE + _LATER),
    (
        because("value", last=7, part=number(float("nan")), full=number(float("-inf"))),
        "the value is nan when bar 7 is the last one known and -inf in the full series",
    ),
    (because("mirrored_late", last=7), _MIRRORED + _LATE),
    (because("mirrored_side", last=7), _MIRRORED + _SIDE),
    (because("mirrored_vanishes", last=7), _MIRRORED + _VANISHES),
    (because("mirrored_value", last=7, **VALUE), _MIRRORED + _VALUE),
    (
        because("changed_late", cut=8, change="noise", **LATER),
        "the decision disappears when bars from 8 on are changed (noise)" + _LATER,
    ),
    (because("changed_late", cut=8), "the decision disappears when bars from 8 on are changed"),
    (
        because("changed_side", cut=8, change="noise"),
        "the side of the decision turns when bars from 8 on are changed (noise)",
    ),
    (
        because("changed_vanishes", cut=8, change="noise"),
        "a decision appears when bars from 8 on are changed (noise)",
    ),
    (
        because("changed_value", cut=8, change="noise", **VALUE),
        "the value moves from 1.23457e+06 to 1.5 when bars from 8 on are changed (noise)",
    ),
    (
        because("history_drifts", bars=20, relative=2.4e-9),
        ("on 20 bars of history the value differs in its last digits (2e-09 of itself), as a "
        "running sum does"),
    ),
    (
        because("stored_dates", days=8, first="2024-03-04T00:00:00Z", times=30),
        (
            "on 8 date(s), the first at 2024-03-04T00:00:00Z, the same bars get another answer "
            "when they are moved by whole weeks, and at 30 other times that answer is always "
            "the same: it is stored for these dates and not computed"
        ),
    ),
    (
        because("stored_fails", weeks=1461, error="KeyError: 9558"),
        (
            "it fails when the same bars are moved by 1461 weeks, there and back: it looks up "
            "answers that are stored for these dates (KeyError: 9558)"
        ),
    ),
    (
        because("stored_rows", skip=228, rows=1599, behind=800),
        (
            "a simulated walk that begins 228 bars later gets the same 1599 answers row for "
            "row, and none in the 800 rows behind them: they are stored by row"
        ),
    ),
    (
        because("stored_ends", rows=1600),
        (
            "it fails on a simulated walk that is longer than the 1600 bars of this file: it "
            "looks up answers that are stored by row"
        ),
    ),
    (because("history_short", bars=1200), "1200 bars of history do not reproduce it"),
    (because("history_short", days=3), "3 trading dates of history do not reproduce it"),
    (
        because("history_short", bars=20, days=3),
        "20 bars and 3 trading dates of history do not reproduce it",
    ),
    (
        because("opens_something"),
        "it opens a file, a connection or a process while it is loaded or called",
    ),
    (because("reads_environment"), "reads the whole environment"),
    (
        because("reads_environment", when="loaded"),
        "reads the whole environment while it is loaded",
    ),
    (
        because("reads_variable", variable="ZQ_BARS"),
        "reads the environment variable ZQ_BARS, whose name it computes",
    ),
    (because("imports_module", module="helper"), "imports helper, whose name it computes"),
    (because("carries", name="DAYS", form="list", count=37, of="dates"), "DAYS: list of 37 dates"),
    (because("carries", form="list", count=1_200, of="dates"), "list of 1,200 dates"),
    (because("carries_source", name="LEVELS", form="function"), "LEVELS: function"),
    (because("carries_file", file="days.csv"), "the file days.csv of its package"),
    (because("carries_file"), "a file of its package"),
    (because("opens_file", file="[a|{b}].csv"), "opens the file [a|{b}].csv"),
    (
        because("opens_file", file="a.csv", reader="read_csv"),
        "opens the file a.csv (read_csv)",
    ),
    (because("writes_file", file="a.csv"), "writes the file a.csv"),
    (because("opens_database", file="a.db"), "opens the database a.db"),
    (because("connects_to", host="prices.example:80"), "connects to prices.example:80"),
    (because("listens_at", host="prices.example:80"), "listens at prices.example:80"),
    (because("sends_to", host="prices.example:80"), "sends to prices.example:80"),
    (because("looks_up", host="prices.example"), "looks up prices.example"),
    (because("requests", host="http://x"), "requests http://x"),
    (because("starts_process"), "starts another process"),
    (because("becomes_process"), "becomes another process"),
    (because("forks_process"), "forks another process"),
    (because("ran_longer", seconds=0.2), "it ran longer than 0.2 s"),
    (because("calls_ran_longer", seconds=900), "its calls took longer than 900 s in total"),
    (because("needed_memory", gib=0.5), "it needed more than 0.5 GiB of memory"),
    (
        because("process_died", how="SIGKILL"),
        "its process died (SIGKILL); memory may have run out",
    ),
    (
        because("target_infinite", value=number(float("inf")), end=12),
        "the value is infinite (inf, end bar 12)",
    ),
    (
        because("target_no_class", classes=3, **HELD),
        "the value is none of the 3 classes (0.5, end bar 12)",
    ),
    (
        because("target_undefined", value=number(float("nan")), end=-1),
        "value and end_bar do not agree on whether the row is defined (nan, end bar -1)",
    ),
    (because("target_ends_before", **HELD), "it ends before its own bar (0.5, end bar 12)"),
    (because("target_ends_after", **HELD), "it ends after the last bar (0.5, end bar 12)"),
    (
        because("target_ends_late", horizon=11, **HELD),
        "it ends more than the declared 11 bars later (0.5, end bar 12)",
    ),
    (
        because("target_reads_on", last=7, **TARGET, **LATER),
        ("it is 0.5 with end bar 9 when bar 7 is the last one known and 0.25 with end bar 12 in "
        "the full series" + _LATER),
    ),
    (
        because("target_reads_on", last=7, full=0.25, full_end=12),
        ("it is undefined when bar 7 is the last one known and 0.25 with end bar 12 in the full "
        "series"),
    ),
    (
        because("target_moves", cut=8, change="noise", **TARGET),
        ("it moves from 0.25 with end bar 12 to 0.5 with end bar 9 when bars from 8 on are changed "
        "(noise)"),
    ),
    (
        because("target_remembers", last=7, part=0.5, part_end=9),
        ("on the mirrored series it is 0.5 with end bar 9 when bar 7 is the last one known and "
        "undefined later: it remembers earlier calls"),
    ),
    (
        because("row_depends", **ANSWER, rows=300, count=75, how="first", **DECISION),
        (f"{_ROW}: its score is 0.123457 when 300 rows are shown and 0.5 when the first 75 are "
        "shown"),
    ),
    *(
        (
            because("row_depends", **ANSWER, rows=300, count=75, how=how, **DECISION),
            f"{_ROW}: its score is 0.123457 when 300 rows are shown and 0.5 when {shown}",
        )
        for how, shown in (
            ("reversed", "the order is reversed"), ("rows_shuffled", "the rows are shuffled"),
            ("half_rows", "half of the rows are shown"), ("alone", "it is shown alone"),
            ("in another way", "in another way"),
        )
    ),
    (because("score_not_finite", **DECISION), f"{_ROW}: the score is not finite"),
    (because("edits_view", array="design.x", view="train"), "it edits design.x of train"),
    (
        because("edits_view", array="design.x", view="plan"),
        "it edits design.x of the view of a plan",
    ),
    (
        because("plans_disagree", **ANSWER, **DECISION),
        f"{_ROW}: two calls of plan() on the same rows disagree{_TWO}",
    ),
    (
        because("stored_disagrees", **ANSWER, **DECISION),
        f"{_ROW}: the model that went to bytes and back disagrees with itself{_TWO}",
    ),
    (
        because("fits_disagree", **ANSWER, **DECISION),
        f"{_ROW}: two fits with one seed disagree{_TWO}",
    ),
    (
        because("fit_remembers", **ANSWER),
        f"a fit on other rows changes the next one{_TWO}",
    ),
    (because("pickled"), "its bytes are a pickle, which runs code"),
    (because("edits_windows"), "it edits the windows it is given"),
    (because("embeds_disagree"), "two calls on the same windows disagree"),
    *(
        (
            because("window_depends", window=17, full=0.1, windows=80, part=0.2, how=how),
            f"of window 17 it says 0.1 when 80 windows are shown and 0.2 when {shown}",
        )
        for how, shown in (
            ("without_last", "the last third is left out"), ("alone", "it is shown alone"),
            ("reversed", "the order is reversed"), ("windows_shuffled", "the windows are shuffled"),
            ("half_windows", "half of the windows are shown"),
            ("among_others", "others stand between the windows"),
        )
    ),
    (
        because("fresh_disagrees", window=17, full=0.1, part=0.2),
        ("of window 17 it says 0.1 here and 0.2 in a fresh process that is asked in another order"),
    ),
    (
        because("step_disagrees", bar=7, how="twice"),
        "the trade entered at bar 7 ends differently when its step is asked twice",
    ),
    (
        because("step_disagrees", bar=7, how="bar_by_bar"),
        "the trade entered at bar 7 ends differently when its step is asked bar by bar",
    ),
    (
        because("label_known_late", **ROW, **REACH),
        f"the label of {_ROW} on ES/5m is known {_REACH}",
    ),
    (
        because("label_open_late", **ROW, **REACH),
        f"the label of {_ROW} on ES/5m could still be open {_REACH}",
    ),
    (
        because("row_in_two_parts", **ROW, part="train", next_part="test"),
        f"{_ROW} on ES/5m stands in train and in test",
    ),
    (
        because("row_tested_twice", **ROW, fold=0, again=1),
        f"{_ROW} on ES/5m is tested in fold 0 and again in fold 1",
    ),
]  # fmt: skip

# Repairs with something to fill in; the others are said as the table holds them.
MENDED = [
    (
        because("fix_open_bar", longer="1h"),
        "a 1h bar is used before it has closed: release it after its last bar",
    ),
    (
        because("fix_few_bars", reach=5),
        ("rows up to 5 bars back change: a centred window, a back-fill, or a pivot stamped at its "
        "own bar; stamp the row at the bar that completes it"),
    ),
    (
        because("fix_history", bars=38),
        "declare history_bars=38, which would do here, or None",
    ),
]  # fmt: skip
REPAIRS = GROUPS["Repairs"]
PLAIN = [because(kind) for kind in REPAIRS if kind not in {reason.kind for reason, _ in MENDED}]


class _Text(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def flat(text: str) -> str:
    return " ".join(text.split())


def with_failures(run, said):
    (first,) = run["result"]["certificate"]["failures"]
    run["result"]["certificate"]["failures"] = [
        {**first, "reason": asdict(reason), "repair": asdict(of_line(repair, "a guess"))}
        for reason, repair in said
    ]
    return run


@pytest.fixture(scope="module")
def runs():
    return simulated_runs


@pytest.mark.parametrize(("reason", "text"), SEEN, ids=[reason.kind for reason, _ in SEEN])
def test_words_of_every_kind_of_failure(reason, text):
    assert told(reason) == sentence(reason) == text


@pytest.mark.parametrize(("reason", "text"), MENDED, ids=[reason.kind for reason, _ in MENDED])
def test_repairs_are_filled_in(reason, text):
    assert told(reason) == text
    assert told(of_line(reason, "shift(-1)")) == f"this line: shift(-1); {text}"


@pytest.mark.parametrize("repair", PLAIN, ids=lambda repair: repair.kind)
def test_every_repair_is_said_whole(repair):
    text = told(repair)
    assert text
    assert not set("{}[]|") & set(text)
    assert told(of_line(repair, "shift(-1)")) == f"this line: shift(-1); {text}"


def test_every_kind_of_failure_is_in_the_tables():
    failures = {kind for title, group in GROUPS.items() if title != "Repairs" for kind in group}
    assert {reason.kind for reason, _ in SEEN} == failures
    assert sum(len(group) for group in GROUPS.values()) == len(failures) + len(REPAIRS)
    assert set(WORDS) >= failures | set(REPAIRS)


@pytest.mark.parametrize(("reason", "text"), SEEN, ids=[reason.kind for reason, _ in SEEN])
def test_what_a_failure_holds_is_documented(reason, text):
    numbers, names = parts_of(reason.kind)
    assert set(reason.numbers) <= set(numbers)
    assert set(reason.names) <= {*names, *numbers}  # a value that is not finite is a name


def kinds_made(source: str) -> Iterator[str]:
    """Return every kind of reason that a module makes by its name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and str(node.value).startswith("fix_"):
            yield str(node.value).removeprefix("fix_seal")
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "because":
            yield from (str(a.value) for a in node.args[:1] if isinstance(a, ast.Constant))


def test_every_kind_that_is_made_has_words():
    made = {kind for path in CORE.rglob("*.py") for kind in kinds_made(path.read_text("utf-8"))}
    assert len(made) > 80
    assert sorted(made - set(WORDS) - PLACES - NO_KINDS) == []


def test_a_kind_without_words_is_noticed():
    source = 'note(because("reads_the_mind", bar=7), "fix_the_mind", because("late"))'
    assert set(kinds_made(source)) - set(WORDS) == {"reads_the_mind", "fix_the_mind"}


def test_a_kind_that_nobody_knows_is_called_by_its_name():
    assert told(because("reads_the_mind", bar=7)) == "reads the mind"
    assert told(Reason(kind="late")) == "the decision is missing when bar – is the last one known"
    assert told(None) == ""
    assert told(stated("{last} [x|y]")) == "{last} [x|y]"


def test_terminal_page_and_json_say_the_same(runs, monkeypatch):
    monkeypatch.setattr(html, "_plot_library", lambda: ("", ""))
    repairs = [*(repair for repair, _ in MENDED), *PLAIN]
    said = [(reason, repairs[i % len(repairs)]) for i, (reason, _) in enumerate(SEEN)]
    page = flat(
        "".join(_Text(html.render(with_failures(runs.refused(), said), pl.DataFrame())).parts)
    )
    for i, (reason, repair) in enumerate(said):
        text, mend = told(reason), told(of_line(repair, "a guess"))
        assert flat(text) in page
        assert f"Suggested fix: {mend}" in page
        run = with_failures(runs.refused(), said[i : i + 1])
        (failure,) = run["result"]["certificate"]["failures"]
        assert finding(failure) == [text, f"fix: {mend}"]
        assert words.told(run["result"])["failures"] == [{"reason": text, "repair": mend}]
    out = io.StringIO()
    terminal.summary(with_failures(runs.refused(), said[:1]), Console(file=out, width=80))
    assert told(said[0][0]) in flat(out.getvalue())


@pytest.mark.parametrize(("reason", "text"), SEEN, ids=[reason.kind for reason, _ in SEEN])
def test_a_record_gives_back_the_same_words(reason, text):
    assert told(Failure.read(through_json(reason)).reason) == text


def through_json(reason):
    failure = replace(BROKEN.failures[0], reason=reason, repair=because("fix_values"))
    return json.loads(canonical_json(asdict(failure)))


def test_a_certificate_is_read_back_whole_and_one_of_before_in_its_own_words():
    stored = json.loads(json.dumps(asdict(BROKEN)))
    assert Certificate.read(stored) == BROKEN
    old = stored["failures"][0]
    del old["reason"], old["repair"]
    (plain,) = Certificate.read({**stored, "failures": [{**old, "message": "it peeks"}]}).failures
    assert (plain.reason, plain.repair) == (stated("it peeks"), None)
    worded = {**old, "message": "it peeks", "fix": "declare history_bars=38"}
    (worded,) = Certificate.read({**stored, "failures": [worded]}).failures
    assert told(worded.repair) == "declare history_bars=38"


def test_private_names_are_hidden_in_reasons_and_our_own_words_stay():
    hidden = Redactor(["moon_phase", "late"], params=["lunar_days"], sources=["/srv/idea/idea.py"])
    failure = replace(
        BROKEN.failures[0], column="moon_phase",
        reason=because("opens_file", file="/srv/idea/idea.py"),
        repair=of_line(because("fix_access"), "moon_phase is shared, lunar_days=28"),
    )  # fmt: skip
    found = Certificate.read(hidden.value(asdict(replace(BROKEN, failures=(failure,)))))
    (shown,) = found.failures
    assert shown.reason == because("opens_file", file="private")
    assert told(shown.repair).startswith("this line: private_1 is shared, private_3=private; ")
    (late,) = Certificate.read(hidden.value(asdict(BROKEN))).failures
    assert told(late.reason) == told(BROKEN.failures[0].reason)
    assert hidden.leaks(json.dumps(asdict(shown))) == []
