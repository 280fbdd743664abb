"""``features/``: a page for every feature of a package's sets, with a plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from _pages import markdown as md
from _pages.packages import PLACES
from _pages.plot import panel_svg
from ffm_core.bars.simulate import market
from ffm_core.features.facts import column_facts, set_facts
from ffm_core.host.discovery import listed
from ffm_core.host.loading import open_host
from ffm_core.host.registry import Offered
from ffm_core.records import FeatureSet
from ffm_core.wording import counted

SYMBOL, TIMEFRAME, MONTHS = "SIMA7", "5m", 3
SHOWN = 288  # bars in a plot: a day of trading and a little more

_TITLE = """# Features

Every column of the built-in feature sets. Other packages bring more: [`qe150`]({qe150}) and
[`ffm68-legacy`]({legacy}).
"""
_THEIRS = """# Features

Every column of the feature sets that this package brings.
"""
_INTRO = """A row of a set is computed at the close of its
bar, of that bar and earlier ones, and nothing else; `ffm eval` proves it anew on the bars
it judges. `ffm features list` and `ffm features show` print the same facts, and
`ffm features compute` writes the columns of your own files.

* **Unit**: "ATR" is the average true range at the bar, so values compare across markets.
* **Warm-up**: bars that pass before the first value; until then it is missing (NaN).
* **Memory**: *finite* looks at a window of bars, *event* back to an event such as a
  session's open, a swing or the last hourly bar, *recursive* carries an average on.
* **History**: from how much of the past the value is reproduced, exactly for finite and
  event memory, to nine digits (or one step of float32) for recursive memory. Trading dates
  are whole ones, the bar's own among them.
* **Sign**: columns that follow the side of the trade are multiplied by it in the design
  matrix, so that long and short are learnt together.

The plots show the last bars of one simulated market: the close in grey, the feature in
blue, a new trading date at each dotted line.

"""


def pages(distribution: str = "ffm-core") -> dict[str, str]:
    """Return the text of every page of a package, by path below its folder of pages."""
    sets = list(_sets(distribution))
    found = {"features/index.md": _index(distribution)} if sets else {}
    for offer in sets:
        for column in offer.record.columns:
            facts = column_facts(offer.record, column)
            found[_path(facts, "md")] = _page(facts)
    return found


def plots(distribution: str = "ffm-core") -> dict[str, str]:
    """Return every plot of a package as SVG, by path below its folder of pages."""
    bars = market(SYMBOL, months=MONTHS, timeframe=TIMEFRAME)
    found = {}
    for offer in _sets(distribution):
        values = offer.record.batch(bars)[len(bars) - SHOWN :]
        for j, column in enumerate(offer.record.columns):
            facts = column_facts(offer.record, column)
            found[_path(facts, "svg")] = panel_svg(bars[len(bars) - SHOWN :], values[:, j], facts)
    return found


def _sets(distribution: str) -> Iterator[Offered[FeatureSet]]:
    hook = "ffm_feature_sets"
    names = [name for name, found in listed(hook).items() if found[0].distribution == distribution]
    offers = open_host(naming=[(name, (hook,)) for name in names]).feature_sets()
    yield from (offer for offer in offers if offer.origin.distribution == distribution)


def _path(facts: Mapping[str, Any], suffix: str) -> str:
    return f"features/{facts['set']}/{facts['name']}.{suffix}"


def _index(distribution: str) -> str:
    own = distribution == "ffm-core"
    more = {
        name.rpartition("-")[2]: f"../../../{place}/features/index.md"
        for name, place in PLACES.items()
    }
    parts = [_TITLE.format(**more) if own else _THEIRS, _INTRO]
    for offer in _sets(distribution):
        facts = set_facts(offer)
        parts.append(f"## {md.code(facts['name'])}\n")
        parts.append(f"{facts['summary']} Version {facts['version']}, {facts['n_columns']} "
                     f"columns, all of them from bar {facts['warmup_bars']} on.\n")  # fmt: skip
        rows = []
        for column in offer.record.columns:
            own = column_facts(offer.record, column)
            link = f"[{md.code(own['name'])}]({facts['name']}/{own['name']}.md)"
            rows.append((link, own["group"], own["unit"], own["memory"], own["history"]))
        parts.append(md.table(("column", "group", "unit", "memory", "history"), rows))
    return md.join(parts)


def _page(facts: Mapping[str, Any]) -> str:
    rows = [
        ("formula", facts["formula"]),
        ("unit", facts["unit"]),
        ("sign", facts["sign"] or "does not depend on the side of the trade"),
        ("missing", facts["missing"]),
        ("warm-up", counted(facts["warmup_bars"], "bar")),
        ("memory", facts["memory"]),
        ("history", facts["history"]),
        ("group", facts["group"]),
        ("source", facts["source"]),
    ]
    name = facts["name"]
    return md.join(
        [
            f"# {md.code(facts['set'] + '/' + name)}\n",
            f"{_sentence(facts['description'])}\n" if facts["description"] else "",
            md.table(("", ""), [(key, str(value)) for key, value in rows if value]),
            f"![{name} on a simulated market]({name}.svg)\n",
            (
                f"{SYMBOL}/{TIMEFRAME}, simulated: close in grey, {md.code(name)} in blue. "
                "[All features](../index.md)\n"
            ),
        ]
    )


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else text + "."
