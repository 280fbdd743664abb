"""Prove an exit policy: what it computes from bars, and the step it follows a trade with.

A policy gives orders and the one step fills them, so most of what an exit could know too
early cannot be said at all. What is left to prove: that its columns, state and targets
come from the bars shown and from nothing else (in the worker, like features), and that a
compiled step answers every bar from that bar and its trade alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.process.access import roots_of
from ffm_core.causal.subjects.base import BarByBar, Call, History
from ffm_core.causal.trial.findings import Notes, stamp_at, unlike
from ffm_core.keyed import keyed
from ffm_core.labels.compiling import start_of
from ffm_core.labels.entries import Entries
from ffm_core.labels.exits import fill
from ffm_core.labels.lanes import follow
from ffm_core.records import (
    Certificate,
    Examined,
    ExitPolicy,
    Params,
    SubjectKind,
    answers,
    because,
)
from ffm_core.records.forms import refused
from ffm_core.types import Float64

FOLLOWED = 64  # trades that are asked bar by bar, besides all of them in two orders
_PREDICTED_R = np.array([0.25, 1.0, 2.0, 3.5, 8.0])  # peaks a target is asked for


class ExitSubject(BarByBar):
    """What an exit policy computes in Python: its columns, first state and targets.

    State and targets do not depend on bars; they stand beside the columns on every bar,
    so that what changes them is found by the same cuts.
    """

    def __init__(self, policy: ExitPolicy, params: Params, call: Call | None = None) -> None:
        self.name = f"exit {policy.name}"
        self.kind: SubjectKind = "exit"
        self.own_name = policy.name
        self.warmup_bars = policy.warmup_bars
        self.sees_bars = policy.batch is not None
        bars = 1 if policy.batch is None else policy.history_bars
        self.histories: tuple[History, ...] = (History(bars=bars, days=None),)
        self.recursive: frozenset[str] | None = frozenset()  # orders are exact
        self.called_by(call)
        self._policy = policy
        self._params = dict(params)
        given = policy.batch or policy.target_of or policy.start
        assert given is not None
        self.function: Callable[..., Any] = given
        self._shown = len(policy.columns)
        self._names = (*(column.name for column in policy.columns), *self._constants()[0])

    def roots(self) -> tuple[str, ...]:
        """Return the policy's own code; see :class:`.base.Subject`."""
        given = (self._policy.batch, self._policy.target_of, self._policy.start)
        return roots_of(function for function in given if function is not None)

    def run(self, bars: Bars) -> Float64:
        """Return columns and constants of every bar; see :class:`.base.Subject`."""
        policy, params = self._policy, dict(self._params)
        columns = np.zeros((len(bars), 0))
        if policy.batch is not None:
            columns = answers.orders(policy, self._call(policy.batch, bars, params), bars)
        constants = self._constants()[1]
        return np.hstack((columns, np.broadcast_to(constants, (len(bars), len(constants)))))

    def _constants(self) -> tuple[tuple[str, ...], Float64]:
        """Return what a policy says without bars, by name."""
        policy, names, values = self._policy, [], []
        if policy.start is not None:
            for name, part in zip("fik", self._call(start_of, policy, self._params), strict=True):
                names += [f"{name}[{place}] of start" for place in range(len(part))]
                values += [float(value) for value in part]
        if policy.target_of is not None:
            names += [f"target of {peak:g} R" for peak in _PREDICTED_R]
            values += self._targets()
        return tuple(names), np.array(values)

    def _targets(self) -> list[float]:
        """Ask for targets together and one by one; each belongs to its own row."""
        target_of = self._policy.target_of
        assert target_of is not None
        found = []
        for peaks in (_PREDICTED_R, *_PREDICTED_R[:, None]):
            answer = self._call(target_of, peaks.copy(), dict(self._params))
            found.append(answers.targets(self._policy, answer, peaks))
        apart = np.concatenate(found[1:])
        if (found[0] != apart).any():
            raise refused(
                f"exit policy {self.own_name!r}",
                f"target_of answers {found[0].tolist()} together and {apart.tolist()} one by one",
                "compute each row's target from that row's prediction alone",
            )
        return [float(value) for value in found[0]]


def computes(policy: ExitPolicy) -> bool:
    """Whether a policy has Python of its own that must be shown to the worker."""
    return any(f is not None for f in (policy.batch, policy.target_of, policy.start))


def prove_step(
    policy: ExitPolicy,
    bars: Bars,
    entries: Entries,
    params: Params,
    columns: Float64 | None,
    *,
    seed: int,
) -> Certificate:
    """Hold the step of a policy to its trades: asked twice, in another order, bar by bar.

    A policy without a step orders by columns and levels alone; nothing is left to prove.

    Parameters
    ----------
    policy, params
        The exit policy and its settings.
    bars : Bars
        The stream, ``T`` bars.
    entries : Entries
        Trades of the run, ``N`` of them.
    columns : float64 (T, K), optional
        What its ``batch`` gives on these bars, proven by itself.
    seed : int
        Seed of the run; chooses the trades that are followed bar by bar.

    Returns
    -------
    Certificate
        Failures of ``purity``: the step answers by more than what it is shown.

    Raises
    ------
    StrategyError
        When the step cannot be compiled, or raises.
    """
    notes = Notes(Examined("exit", policy.name, bars.stream))
    if policy.step is None or len(entries) == 0:
        return notes.certificate(0.0)
    walked = fill(bars, entries, policy, params, columns)
    rng = keyed(seed, "exit step", policy.name, bars.stream)
    turned = rng.permutation(len(entries))
    again = fill(bars, entries.take(turned), policy, params, columns)
    for name in walked._fields:
        one, other = getattr(walked, name), getattr(again, name)
        wrong = np.flatnonzero(unlike(one[turned], other))
        if len(wrong):
            _moved(notes, bars, entries, int(turned[wrong[0]]), "twice")
            return notes.certificate(0.0)
    chosen = turned[:FOLLOWED]
    for row in np.sort(chosen).tolist():
        ended = follow(bars, entries, row, policy, params, columns)
        told = tuple(getattr(walked, name)[row].item() for name in walked._fields)
        if repr(ended) != repr(told):
            _moved(notes, bars, entries, row, "bar_by_bar")
            break
    held = np.zeros(len(bars) + 1, dtype=np.int64)
    np.add.at(held, entries.bar, 1)
    np.add.at(held, walked.exit_bar, -1)
    notes.rows = int((walked.exit_bar - entries.bar).sum())
    return notes.certificate(0.0, proven_bars=int((np.cumsum(held) > 0).sum()))


def _moved(notes: Notes, bars: Bars, entries: Entries, row: int, how: str) -> None:
    bar = int(entries.bar[row])
    notes.add(
        "purity",
        because("step_disagrees", bar=bar, how=how),
        bar=bar,
        stamp=stamp_at(bars, bar),
        repair=because("fix_step"),
    )


__all__ = ["ExitSubject", "computes", "prove_step"]
