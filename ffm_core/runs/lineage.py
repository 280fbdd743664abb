"""Which trials looked at the same days, and what their results say about luck."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ffm_core.records import Luck, TrialContext
from ffm_core.runs.chain import Event
from ffm_core.runs.markets import Returns
from ffm_core.types import Bool, Float64, Int64

Effective: TypeAlias = Callable[[Float64], Float64]
COPY_CORRELATION = 0.99  # daily R correlated above it makes two results copies of one trial


@dataclass(frozen=True, slots=True, kw_only=True)
class DaysTested:
    """The days a trial is tested on, and what the market did on them.

    Parameters
    ----------
    days : mapping of str to sequence of int
        Per instrument (whatever the timeframe) its trading dates, days since 1970.
    fingerprints : mapping of str to sequence of str
        Per instrument, hashes of single days' close-to-close tick changes. Leave out
        days with hardly any change, since those look alike in every market.
    returns : mapping of str to Returns
        Per instrument the daily log returns of all its bars, which tell what else the
        market is called in the ledger; see :mod:`ffm_core.runs.markets`.
    """

    days: Mapping[str, Sequence[int]]
    fingerprints: Mapping[str, Sequence[str]] = field(default_factory=dict)
    returns: Mapping[str, Returns] = field(default_factory=dict)

    def payload(self) -> dict[str, Any]:
        """Return the days as stored in an event."""
        return {
            "test_days": {k: sorted({int(d) for d in v}) for k, v in self.days.items()},
            "fingerprints": {k: sorted({f for f in v if f}) for k, v in self.fingerprints.items()},
        }


@dataclass(slots=True, kw_only=True)
class Trial:
    """What the events say about one trial."""

    trial_id: str
    identity: str
    opened: dict[str, Any]
    opened_seq: int
    closed: dict[str, Any] | None = None
    aborted: bool = False

    @property
    def state(self) -> str:
        """``closed``, ``aborted`` or ``open``; a result outlives an abort."""
        if self.closed is not None:
            return "closed"
        return "aborted" if self.aborted else "open"

    @property
    def context(self) -> TrialContext:
        """What the ledger knew when the trial was first opened."""
        known = dict(self.opened["context"])
        earlier = tuple(tuple(step) for step in known.pop("earlier", ()))
        return TrialContext(**known, earlier=earlier)


def trials_of(events: Sequence[Event]) -> dict[str, Trial]:
    """Return every trial by identity, in order of opening."""
    found: dict[str, Trial] = {}
    for event in events:
        if event.kind not in ("opened", "closed", "aborted"):
            continue
        payload = event.payload
        if event.kind == "opened":
            found[payload["identity"]] = Trial(
                trial_id=payload["trial"], identity=payload["identity"],
                opened=payload, opened_seq=event.seq,
            )  # fmt: skip
            continue
        trial = found[payload["identity"]]
        if event.kind == "aborted":
            trial.aborted = True
        elif trial.closed is None:
            trial.closed = payload
    return found


def lineage(
    trials: Mapping[str, Trial],
    tested: DaysTested,
    *,
    identity: str,
    names: Mapping[str, Collection[str]] | None = None,
) -> list[Trial]:
    """Return the other trials that share a test day with ``tested``.

    Two trials share a day when both test one market on one trading date, on any
    timeframe and under any of its ``names`` (by instrument; default its own alone), or
    when a day of theirs has the same fingerprint, which tells short files.
    """
    days: dict[str, frozenset[int]] = {}
    for name, values in tested.days.items():
        for other in (names or {}).get(name, (name,)):
            days[other] = days.get(other, frozenset()).union(values)
    prints = frozenset(f for values in tested.fingerprints.values() for f in values)
    return [trial for trial in trials.values()
            if trial.identity != identity and _overlaps(trial.opened, days, prints)]  # fmt: skip


def context_of(others: Sequence[Trial], *, since: str, effective: Effective) -> TrialContext:
    """Return what a new trial has to be deflated by.

    Parameters
    ----------
    others : sequence of Trial
        Its lineage, without itself.
    since : str
        Start of the ledger.
    effective : callable
        Correlation matrix float64 (K, K) of daily R to the effective number of
        independent trials among the first 1, 2, … K of them.

    Notes
    -----
    Copies of one trial count, but say nothing new: variance and effective number are those
    of the first of each. The new trial, aborted ones and those still open have no result;
    each counts as one independent trial, which errs on the strict side. The variance of the
    per-day Sharpe ratios (ddof 1) is 0 while fewer than two results exist. ``earlier`` holds
    what was known after each trial before, where that may ask for more than all of them do.
    """
    steps = _steps(sorted(others, key=lambda trial: trial.opened_seq), effective)
    n_trials, variance, independent = steps[-1]
    return TrialContext(
        n_trials=int(n_trials), sharpe_variance=variance, effective_n=independent,
        ledger_since=since, earlier=_undominated(steps),
    )  # fmt: skip


def _steps(others: Sequence[Trial], effective: Effective) -> list[Luck]:
    """Return what a new trial is deflated by after none, the first, … all of the others."""
    results = [t.closed for t in others if t.closed is not None and t.closed["daily_r"]]
    first = np.zeros(0, dtype=np.bool_)
    among = np.zeros(0)
    if results:
        table = _table(results)
        matrix = _correlation(table)
        first = _first_of_copies(table, matrix)
        among = effective(matrix[np.ix_(first, first)])
    steps: list[Luck] = [(1.0, 0.0, 1.0)]
    sharpes: list[float] = []
    known = 0
    for n_trials, trial in enumerate(others, start=2):
        if trial.closed is not None and trial.closed["daily_r"]:
            if first[known]:
                sharpes.append(float(trial.closed["sharpe"]))
            known += 1
        variance = float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else 0.0
        independent = float(among[len(sharpes) - 1]) if sharpes else 0.0
        unknown = n_trials - known
        steps.append((float(n_trials), variance,
                      min(float(n_trials), max(1.0, independent + unknown))))  # fmt: skip
    return steps


def _first_of_copies(table: Float64, matrix: Float64) -> Bool:
    """Mark results (K,) that are no copy of an earlier one: daily R neither equal nor nearly."""
    first: list[int] = []
    for row in range(len(table)):
        near = matrix[row, first] > COPY_CORRELATION
        if not near.any() and not (table[first] == table[row]).all(axis=1).any():
            first.append(row)
    return np.isin(np.arange(len(table)), first)


def _undominated(steps: Sequence[Luck]) -> tuple[Luck, ...]:
    """Leave out what another step reaches in all three numbers, and the last step."""
    last = np.array(steps[-1])
    left = [step for step in steps[:-1] if (np.array(step) > last).any()]
    kept: list[Luck] = []
    for step in sorted(set(left), reverse=True):
        if not any(all(np.array(other) >= step) for other in kept):
            kept.append(step)
    return tuple(kept)


def correlation(closed: Sequence[Mapping[str, Any]]) -> Float64:
    """Return the correlation matrix (K, K) of daily R, aligned on trading days.

    Days a trial was not tested on count as 0, so trials that share few days correlate
    little, and the matrix stays positive semi-definite. A trial without any variation
    correlates with nothing but itself.
    """
    return _correlation(_table(closed))


def _table(closed: Sequence[Mapping[str, Any]]) -> Float64:
    """Return daily R (K, D) on the days of all results, 0 where one was not tested."""
    grid: Int64 = np.unique(np.concatenate([np.asarray(c["days"], dtype=np.int64) for c in closed]))
    table = np.zeros((len(closed), len(grid)))
    for row, result in enumerate(closed):
        table[row, np.searchsorted(grid, np.asarray(result["days"], dtype=np.int64))] = result[
            "daily_r"
        ]
    return table


def _correlation(table: Float64) -> Float64:
    centred = table - table.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1))
    units = centred / np.where(norms > 0, norms, 1.0)[:, None]
    matrix: Float64 = np.clip(units @ units.T, -1.0, 1.0)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def daily_sharpe(daily_r: Float64) -> float:
    """Mean over standard deviation (ddof 1) of daily R; 0 where degenerate."""
    if len(daily_r) < 2:
        return 0.0
    spread = float(daily_r.std(ddof=1))
    return float(daily_r.mean()) / spread if spread > 0 else 0.0


def _overlaps(
    opened: Mapping[str, Any], days: Mapping[str, frozenset[int]], prints: frozenset[str]
) -> bool:
    for instrument, theirs in opened["test_days"].items():
        if not days.get(instrument, frozenset()).isdisjoint(theirs):
            return True
    return any(not prints.isdisjoint(theirs) for theirs in opened["fingerprints"].values())
