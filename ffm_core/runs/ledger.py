"""The ledger: every trial counts, every seal opens once, and nothing is forgotten.

A trial is written down before its results are seen. Rows are events in a chain of
hashes; see :mod:`ffm_core.runs.chain`. What "the same market" means is defined in
:mod:`ffm_core.runs.lineage`, seals in :mod:`ffm_core.runs.seals`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ffm_core.errors import LedgerError
from ffm_core.records import TrialContext
from ffm_core.runs import markets, seals
from ffm_core.runs.chain import KINDS, Chain, Event, Writer, check_chain
from ffm_core.runs.lease import current_lease, is_dead, lease_from
from ffm_core.runs.lineage import (
    DaysTested,
    Effective,
    Trial,
    context_of,
    daily_sharpe,
    lineage,
    trials_of,
)
from ffm_core.runs.markets import Returns, names
from ffm_core.runs.record import RECORD_FILE
from ffm_core.runs.seals import Unsealed
from ffm_core.types import Float64

FILE_NAME = "ledger.sqlite3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The right to run one trial, and what it has to be deflated by.

    Parameters
    ----------
    trial_id : str
        Short name of the trial, the same for all its repeats.
    identity : str
        Hash of what was asked for.
    attempt : int
        Row of the event that was written for this attempt.
    is_repeat : bool
        The identity had been opened before; this attempt is not counted.
    context : TrialContext
        Frozen when the identity was first opened.
    n_trials_now : int
        Trials of the lineage today, this one included.
    previous : str
        ``new``, or the state found: ``open``, ``closed`` or ``aborted``.
    result_hash : str
        Result of the closed trial that is being repeated, else empty.
    """

    trial_id: str
    identity: str
    attempt: int
    is_repeat: bool
    context: TrialContext
    n_trials_now: int
    previous: str
    result_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerReport:
    """What a walk along the chain found."""

    ok: bool
    rows: int
    head: str
    since: str
    broken_row: int | None = None
    reason: str = ""
    trials: Mapping[str, int] = field(default_factory=dict)  # state → count
    repeats: int = 0
    newer: Mapping[str, int] = field(default_factory=dict)  # kind this version does not know → rows


class Ledger:
    """Trials and seals of one ``FFM_HOME``.

    Parameters
    ----------
    home : pathlib.Path
        Folder of the ledger; created by the first write. The object holds no open
        file, so it may be shared by threads and sent to other processes.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / FILE_NAME
        self._chain = Chain(self.path)

    def open_trial(
        self,
        identity: str,
        *,
        strategy: str,
        claim: str,
        tested: DaysTested,
        prereg_hash: str,
        effective: Effective,
        extra: Mapping[str, Any] | None = None,
    ) -> Ticket:
        """Write down a trial before its results are seen.

        Parameters
        ----------
        identity : str
            Hash over pre-registration, code, data and configuration.
        strategy, claim, prereg_hash : str
            Stored for readers.
        tested : DaysTested
            What defines the lineage.
        effective : callable
            Effective number of trials of a correlation matrix (K, K).
        extra : mapping, optional
            Further facts to store (hashes of code, data, configuration).

        Returns
        -------
        Ticket
            With the context frozen at the first opening of this identity.

        Raises
        ------
        LedgerError
            When the chain is broken.
        OutputError
            When the ledger cannot be written; nothing was counted.
        """
        with self._chain.write() as writer:
            trials = trials_of(writer.events)
            _abort_dead(writer, trials.values())
            called = names(writer.events, tested.returns)
            others = lineage(trials, tested, identity=identity, names=called)
            known = trials.get(identity)
            if known is not None:
                return _repeat(writer, known, n_now=len(others) + 1)
            context = context_of(others, since=writer.events[0].time, effective=effective)
            trial_id = f"trial-{len(trials) + 1:04d}-{identity[:8]}"
            event = writer.append("opened", {
                "trial": trial_id, "identity": identity, "strategy": strategy, "claim": claim,
                "prereg_hash": prereg_hash, **tested.payload(), "context": asdict(context),
                "extra": dict(extra or {}), "lease": asdict(current_lease()),
            })  # fmt: skip
            return Ticket(trial_id=trial_id, identity=identity, attempt=event.seq,
                          is_repeat=False, context=context, n_trials_now=len(others) + 1,
                          previous="new")  # fmt: skip

    def close_trial(
        self,
        ticket: Ticket,
        *,
        decision: str,
        days: Sequence[int],
        daily_r: Sequence[float],
        moments: Mapping[str, float],
        result_hash: str,
    ) -> bool:
        """Store a trial's result; the first result of an identity stands.

        Parameters
        ----------
        ticket : Ticket
            From :meth:`open_trial`.
        decision : str
            PASS, FAIL, INCONCLUSIVE or REFUSED.
        days, daily_r : sequence
            Every test day (days since 1970, increasing) and net R booked on it; both
            empty when the trial was refused.
        moments : mapping
            Mean, standard deviation, skewness, kurtosis and the like.
        result_hash : str
            Hash of the run record's result.

        Returns
        -------
        bool
            False when an earlier result of the same identity has another hash, which
            means that the evaluation was not deterministic; the event is recorded.
        """
        stored = np.asarray(days, dtype=np.int64)
        values = np.asarray(daily_r, dtype=np.float64)
        _require_daily(stored, values)
        with self._chain.write() as writer:
            trial = _trial(writer, ticket)
            common = {"trial": ticket.trial_id, "identity": ticket.identity,
                      "attempt": ticket.attempt, "result_hash": result_hash}  # fmt: skip
            if trial.closed is not None:
                agrees = bool(trial.closed["result_hash"] == result_hash)
                if not agrees:
                    writer.append("repeated", {**common, "stage": "closed", "agrees": False})
                return agrees
            writer.append("closed", {
                **common, "decision": decision, "days": stored, "daily_r": values,
                "sharpe": daily_sharpe(values), "moments": dict(moments),
            })  # fmt: skip
            return True

    def record_run(self, run_id: str, *, trial: str | None, files: Mapping[str, str]) -> None:
        """Write down what the folder of a run holds, so that a later edit shows.

        Parameters
        ----------
        run_id : str
            Name of the run.
        trial : str or None
            Its trial; a refused run has none.
        files : mapping of str to str
            SHA-256 of every file, by name.

        Raises
        ------
        LedgerError
            When the chain is broken.
        OutputError
            When the ledger cannot be written.
        """
        with self._chain.write() as writer:
            writer.append("recorded", {"run": run_id, "trial": trial, "files": dict(files)})

    def abort_own(self, reason: str) -> None:
        """Note that what this process has opened ends without a result; it stays counted.

        Asks the ledger and not the caller which trials those are: an interrupt may come
        when a trial is written already and its ticket is not yet in anybody's hands. Trials
        that have ended, and those of other processes, are left alone. One that another
        thread of this process is still judging is noted too; its result stands all the same.

        Raises
        ------
        LedgerError
            When the chain is broken.
        OutputError
            When the ledger cannot be written.
        """
        events = self.whole()
        if not _own(trials_of(events).values()):
            return
        with self._chain.write() as writer:
            for trial in _own(trials_of(writer.events).values()):
                _abort(writer, trial, reason)

    def n_trials(self, tested: DaysTested) -> int:
        """Return how many trials the ledger holds that share a day with ``tested``."""
        events = self._chain.read()
        called = names(events, tested.returns)
        return len(lineage(trials_of(events), tested, identity="", names=called))

    def seal_day(
        self, instrument: str, proposed_day: int, *, returns: Mapping[str, Returns] | None = None
    ) -> int:
        """Return the first sealed trading date of an instrument, fixing it if need be.

        Parameters
        ----------
        instrument : str
            Symbol; the seal holds for all its timeframes.
        proposed_day : int
            What to fix when none is fixed yet, days since 1970.
        returns : mapping of str to Returns, optional
            Daily log returns of the run's instruments, kept here: a market has one seal,
            whatever it is called; see :mod:`ffm_core.runs.markets`.

        Returns
        -------
        int
            Days since 1970. After an unsealing, the day after the newest one opened.
        """
        with self._chain.write() as writer:
            markets.note(writer, returns or {})
            called = names(writer.events, returns or {}).get(instrument, {instrument})
            return seals.fix(writer, instrument, called, proposed_day)

    def sealed(
        self, instrument: str, *, returns: Mapping[str, Returns] | None = None
    ) -> int | None:
        """Return the first sealed trading date, or None; writes nothing.

        Raises
        ------
        LedgerError
            When the chain is broken.
        """
        events = self.whole()
        called = names(events, returns or {}).get(instrument, {instrument})
        return seals.current(events, called)

    def unseal(
        self,
        newest: Mapping[str, int],
        *,
        prereg_hash: str,
        returns: Mapping[str, Returns] | None = None,
    ) -> Unsealed:
        """Open the sealed tail of some instruments, once, for one pre-registration.

        Parameters
        ----------
        newest : mapping of str to int
            Per instrument the newest trading date about to be read, days since 1970.
        prereg_hash : str
            The locked pre-registration, strategy code and configuration included: two
            strategies under one set of checks must not share it. Asking again with the
            same one, the same instruments and the same newest days returns what was
            opened then.
        returns : mapping of str to Returns, optional
            As for :meth:`seal_day`: a tail opened under another name is open.

        Returns
        -------
        Unsealed
            Where the opened tail begins and ends, per instrument.

        Raises
        ------
        UsageError
            When the tail was opened before, for another pre-registration or up to
            other days, or when no seal has been fixed.
        """
        with self._chain.write() as writer:
            markets.note(writer, returns or {})
            return seals.open_tail(writer, newest, names(writer.events, returns or {}), prereg_hash)

    def would_unseal(
        self,
        newest: Mapping[str, int],
        *,
        prereg_hash: str,
        returns: Mapping[str, Returns] | None = None,
    ) -> Unsealed:
        """Return what :meth:`unseal` would open, or raise as it would; writes nothing."""
        events = self.whole()
        return seals.would_open(events, newest, names(events, returns or {}), prereg_hash)

    def trials(self) -> list[Trial]:
        """Return all trials in order of opening."""
        return list(trials_of(self._chain.read()).values())

    def records(self) -> dict[str, str]:
        """Return the SHA-256 of every ``run.json`` the ledger knows, by run id."""
        rows = (event.payload for event in self._chain.read("recorded"))
        return {row["run"]: str(row["files"].get(RECORD_FILE)) for row in rows}

    def events(self) -> list[Event]:
        """Return all events, oldest first."""
        return self._chain.read()

    def whole(self) -> list[Event]:
        """Return all events, oldest first, once the chain has been found unbroken.

        Raises
        ------
        LedgerError
            When it is broken.
        """
        events = self._chain.read()
        self._chain.require_whole(events)
        return events

    def head(self) -> str:
        """Return the hash of the newest event, or "" without a ledger."""
        events = self._chain.read()
        return events[-1].hash if events else ""

    def since(self) -> str:
        """Return when the ledger began, or "" without one."""
        events = self._chain.read()
        return events[0].time if events else ""

    def verify(self) -> LedgerReport:
        """Walk the whole chain; never raises for an edited ledger.

        Raises
        ------
        LedgerError
            When the file is no ledger at all.
        """
        events = self._chain.read()
        head, since = (events[-1].hash, events[0].time) if events else ("", "")
        broken = check_chain(events)
        if broken is not None:
            return LedgerReport(ok=False, rows=len(events), head=head, since=since,
                                broken_row=broken[0], reason=broken[1])  # fmt: skip
        states = [trial.state for trial in trials_of(events).values()]
        counts = {state: states.count(state) for state in ("open", "closed", "aborted")}
        repeats = sum(e.kind == "repeated" and e.payload["stage"] == "opened" for e in events)
        newer = Counter(event.kind for event in events if event.kind not in KINDS)
        return LedgerReport(ok=True, rows=len(events), head=head, since=since, trials=counts,
                            repeats=repeats, newer=dict(sorted(newer.items())))  # fmt: skip


def _repeat(writer: Writer, known: Trial, *, n_now: int) -> Ticket:
    previous = known.state
    event = writer.append("repeated", {
        "trial": known.trial_id, "identity": known.identity, "stage": "opened",
        "previous": previous, "lease": asdict(current_lease()),
    })  # fmt: skip
    result = known.closed["result_hash"] if known.closed is not None else ""
    return Ticket(trial_id=known.trial_id, identity=known.identity, attempt=event.seq,
                  is_repeat=True, context=known.context, n_trials_now=n_now, previous=previous,
                  result_hash=result)  # fmt: skip


def _abort_dead(writer: Writer, trials: Iterable[Trial]) -> None:
    """Close the books on trials whose process is gone."""
    for trial in trials:
        if trial.state == "open" and is_dead(lease_from(trial.opened["lease"])):
            _abort(writer, trial, "the process ended without a result")


def _own(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials that this process has opened and not ended."""
    mine = current_lease()
    return [t for t in trials if t.state == "open" and lease_from(t.opened["lease"]) == mine]


def _abort(writer: Writer, trial: Trial, reason: str) -> None:
    writer.append("aborted", {"trial": trial.trial_id, "identity": trial.identity,
                              "attempt": trial.opened_seq, "reason": reason})  # fmt: skip
    trial.aborted = True


def _trial(writer: Writer, ticket: Ticket) -> Trial:
    # Parsing every payload would take most of the time the lock is held.
    own = [event for event in writer.events if ticket.identity in event.text]
    trial = trials_of(own).get(ticket.identity)
    if trial is None:
        raise LedgerError(
            f"{ticket.trial_id} is not in this ledger",
            fix="keep FFM_HOME unchanged while an evaluation runs",
        )
    return trial


def _require_daily(days: np.ndarray[Any, np.dtype[np.int64]], values: Float64) -> None:
    if days.shape != values.shape or (np.diff(days) <= 0).any() or not np.isfinite(values).all():
        raise ValueError("daily R must be finite, one value per day, in order of days")
