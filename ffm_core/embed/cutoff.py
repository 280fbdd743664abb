"""Whether a fitted model may have seen the months it is judged on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from ffm_core.errors import StrategyError
from ffm_core.records import Embedder, FeatureSet, Reason, because


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff:
    """What is known of the newest bar a block was fitted to.

    Parameters
    ----------
    name : str
        Of the embedder or feature set.
    kind : str
        Which of the two it is.
    fit_cutoff : str, optional
        As the block states it: an ISO date, "" for no bar at all, None for unknown.
    released : str
        ISO date of publication, or "".
    """

    name: str
    fit_cutoff: str | None
    released: str = ""
    kind: str = "embedder"

    @property
    def day(self) -> dt.date | None:
        """The date that counts: the cut-off, or the release where none is known.

        Raises
        ------
        StrategyError
            When what is stated is no ISO date.
        """
        text = self.fit_cutoff if self.fit_cutoff is not None else self.released
        if not text:
            return None
        try:
            return dt.date.fromisoformat(text)
        except ValueError as error:
            raise StrategyError(
                f"{self.kind} {self.name!r} states the cut-off {text!r}, which is not an ISO date",
                fix="state the date of the newest bar it was fitted to, for example 2024-03-11",
            ) from error

    def overlaps(self, first_test_us: int) -> bool:
        """Whether bars from a moment on (microseconds UTC) may have been seen."""
        if self.fit_cutoff == "":
            return False
        day = self.day
        # A date stands for all of its bars, so the test begins on a later date.
        return day is None or day >= _date(first_test_us)

    def reason(self, first_test_us: int) -> Reason:
        """Return why test months that begin at a moment may have been seen."""
        told = {"block": self.kind, "name": self.name, "begins": str(_date(first_test_us))}
        if self.day is None:
            return because("seen_unknown", **told)
        return because(
            "seen_cutoff" if self.fit_cutoff else "seen_release", day=str(self.day), **told
        )


def cut_offs(blocks: Sequence[FeatureSet | Embedder]) -> tuple[CutOff, ...]:
    """Return the cut-offs of everything that may have been fitted; the rest is left out."""
    return tuple(
        CutOff(
            name=block.name,
            fit_cutoff=block.fit_cutoff,
            released=block.released if isinstance(block, Embedder) else "",
            kind="embedder" if isinstance(block, Embedder) else "feature set",
        )
        for block in blocks
        if isinstance(block, Embedder) or block.fit_cutoff != ""
    )


def _date(moment_us: int) -> dt.date:
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=moment_us)).date()


__all__ = ["CutOff", "cut_offs"]
