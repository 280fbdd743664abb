from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections import Counter
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

import polars as pl
import pytest

from ffm_core.report import html

KINDS = ("full", "refused", "no_learner", "inconclusive", "private", "hostile")
VOID = {"meta", "br", "img", "input", "link", "hr"}
DRAWN = {"svg", "path", "circle", "line"}


class Page(HTMLParser):
    """A reader of pages we did not write: tags, ids, links, text; and whether tags nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.words = [], [], []
        self.scripts, self.faults = [], []
        self.feed(text)
        self.close()
        self.faults += [f"never closed: {tag}" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in DRAWN:
            self.faults.append(f"closes itself: {tag}")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"closed out of order: {tag}")

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words)).replace("\N{NO-BREAK SPACE}", " ")

    def all(self, name):
        return [attrs[name] for _, attrs in self.tags if name in attrs]


@pytest.fixture(scope="module")
def pages(runs):
    few, many, none = runs.trades(n=20), runs.trades(n=2100), pl.DataFrame()
    tables = {"full": many, "refused": none}
    return {k: html.render(getattr(runs, k)(), tables.get(k, few)) for k in KINDS}


@pytest.fixture(scope="module")
def read(pages):
    return {kind: Page(text) for kind, text in pages.items()}


@pytest.fixture(params=KINDS)
def page(request, read):
    return read[request.param]


def test_the_reader_itself_sees_broken_pages():
    assert Page("<p><b>x</p>").faults
    assert Page("<div>").faults
    assert Page("<div/>").faults
    assert not Page("<p>x<br><b>y</b></p>").faults


def test_tags_nest(page):
    assert page.faults == []


def test_ids_are_unique_and_links_and_labels_resolve(page):
    ids = page.all("id")
    assert [i for i, n in Counter(ids).items() if n > 1] == []
    links = [h.removeprefix("#") for h in page.all("href")]
    assert links
    assert set(links) <= set(ids)
    assert set(page.all("aria-labelledby")) <= set(ids)


def test_headings_start_at_one_and_skip_no_level(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_plots_and_scrolling_boxes_have_names_to_be_read_aloud(page):
    for _, attrs in page.tags:
        if attrs.get("role") in ("img", "region"):
            assert attrs.get("aria-label")
        if "scroll" in attrs.get("class", "").split() and attrs.get("role") == "region":
            assert attrs.get("tabindex") == "0"
    assert all(a.get("scope") for tag, a in page.tags if tag == "th")


def test_nothing_is_loaded_from_elsewhere(page):
    assert not {"link", "img", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    assert not page.all("src")
    policy = next(c for c in page.all("content") if "default-src" in c)
    assert policy.startswith("default-src 'none'; script-src ")
    assert "unsafe-inline" not in policy.split("style-src")[0]


def test_only_our_two_scripts_may_run(read):
    page = read["full"]
    kinds = [a.get("type") for t, a in page.tags if t == "script"]
    assert kinds.count(None) == 1
    runs_here = page.scripts[kinds.index(None)]
    library = gzip.decompress(base64.b64decode(page.scripts[-2]))
    allowed = next(c for c in page.all("content") if "script-src" in c)
    for source in (runs_here.encode(), library):
        digest = base64.b64encode(hashlib.sha256(source).digest()).decode()
        assert f"'sha256-{digest}'" in allowed
    assert b"plotly.js" in library[:200]


def test_a_page_without_plots_carries_no_library(pages):
    assert len(pages["refused"]) < 60_000
    assert "plot-library" not in pages["refused"]
    assert "script-src 'none'" in pages["refused"]


def test_a_page_stays_small(pages):
    assert len(pages["full"].encode()) < 3_000_000


def test_hostile_names_stay_text(read):
    page, reference = read["hostile"], read["full"]
    tags, expected = (Counter(t for t, _ in p.tags) for p in (page, reference))
    assert tags["script"] == expected["script"] + 1  # one more null distribution
    assert tags["img"] == 0
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]
    assert "window.hacked=1" in page.text
    for _, attrs in page.tags:
        assert "<" not in attrs.get("id", "")


def test_figures_are_valid_json_and_match_their_places(page):
    places = [i for i in page.all("id") if i.startswith("plot-") and not i.endswith("-data")]
    data = [a["id"] for t, a in page.tags if t == "script" and a.get("type") == "application/json"]
    assert [f"{p}-data" for p in places if p != "plot-library"] == data
    kinds = [a.get("type") for t, a in page.tags if t == "script"]
    for kind, text in zip(kinds, page.scripts, strict=True):
        if kind == "application/json":
            assert json.loads(text)["data"]


PARTS = ("Checks", "Against the controls", "Against chance", "Month by month", "Long and short",
         "Hour of the day", "Slippage", "Can its probabilities be believed?",
         "Folds and the sealed tail", "Trades", "What this does not show", "Look-ahead certificate",
         "Data and trials", "Run it again", "What to conclude")  # fmt: skip


def test_a_full_report_has_every_part(read, runs):
    text = read["full"].text
    for part in PARTS:
        assert part in text, part
    record = runs.full()
    result = record["result"]
    for fact in (result["strategy"]["code_hash"], result["prereg"]["hash"], record["result_hash"],
                 *(d["sha256"] for d in result["data"]), record["envelope"]["ledger_head"],
                 record["envelope"]["command"], "2,100 trades of REAL; the newest 2,000",
                 "All 4,200 rows", "trades.parquet", "suspected_roll", "duplicate 4", "roll 41",
                 "8 validation decisions", "python 3.11.9", "+0.12 to +0.30", "length 10",
                 "7 on these days (effectively 3.4), ledger since 2025-01-04",
                 "RANDOM, SHUFFLE, SHUFFLE block: the mean of many draws"):  # fmt: skip
        assert fact in text, fact


def test_the_verdict_is_the_first_thing_said(page):
    text = page.text
    assert text.index("Verdict:") < text.index("What to conclude") < text.index("Run it again")
    decision = re.search(r"Verdict: (\w+)", text)[1]
    assert decision in ("PASS", "FAIL", "INCONCLUSIVE", "REFUSED")


def test_a_refused_page_shows_the_line_as_it_is_written(runs):
    run = runs.refused()
    line = "idea.py:42: x = close.shift(-1) if a < b else close"
    run["result"]["certificate"]["failures"][0]["line"] = line
    text = Page(html.render(run, pl.DataFrame())).text
    assert f"The line: {line}" in text
    assert f"Look at {line}" in text


def test_a_refused_page_leads_with_what_was_found(read):
    text = read["refused"].text
    found = text.index("4015 in the full series; the first later bar that matters is 4119")
    assert found < text.index("fixed before the run")
    assert "Suggested fix: confirm the swing two bars later" in text
    assert "it sees bar 4119" in text
    assert "none: no result was seen" in text
    for absent in ("Against the controls", "Month by month", "Trades in the test", "99 of 100"):
        assert absent not in text


def test_a_trigger_page_has_no_calibration_and_no_nulls(read):
    text = read["no_learner"].text
    assert "Against chance" not in text
    assert "believed" not in text
    assert "the strategy's own decisions, taken as they come" in text
    assert "Nothing is trained in this run" in text


def test_a_private_strategy_is_withheld(read):
    text = read["private"].text
    assert "withheld, the strategy is private" in text
    assert "length 10" not in text
    assert "length 10" in read["full"].text


def test_the_same_run_gives_the_same_page(runs, pages):
    assert html.render(runs.full(), runs.trades(n=2100)) == pages["full"]


def test_a_stored_record_gives_the_same_page_as_a_fresh_one(runs, pages):
    # Storing sorts the keys; nothing on the page may follow their order.
    stored = json.loads(json.dumps(runs.full(), sort_keys=True))
    assert html.render(stored, runs.trades(n=2100)) == pages["full"]
    turned = json.loads(json.dumps(runs.full(), sort_keys=True), object_pairs_hook=_backwards)
    assert html.render(turned, runs.trades(n=2100)) == pages["full"]


def _backwards(pairs):
    return dict(reversed(pairs))


LOSABLE = ("folds", "plots", "trigger", "trials", "certificate", "decisions", "arms",
           "checks", "prereg", "config", "data", "verdict", "strategy")  # fmt: skip


@pytest.mark.parametrize("lost", LOSABLE)
def test_any_part_may_be_missing_or_null(runs, lost, monkeypatch):
    monkeypatch.setattr(html, "_plot_library", lambda: ("", ""))  # two megabytes less to read
    run = runs.full()
    run["result"].pop(lost)
    page = html.render(run, pl.DataFrame())
    assert Page(page).faults == []
    run["result"][lost] = None
    assert html.render(run, pl.DataFrame()) == page


def test_a_bare_record_still_makes_a_page():
    assert not Page(html.render({"result": {}, "envelope": {}}, pl.DataFrame())).faults


def _css():
    return (files("ffm_core.report") / "templates" / "report.css").read_text(encoding="utf-8")


def _schemes():
    light, dark = (
        dict(re.findall(r"(--[\w-]+):\s*([^;]+);", block))
        for block in re.findall(r":root \{(.*?)\}", _css(), flags=re.S)
    )
    return {"light": light, "dark": {**light, **dark}}


def test_every_style_variable_used_is_defined(pages):
    defined = set(_schemes()["light"]) | {"--heat"}
    assert set(re.findall(r"var\((--[\w-]+)\)", pages["full"])) <= defined
    assert set(_schemes()["light"]) - set(_schemes()["dark"]) == set()


def _luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a, b):
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_measured_as_wcag_says():
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    assert _contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_lines_stand_out_in_both_schemes(scheme):
    colours = _schemes()[scheme]
    grounds = ("--bg", "--surface", "--pass-bg", "--fail-bg", "--open-bg", "--refused-bg")
    for ground in grounds:
        for ink in ("--ink", "--ink-2"):
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for name in ("pass", "fail", "open", "refused"):
        assert _contrast(colours[f"--{name}"], colours[f"--{name}-bg"]) >= 4.5, name
    for arm in ("real", "naive", "entry", "random", "shuffle", "extra"):
        assert _contrast(colours[f"--arm-{arm}"], colours["--surface"]) >= 3, arm
