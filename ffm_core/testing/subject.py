"""A plug-in while it is checked: its bars, its answers, its certificate, each once."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal import falsify_feature_set, falsify_labeler
from ffm_core.causal.cutting.series import part
from ffm_core.errors import StrategyError
from ffm_core.records import Certificate, Decisions, Failure, FeatureSet, Input, Labeler, answers
from ffm_core.testing.market import Kind, make_bars
from ffm_core.testing.outside import with_made_inputs
from ffm_core.testing.report import CheckFailed
from ffm_core.types import Float32

MAX_CUTS = 500
_MIN_ROWS = 2_000
_MAX_ROWS = 12_000
_DAY_BARS = 276  # of the made-up bars: 23 hours of five minutes
_DECISIONS_APART = 36  # bars; where a feature set is taken to be asked


def standard_bars(warmup_bars: int, history_bars: int | None, history_days: int | None = 0) -> Bars:
    """Return bars long enough to prove the declared history and find decisions."""
    needed = 1_500 + max(warmup_bars, history_bars or 0, (history_days or 0) * _DAY_BARS)
    return make_bars("trend", rows=min(max(needed, _MIN_ROWS), _MAX_ROWS), seed=7)


class UnderTest(ABC):
    """What the checks of every kind of plug-in need."""

    name: str
    warmup_bars: int
    bars: Bars
    inputs: tuple[Input, ...] = ()

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run the plug-in's code; whatever it raises fails the check.

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
                    fix="any valid input must be accepted; answer nothing where there is nothing",
                ) from error

    def market(self, kind: Kind) -> Bars:
        """Return bars with one trouble, long enough for answers after warm-up."""
        bars = make_bars(kind, rows=max(1_200, self.warmup_bars + 800), seed=11)
        return with_made_inputs(bars, self.inputs)

    @property
    @abstractmethod
    def certificate(self) -> Certificate:
        """What the falsifier says, on the standard bars."""

    def failures(self, check: str) -> list[Failure]:
        """Return what the falsifier found under one of its checks."""
        return [failure for failure in self.certificate.failures if failure.check == check]


class StrategyUnderTest(UnderTest):
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
        self.name = labeler.name
        self._who = f"labeler {labeler.name!r}"
        self.warmup_bars = labeler.warmup_bars
        self.inputs = labeler.inputs
        if bars is None:
            bars = standard_bars(labeler.warmup_bars, labeler.history_bars)
        self.bars = with_made_inputs(bars, self.inputs)

    def raw(self, bars: Bars) -> Any:
        """Return whatever the labeler answers for ``bars``."""
        given = part(bars, 0, len(bars))
        return self.call(self.labeler.decide, given, self.labeler.defaults())

    def decisions(self, bars: Bars) -> Decisions:
        """Return the decisions for ``bars``."""
        found: Decisions = self.call(answers.as_decisions, self.labeler, self.raw(bars), bars)
        return found

    def require_known_bars(self, found: Decisions, bars: Bars) -> None:
        """Require decisions that lie on bars that were given."""
        self.call(partial(answers.require_known_bars, who=self._who), found, bars)

    def require_tradable(self, found: Decisions, bars: Bars, *only: str) -> None:
        """Require some fields of decisions to hold numbers that a run can trade."""
        self.call(partial(answers.require_tradable, who=self._who, only=only), found, bars)

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


class FeatureSetUnderTest(UnderTest):
    """One feature set under check.

    Parameters
    ----------
    feature_set : FeatureSet
        The set.
    bars : Bars, optional
        Default: a small standard set that suits its warm-up and history.
    """

    def __init__(self, feature_set: FeatureSet, bars: Bars | None = None) -> None:
        self.feature_set = feature_set
        self.name = feature_set.name
        self.warmup_bars = feature_set.warmup_bars
        if bars is None:
            bars = standard_bars(
                feature_set.warmup_bars, feature_set.history_bars, feature_set.history_days
            )
        self.inputs = feature_set.inputs
        self.bars = with_made_inputs(bars, self.inputs)

    def raw(self, bars: Bars) -> Any:
        """Return whatever the set answers for ``bars``."""
        return self.call(self.feature_set.batch, part(bars, 0, len(bars)))

    def matrix(self, bars: Bars) -> Float32:
        """Return the rows of ``bars``, float32 (T, F)."""
        found: Float32 = self.call(answers.features, self.feature_set, self.raw(bars), bars)
        return found

    @cached_property
    def full(self) -> Float32:
        """The rows of the standard bars."""
        return self.matrix(self.bars)

    @cached_property
    def certificate(self) -> Certificate:
        """What the falsifier says, on the standard bars."""
        return falsify_feature_set(
            self.feature_set,
            self.bars,
            decisions_bars=np.arange(self.warmup_bars, len(self.bars), _DECISIONS_APART),
            seed=0,
            max_cuts=MAX_CUTS,
            call=self.call,
        )


def _line(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" ({trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
