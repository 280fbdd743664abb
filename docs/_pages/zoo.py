"""``leak-zoo.md``: planted faults, and which detectors find them."""

from __future__ import annotations

from zoo import CLEAN, FAULTS, KINDS
from zoo.matrix import DETECTORS
from zoo.outside import WRITTEN_CLEAN, WRITTEN_FAULTS

from _pages import markdown as md

_INTRO = """# The leak zoo

Plug-ins with one planted fault each. The falsifier must refuse all of them, and must leave
the honest ones at the end of this page alone. They are real plug-ins, in the repository's
[`tests/zoo`](../../tests/zoo); the guilty line of each ends in a mark, so that a test can ask
whether a message names it. `make test-slow` runs every one of them.

## The kill matrix

A dot says that this detector finds the fault when it is the only one that may speak, on six
sessions of made-up bars with a roll and a clock change. Where there is none, the detector
was not made for the fault, or others are in its way. The tests run every dot anew and fail
when one is lost.

What the columns mean:

"""
_MEANING = {
    "purity": "two calls on the same input disagree, or the input is edited",
    "values": "an infinite value",
    "prefix": "rows change when later bars are removed",
    "repaint": "a decision once made vanishes, turns or moves later",
    "mutation": "rows change when later bars are changed",
    "history": "the declared history does not reproduce the rows",
    "stream": "bar by bar is not what batch gives, or a snapshot forgets something",
    "determinism": "another process, hash seed, thread count or order returns different values",
    "access": "a file, a connection or another program is opened in a call or while loading",
    "budget": "a call takes too long or too much memory",
    "stored": "answers belong to the dates or rows of one file; nothing computes them",
    "horizon": "an outcome or target reads past the bar at which it says to be known",
    "rows": "an answer depends on other rows",
}
_LOADED = """
### While a plug-in is loaded

Found by `access`. These are whole modules, since their fault is done before anything is called,
or in what a call brings in.

"""
_HEADINGS = {
    "features": "Feature sets",
    "labeler": "Labelers",
    "exit": "Exit policies",
    "target": "Targets",
    "learner": "Learners",
}


def page() -> str:
    """Return the page."""
    parts = [_INTRO, md.table(("detector", "finds that"), [
        (md.code(name), md.plain(_MEANING[name])) for name in DETECTORS
    ])]  # fmt: skip
    for kind in KINDS:
        parts += [f"\n### {_HEADINGS[kind]}\n\n", _matrix(kind)]
    rows = [(md.code(one.name), md.plain(one.summary)) for one in WRITTEN_FAULTS]
    parts += [
        _LOADED,
        md.table(("fault", "what it does"), rows),
    ]
    honest = [(one.name, one.kind, one.summary) for one in CLEAN]
    honest += [(one.name, "features", one.summary) for one in WRITTEN_CLEAN]
    rows = [(md.code(name), kind, md.plain(summary)) for name, kind, summary in honest]
    parts += [
        "\n## Honest plug-ins that look alike\n\nNo detector may object to any of these.\n\n",
        md.table(("name", "kind", "what it does"), rows),
        f"\n{len(FAULTS) + len(WRITTEN_FAULTS)} faults, {len(honest)} honest plug-ins.\n",
        "[Mend a refused plug-in](../how-to/mend-a-refused-plug-in.md) tells what to do.\n",
    ]
    return md.join(parts)


def _matrix(kind: str) -> str:
    faults = [fault for fault in FAULTS if fault.kind == kind]
    columns = [name for name in DETECTORS if any(name in fault.kills for fault in faults)]
    rows = [
        (
            md.code(fault.name),
            md.plain(fault.summary),
            *("●" if name in fault.kills else "" for name in columns),
        )
        for fault in faults
    ]
    return md.table(("fault", "what it does", *columns), rows)
