"""The contract of embedders, one named check at a time.

They are shown windows of made-up bars. Every check is written for the one mistake that
it names; a clean embedder passes all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.process.pickling import cloudpickle_module
from ffm_core.causal.subjects.embedders import MAX_WINDOWS, falsify_embedder
from ffm_core.causal.trial.streaming import same_bits
from ffm_core.embed.blocks import require_sound
from ffm_core.embed.cutoff import cut_offs
from ffm_core.embed.windows import windows_at
from ffm_core.records import Certificate, Embedder, answers
from ffm_core.testing.checks import Check, require_no_failure
from ffm_core.testing.market import make_bars
from ffm_core.testing.report import CheckFailed
from ffm_core.testing.subject import UnderTest
from ffm_core.types import Float32

_FEW = 3  # windows that a call must do with


class EmbedderUnderTest(UnderTest):
    """One embedder under check.

    Parameters
    ----------
    embedder : Embedder
        The embedder.
    bars : Bars, optional
        Default: a small standard set, long enough for :data:`.MAX_WINDOWS` windows.
    """

    def __init__(self, embedder: Embedder, bars: Bars | None = None) -> None:
        self.embedder = embedder
        self.name = embedder.name
        self.warmup_bars = embedder.context_bars - 1
        rows = embedder.context_bars + MAX_WINDOWS
        self.bars = make_bars("trend", rows=rows, seed=7) if bars is None else bars

    @cached_property
    def windows(self) -> Float32:
        """The usable windows of the bars, float32 (N, context_bars)."""
        at = np.arange(len(self.bars), dtype=np.int64)
        # A roll is no concern here: every shape of window will do.
        found = windows_at(self.bars, at, context_bars=self.embedder.context_bars, masked=())
        return np.ascontiguousarray(found.values[found.usable][:MAX_WINDOWS])

    @cached_property
    def certificate(self) -> Certificate:
        """What the falsifier says of the windows."""
        return falsify_embedder(self.embedder, self.windows, self.bars, seed=0, call=self.call)


# --- form -----------------------------------------------------------------------------------


def record_is_sound(subject: EmbedderUnderTest) -> None:
    """State a SHA-256 as identity, unique columns, a context and known extras."""
    subject.call(require_sound, subject.embedder)


def cut_off_is_a_date(subject: EmbedderUnderTest) -> None:
    """State the cut-off as an ISO date, as "" for none or None for unknown."""
    subject.call(lambda: [cut.day for cut in cut_offs([subject.embedder])])


def record_pickles(subject: EmbedderUnderTest) -> None:
    """Hold no lock, open file or connection, so that it can go to another process."""
    try:
        cloudpickle_module().dumps(subject.embedder)
    except Exception as error:
        raise CheckFailed(
            f"the record cannot be pickled: {error}",
            fix="open files, locks and sessions inside embed(), on first use",
        ) from error


def returns_a_row_per_window(subject: EmbedderUnderTest) -> None:
    """Return float32, one row per window and one number per declared column."""
    for windows in (subject.windows, subject.windows[:_FEW], subject.windows[:1]):
        answer = subject.call(subject.embedder.embed, windows.copy())
        subject.call(partial(answers.vectors, finite=False), subject.embedder, answer, len(windows))


def vectors_are_finite(subject: EmbedderUnderTest) -> None:
    """Return finite numbers for every normalised window."""
    answer = subject.call(subject.embedder.embed, subject.windows.copy())
    subject.call(answers.vectors, subject.embedder, answer, len(subject.windows))


# --- purity ---------------------------------------------------------------------------------


def windows_are_not_edited(subject: EmbedderUnderTest) -> None:
    """Leave windows as they were given."""
    given = subject.windows.copy()
    subject.call(subject.embedder.embed, given)
    if not same_bits(given, subject.windows).all():
        raise CheckFailed("it edits the windows it is given", fix="work on a copy")


def calls_agree(subject: EmbedderUnderTest) -> None:
    """Answer the same windows in the same way, however often it is asked."""
    require_no_failure(subject, "purity")


def rows_are_independent(subject: EmbedderUnderTest) -> None:
    """Answer a window alike alone, in part, in another order and among others, to the byte."""
    require_no_failure(subject, "rowwise")


def fresh_process_agrees(subject: EmbedderUnderTest) -> None:
    """Answer the same in a new interpreter with another number of threads."""
    require_no_failure(subject, "determinism")


def opens_nothing(subject: EmbedderUnderTest) -> None:
    """Open no file, connection or process while it embeds."""
    require_no_failure(subject, "access")


_FORM = ("record_is_sound", "returns_a_row_per_window", "vectors_are_finite")
_PURE = (*_FORM, "windows_are_not_edited")

_LIST: tuple[tuple[Callable[[EmbedderUnderTest], None], tuple[str, ...]], ...] = (
    (record_is_sound, ()),
    (cut_off_is_a_date, ()),
    (record_pickles, ()),
    (returns_a_row_per_window, ("record_is_sound",)),
    (vectors_are_finite, ("record_is_sound", "returns_a_row_per_window")),
    (windows_are_not_edited, _FORM),
    (calls_agree, _PURE),
    (rows_are_independent, (*_PURE, "calls_agree")),
    (fresh_process_agrees, (*_PURE, "calls_agree", "rows_are_independent")),
    (opens_nothing, (*_PURE, "calls_agree", "rows_are_independent")),
)

EMBEDDER_CHECKS: tuple[Check, ...] = tuple(
    Check(run.__name__, run, needs, (run.__doc__ or "").strip()) for run, needs in _LIST
)
