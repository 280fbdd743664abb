"""``reasons.md``: every kind of reason, and the words it is given."""

from __future__ import annotations

import re

from _pages import markdown as md
from ffm_core.report.numbers import plural
from ffm_core.report.reasons import GROUPS, parts_of

_INTRO = """# Reasons

Verdicts, checks and failures say why as data: a *kind*, *numbers* and *names*. Terminal and
page make their words from them by the table below, so that nothing has to read a sentence.
A number that does not exist is left out or null. In the words, `‹…›` stands for what is
filled in; what stands in square brackets is left out when it is not known, and of choices
parted by `|` the first that is known is said. A value of a plug-in that is not finite stands
among the names, as `nan` or `inf`. Names called `1`, `2`, … are checks, in order.

A failure of a certificate has a `reason` and a `repair`; `ffm check`, the page and the errors
of the contract kit say the same of it.

A check of a plug-in gives its own sentence: `reason=stated("lost 3 R on one day")`.

Two kinds refer to something else in a run record: `check` to the check of that name in
`result.checks`, `failure` to the failure at that `place`, from 0, of
`result.certificate.failures`.

"""
_FIELD = re.compile(r"\{(\w*)(?::([^{} ]*) ?([^{}]*))?\}")


def page() -> str:
    """Return the page."""
    parts = [_INTRO]
    for title, words in GROUPS.items():
        rows = [(md.code(kind), *_parts(kind), _shown(text)) for kind, text in words.items()]
        parts += [f"## {title}\n", md.table(("kind", "numbers", "names", "words"), rows)]
    return md.join(parts)


def _parts(kind: str) -> tuple[str, str]:
    numbers, names = parts_of(kind)
    return ", ".join(map(md.code, numbers)) or "–", ", ".join(map(md.code, names)) or "–"


def _shown(text: str) -> str:
    def shown(field: re.Match[str]) -> str:
        noun = f" {plural(field[3])}" if field[3] else ""
        return f"‹{field[1] or 'checks'}›{noun}"

    return _FIELD.sub(shown, text)
