"""The trial in the ledger: promised, sealed, opened before a result is seen, and closed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from ffm_core import __version__
from ffm_core.bars import Instrument
from ffm_core.errors import FFMError
from ffm_core.evaluate.arms import WITHOUT
from ffm_core.evaluate.job import Job
from ffm_core.evaluate.lineage import daily_returns, day_fingerprints, days_by_instrument
from ffm_core.evaluate.pool import Folded, Seal
from ffm_core.evaluate.streams import Stream
from ffm_core.evaluate.trades import daily_r
from ffm_core.records import Evidence, Verdict
from ffm_core.ruler.folds import choose_seal
from ffm_core.ruler.preregistration import prereg
from ffm_core.ruler.sharpe import effective_trials, moments
from ffm_core.runs.canonical import sha256_json
from ffm_core.runs.ledger import Ledger, Ticket
from ffm_core.runs.lineage import DaysTested
from ffm_core.runs.record import NUMERICS

_PROMISED = (
    "train_months", "validation_months", "test_months", "embargo_days", "top_share", "n_seeds",
    "permutations", "random_draws", "entry_draws", "resamples", "overlap",
    "flat_at_session_end", "learner", "features", "exit", "slippage_ticks", "accept_overlap",
)  # fmt: skip
_AGAIN = "found_again"  # the trial that a run repeats and does not agree with


def preregister(job: Job) -> dict[str, Any]:
    """Return the pre-registration of a job: claim, checks, constants, settings."""
    identity = job.config.identity()
    return prereg(
        job.config.resolved_claim,
        [*job.checks, *job.tightening],
        {name: identity[name] for name in _PROMISED if name in identity},
    )


def lock_of(job: Job, promise: dict[str, Any]) -> str:
    """Hash everything an unsealing is locked to: promise, code and configuration."""
    return sha256_json(
        {
            "prereg": promise["hash"],
            "code": job.code_hash,
            "numerics": NUMERICS,
            "config": job.config.identity(),
        }
    )


def seal_of(job: Job, promise: dict[str, Any], streams: Sequence[Stream], *, write: bool) -> Seal:
    """Return the seal of the run's instruments; with ``write`` the ledger keeps it."""
    ledger, returns = job.ledger, daily_returns(streams)
    if job.config.unseal:
        opening = ledger.unseal if write else ledger.would_unseal
        lock = lock_of(job, promise)
        opened = opening(_newest_days(streams), prereg_hash=lock, returns=returns).seal_from
        return Seal(day=min(opened.values()), opened=True, by_instrument=dict(opened))
    fixed = {}
    for symbol, day in sorted(_proposed_seals(streams).items()):
        if write:
            known: int | None = ledger.seal_day(symbol, day, returns=returns)
        else:
            known = ledger.sealed(symbol, returns=returns)
        fixed[symbol] = day if known is None else known
    return Seal(day=min(fixed.values()), opened=False, by_instrument=fixed)


def _proposed_seals(streams: Sequence[Stream]) -> dict[str, int]:
    """Return, per instrument, the first day of its newest 15 %, at least two months."""
    proposed: dict[str, int] = {}
    for stream in streams:
        day = choose_seal(stream.grid_days)
        symbol = stream.bars.instrument.symbol
        proposed[symbol] = min(day, proposed.get(symbol, day))
    return proposed


def _newest_days(streams: Sequence[Stream]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for stream in streams:
        symbol, last = stream.bars.instrument.symbol, int(stream.grid_days[-1])
        newest[symbol] = max(last, newest.get(symbol, last))
    return newest


def open_trial(job: Job, promise: dict[str, Any], folded: Folded) -> Ticket:
    """Write the trial into the ledger, before any result is seen.

    Its identity is the lock, the data, outside tables, and the seal its folds end at.
    """
    seal = folded.seal
    identity = sha256_json(
        {
            "lock": lock_of(job, promise),
            "data": [[b.stream, b.sha256, _terms(b.instrument)] for b in job.bars],
            "seal": {"opened": seal.opened, "from": seal.by_instrument},
            # Absent where there are none, so that trials from before them keep their identity.
            **({"inputs": [table.sha256 for table in job.bars[0].tables]} if job.inputs else {}),
        }
    )
    return _open(job, promise, folded, identity)


def open_ablations(
    job: Job, promise: dict[str, Any], folded: Folded, ticket: Ticket
) -> dict[str, Ticket]:
    """Open a trial for every block that is to be left out.

    A refit without a block is another model whose result is seen, and may be preferred
    for it. It is opened behind the trial it belongs to, so it counts for every later one.
    """
    blocks = job.config.ablate if job.learner is not None else ()
    return {
        block: _open(
            job, promise, folded, sha256_json({"of": ticket.identity, "without": block}),
            without=block,
        )
        for block in blocks
    }  # fmt: skip


def _open(job: Job, promise: dict[str, Any], folded: Folded, identity: str, **extra: str) -> Ticket:
    days, streams = folded.plan.test_days, folded.pool.streams
    prints: dict[str, set[str]] = {}
    for stream in streams:
        found = day_fingerprints(stream, days)
        prints.setdefault(stream.bars.instrument.symbol, set()).update(found)
    return job.ledger.open_trial(
        identity,
        strategy=job.strategy["name"],
        claim=job.config.resolved_claim,
        tested=DaysTested(
            days=days_by_instrument(streams, days),
            fingerprints={symbol: sorted(values) for symbol, values in prints.items()},
            returns=daily_returns(streams),
        ),
        prereg_hash=promise["hash"],
        effective=effective_trials,
        extra={"code_hash": job.code_hash, "version": __version__, **extra},
    )


def _terms(instrument: Instrument) -> dict[str, Any]:
    """Return what a declared instrument may change in a result, costs above all."""
    words = ("name", "exchange", "group", "source")
    return {key: value for key, value in asdict(instrument).items() if key not in words}


def close_trial(
    job: Job, ticket: Ticket, evidence: Evidence, verdict: Verdict, result_hash: str
) -> bool:
    """Close the trial; return whether every run of it so far has found the same."""
    days, values, found = _daily(evidence, "REAL")
    agrees = job.ledger.close_trial(
        ticket,
        decision=verdict.decision,
        days=days,
        daily_r=values,
        moments=found,
        result_hash=result_hash,
    )
    if not ticket.is_repeat:
        return agrees
    trials = job.ledger.trials()
    if any(trial.opened["extra"].get(_AGAIN) == ticket.identity for trial in trials):
        return False
    first = next(trial for trial in trials if trial.identity == ticket.identity)
    if agrees or first.closed is None or first.opened["extra"].get("version") == __version__:
        return agrees
    # Another version of FFM writes other records; what was found decides.
    then = first.closed
    known = (then["decision"], list(then["days"]), list(then["daily_r"]))
    return known == (verdict.decision, days, values)


def count_again(
    job: Job, promise: dict[str, Any], folded: Folded, ticket: Ticket, evidence: Evidence,
    result_hash: str,
) -> None:  # fmt: skip
    """Count a run that found another result than the trial it repeats; it was seen, too."""
    if result_hash == ticket.result_hash:
        return  # another run disagreed, and this one is the first over again
    identity = sha256_json({"of": ticket.identity, "found": result_hash})
    again = _open(job, promise, folded, identity, **{_AGAIN: ticket.identity})
    days, values, found = _daily(evidence, "REAL")
    job.ledger.close_trial(
        again, decision="INCONCLUSIVE", days=days, daily_r=values, moments=found,
        result_hash=result_hash,
    )  # fmt: skip


def close_ablations(job: Job, tickets: dict[str, Ticket], evidence: Evidence) -> None:
    """Close the trials of ``--ablate``; they were compared with REAL and judged by no check."""
    for block, ticket in tickets.items():
        days, values, found = _daily(evidence, WITHOUT + block)
        job.ledger.close_trial(
            ticket, decision="NONE", days=days, daily_r=values, moments=found,
            result_hash=sha256_json({"days": days, "daily_r": values}),
        )  # fmt: skip


def _daily(evidence: Evidence, arm: str) -> tuple[list[int], list[float], dict[str, float]]:
    """Return days, daily net R of an arm, and its moments."""
    values = daily_r(evidence.trades[arm], evidence.days)
    found = {
        name: value
        for name, value in asdict(moments(values)).items()
        if isinstance(value, float) and np.isfinite(value)
    }
    return evidence.days.tolist(), values.tolist(), found


@contextmanager
def accounted(ledger: Ledger) -> Iterator[None]:
    """Note trials that were opened and did not come to a result, whatever the reason."""
    try:
        yield
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        with suppress(FFMError):  # the next opening notes it, once this process is gone
            ledger.abort_own("interrupted" if interrupted else type(error).__name__)
        raise


__all__ = [
    "accounted",
    "close_ablations",
    "close_trial",
    "count_again",
    "lock_of",
    "open_ablations",
    "open_trial",
    "preregister",
    "seal_of",
]
