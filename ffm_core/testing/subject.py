"""A strategy while it is checked: its bars, its answers, its certificate, each once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any

from ffm_core.bars.table import Bars
from ffm_core.causal import falsify_labeler
from ffm_core.causal.series import part
from ffm_core.errors import StrategyError
from ffm_core.records import Certificate, Decisions, Failure, Labeler
from ffm_core.testing.market import Kind, make_bars
from ffm_core.testing.report import CheckFailed

MAX_CUTS = 500
_MIN_ROWS = 2_000
_MAX_ROWS = 12_000


def standard_bars(labeler: Labeler) -> Bars:
    """Return bars long enough to prove the declared history and find decisions."""
    needed = 1_500 + max(labeler.history_bars or 0, labeler.warmup_bars)
    return make_bars("trend", rows=min(max(needed, _MIN_ROWS), _MAX_ROWS), seed=7)


class Subject:
    """One strategy under check.

    Parameters
    ----------
    labeler : Labeler
        The strategy.
    bars : Bars, optional
        Default: a small standard set that suits its warm-up and history.
    """

    def __init__(self, labeler: Labeler, bars: Bars | None = None) -> None:
        self.labeler = labeler
        self.bars = standard_bars(labeler) if bars is None else bars

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run the strategy's code; whatever it raises fails the check.

        Warnings are left to the author's own tests, so that a report does not
        depend on the filters of the suite it runs in.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return function(*args)
            except StrategyError as error:
                raise CheckFailed(error.problem, fix=error.fix) from error
            except Exception as error:
                text = " ".join(str(error).split())[:300]
                raise CheckFailed(
                    f"it raised {type(error).__name__}: {text}{_line(error)}",
                    fix="any valid bars must be accepted; return no decisions where there are none",
                ) from error

    def raw(self, bars: Bars) -> Any:
        """Return whatever the labeler answers for ``bars``."""
        given = part(bars, 0, len(bars))
        return self.call(self.labeler.decide, given, self.labeler.defaults())

    def decisions(self, bars: Bars) -> Decisions:
        """Return the decisions for ``bars``."""
        answer = self.raw(bars)
        if not isinstance(answer, Decisions):
            raise CheckFailed(f"decide() returned {type(answer).__name__}, expected Decisions")
        return answer

    def market(self, kind: Kind) -> Bars:
        """Return bars with one trouble, long enough for decisions after warm-up."""
        return make_bars(kind, rows=max(1_200, self.labeler.warmup_bars + 800), seed=11)

    @cached_property
    def full(self) -> Decisions:
        """The decisions for the standard bars."""
        return self.decisions(self.bars)

    @cached_property
    def certificate(self) -> Certificate:
        """What the falsifier says, on the standard bars."""
        return falsify_labeler(
            self.labeler,
            self.bars,
            self.labeler.defaults(),
            seed=0,
            max_cuts=MAX_CUTS,
            call=self.call,
        )

    def failures(self, check: str) -> list[Failure]:
        """Return what the falsifier found under one of its checks."""
        return [failure for failure in self.certificate.failures if failure.check == check]


def _line(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" ({trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
