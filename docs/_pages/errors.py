"""``errors.md``: exit codes, and every expected error with its own."""

from __future__ import annotations

from collections.abc import Iterator

from _pages import markdown as md
from ffm_core.cli._shell import BUG, INTERRUPTED, USAGE
from ffm_core.errors import (
    EXIT_CODES,
    QUALIFIED_PASS,
    CausalityError,
    DataError,
    FFMError,
    PluginError,
    UnavailableError,
)

_INTRO = """# Errors and exit codes

An expected error is one line that says what, where and how to mend it, on stderr, and a
documented exit code. Anything else is a bug of ours: code 70, one line, and the traceback
with `--debug`. Errors are children of `ffm_core.errors.FFMError`; no error exits with 0
or 1.

## Exit codes

"""


def page() -> str:
    """Return the page."""
    codes = md.table(("code", "meaning"), [(str(c), text) for c, text in exit_codes().items()])
    rows = [
        (f"`{kind.__name__}`", f"`{kind.__base__.__name__}`" if kind.__base__ else "",
         str(kind.exit_code), kind.summary, md.summary(kind))
        for kind in errors()
    ]  # fmt: skip
    return md.join(
        [_INTRO, codes, "## Errors",
         md.table(("error", "kind of", "exit code", "meaning", "more"), rows)]
    )  # fmt: skip


def errors() -> Iterator[type[FFMError]]:
    """Yield every expected error, parents before children."""

    def below(kind: type[FFMError]) -> Iterator[type[FFMError]]:
        for child in kind.__subclasses__():
            if child.__module__ == FFMError.__module__:
                yield child
                yield from below(child)

    yield from below(FFMError)


def exit_codes() -> dict[int, str]:
    """Return every exit code and what it means, read off the code that uses it."""
    return {
        EXIT_CODES["PASS"]: "PASS, or a command that did its work",
        EXIT_CODES["FAIL"]: "FAIL",
        USAGE: "usage: a flag, a setting, an unknown name, an output path that cannot be written",
        PluginError.exit_code: "plug-in: it fails to load, conflicts, or breaks its contract",
        DataError.exit_code: "data: unreadable, refused by the audit, too little; an edited ledger "
        "or record",
        QUALIFIED_PASS: "INCONCLUSIVE, or a qualified PASS",
        CausalityError.exit_code: "REFUSED: something reads the future",
        UnavailableError.exit_code: "an optional library, a model, a key or a service is absent",
        BUG: "a bug of ours",
        INTERRUPTED: "interrupted",
    }
