"""The report in a real browser: drawn, quiet, alone, and right at every size."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

import polars as pl
import pytest

from ffm_core.report import html
from helpers import simulated_runs

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
DESK, PHONE = 1280, 390
PLOTS = {"full": 5, "private": 5, "hostile": 6, "inconclusive": 4, "no_learner": 1, "refused": 0}
SETTLED = "body:not(:has(.plot:not([data-drawn])))"  # every plot drawn, or given up

# What a reader sees as drawn: curves, bars, dots, and the axis they stand on.
MARKS = """() => [...document.querySelectorAll('.plot')].map(plot => ({
  id: plot.id, drawn: plot.dataset.drawn === 'true',
  marks: plot.querySelectorAll('.scatterlayer path.js-line, .scatterlayer path.point, '
    + '.barlayer path').length,
  ticks: plot.querySelectorAll('.xtick text').length,
  width: plot.querySelector('svg') ? plot.querySelector('svg').getBoundingClientRect().width : 0,
  box: plot.getBoundingClientRect().width,
}))"""
# Everything that reaches beyond the window and has no scrolling box of its own around it.
STICKING_OUT = """() => {
  const inBox = el => el.closest('.scroll, pre, .hidden') !== null;
  return [...document.body.querySelectorAll('*')]
    .filter(el => !inBox(el) && el.getBoundingClientRect().right > window.innerWidth + 1)
    .map(el => el.tagName + '.' + (el.className.baseVal ?? el.className)).slice(0, 5);
}"""
INK = "() => getComputedStyle(document.querySelector('#plot-equity .xtick text')).fill"
PAPER = "() => getComputedStyle(document.body).backgroundColor"


@dataclass
class Seen:
    """What a browser reported while it showed a page."""

    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def chromium():
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    for kind in PLOTS:
        trades = pl.DataFrame() if kind == "refused" else simulated_runs.trades(n=400)
        text = html.render(getattr(simulated_runs, kind)(), trades)
        (folder / f"{kind}.html").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def show(chromium):
    """Open a file at a width and in a scheme; return the page and what it caused."""
    contexts = []

    def open_page(path, *, width=DESK, scheme="light"):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page, seen = context.new_page(), Seen()
        page.on("console", lambda m: seen.console.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda e: seen.console.append(f"error: {e}"))
        page.on("request", lambda r: seen.requests.append(r.url))
        page.on("requestfailed", lambda r: seen.failed.update({r.url: r.failure}))
        page.goto(path.as_uri())
        page.wait_for_selector(SETTLED, state="attached")
        return page, seen

    yield open_page
    for context in contexts:
        context.close()


def until(page, question):
    """Ask until the answer is yes; the page's policy forbids playwright's own way."""
    for _ in range(200):
        if page.evaluate(question):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {question}")


@pytest.mark.parametrize(
    ("kind", "width", "scheme"),
    [*((kind, DESK, "light") for kind in PLOTS), ("full", DESK, "dark"), ("full", PHONE, "light"),
     *((kind, PHONE, "dark") for kind in ("full", "hostile", "refused"))],
)  # fmt: skip
def test_every_page_is_drawn_quiet_and_alone(show, pages, kind, width, scheme):
    path = pages / f"{kind}.html"
    page, seen = show(path, width=width, scheme=scheme)
    assert seen.console == []
    assert seen.requests == [path.as_uri()]
    drawn = page.evaluate(MARKS)
    assert len(drawn) == PLOTS[kind]
    for plot in drawn:
        assert plot["drawn"], plot
        assert plot["marks"] >= 2, plot
        assert plot["ticks"] >= 2, plot
        assert 0 < plot["width"] <= plot["box"] + 1, plot
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(STICKING_OUT) == []


@pytest.mark.parametrize("width", [360, 761])
def test_sizes_in_between_fit_too(show, pages, width):
    page, _ = show(pages / "full.html", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(STICKING_OUT) == []


def test_opened_parts_scroll_inside_their_boxes(show, pages):
    page, _ = show(pages / "full.html", width=PHONE)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert page.evaluate(STICKING_OUT) == []
    box = page.evaluate("(b => [b.scrollWidth, b.clientWidth])(document.querySelector('.trades'))")
    assert box[0] > box[1]


def test_plots_follow_the_scheme_and_change_with_it(show, pages):
    light, _ = show(pages / "full.html")
    dark, _ = show(pages / "full.html", scheme="dark")
    assert light.evaluate(INK) != dark.evaluate(INK)
    assert light.evaluate(PAPER) != dark.evaluate(PAPER)
    wanted = dark.evaluate(INK)
    light.emulate_media(color_scheme="dark")
    until(light, f"({INK})() === {wanted!r}")
    assert light.evaluate("document.querySelectorAll('#plot-equity .main-svg').length") > 0


def test_plots_follow_the_window(show, pages):
    page, _ = show(pages / "full.html")
    wide = page.evaluate(MARKS)[0]["width"]
    page.set_viewport_size({"width": PHONE, "height": 900})
    until(page, f"document.querySelector('#plot-equity svg').clientWidth < {wide / 2}")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_the_verdict_is_read_without_scrolling(show, pages):
    for width, height in ((DESK, 800), (PHONE, 844)):
        page, _ = show(pages / "inconclusive.html", width=width)
        page.set_viewport_size({"width": width, "height": height})
        for words in ("INCONCLUSIVE", "cannot tell", "61 trades on 38 days", "Do not put money"):
            box = page.get_by_text(words).first.bounding_box()
            assert box["y"] + box["height"] <= height, (width, words)


def test_hostile_names_do_not_run(show, pages):
    page, seen = show(pages / "hostile.html")
    assert page.evaluate("window.hacked") is None
    assert seen.console == []
    assert "window.hacked=1" in page.inner_text("h1")


def test_even_an_escaping_mistake_would_not_run(show, pages, tmp_path):
    # The page's own policy allows two scripts by their hash; a third one is refused.
    text = (pages / "full.html").read_text(encoding="utf-8")
    path = tmp_path / "mistake.html"
    attack = "<script>window.hacked=1</script><img src=https://example.invalid/x onerror=hacked=2>"
    path.write_text(text.replace("<main>", f"<main>{attack}"), encoding="utf-8")
    page, seen = show(path)
    assert page.evaluate("window.hacked") is None
    assert seen.failed == {"https://example.invalid/x": "csp"}  # stopped by the page itself
    assert any("Content Security Policy" in line for line in seen.console)


def test_without_javascript_the_numbers_are_there(chromium, pages):
    context = chromium.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((pages / "full.html").as_uri())
    text = page.inner_text("#plot-equity").replace("\N{NO-BREAK SPACE}", " ")
    assert "needs JavaScript" in text
    assert "At the end: REAL +" in text
    context.close()


# The watchers above must be able to see what they look for.


def test_a_plot_that_cannot_be_drawn_is_reported(show, pages, tmp_path):
    text = (pages / "full.html").read_text(encoding="utf-8")
    path = tmp_path / "torn.html"
    path.write_text(
        text.replace('id="plot-library">H4s', 'id="plot-library">XXX'), encoding="utf-8"
    )
    page, seen = show(path)
    assert any(line.startswith("error") for line in seen.console)
    assert not any(plot["drawn"] for plot in page.evaluate(MARKS))
    assert "cannot draw the plot" in page.inner_text("#plot-equity")


def test_a_page_that_is_too_wide_is_noticed(show, pages, tmp_path):
    text = (pages / "refused.html").read_text(encoding="utf-8")
    path = tmp_path / "wide.html"
    path.write_text(
        text.replace("<main>", '<main><div style="width:900px">x</div>'), encoding="utf-8"
    )
    page, _ = show(path, width=PHONE)
    assert page.evaluate(STICKING_OUT) == ["DIV."]


def test_a_page_that_asks_the_network_is_noticed(show, tmp_path):
    path = tmp_path / "asks.html"
    path.write_text('<img src="https://example.invalid/x.png">', encoding="utf-8")
    _, seen = show(path)
    assert "https://example.invalid/x.png" in seen.requests
