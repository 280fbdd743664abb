"""What each arm holds: REAL and NAIVE, random picks, random entries, controls, refits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ffm_core.evaluate.fit import FoldViews, fit_control, real_fit
from ffm_core.evaluate.pick import Picks, pick
from ffm_core.evaluate.pool import Pool
from ffm_core.evaluate.selector import Selector
from ffm_core.evaluate.terms import Terms
from ffm_core.evaluate.trades import hold, trades_of, trades_of_bars
from ffm_core.records import Decisions, Design, Learner, Outcomes, Trades, View, answers
from ffm_core.ruler import positions
from ffm_core.ruler.arms import draw_random, match_entry_bars
from ffm_core.ruler.months import month_of
from ffm_core.types import Int8, Int32, Int64

if TYPE_CHECKING:
    from ffm_core.evaluate.job import Job
    from ffm_core.evaluate.pool import Folded
    from ffm_core.evaluate.progress import Progress

WITHOUT = "without "  # before the block an ablated arm leaves out


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What REAL holds: its picks, and what became of every decision under the run's exits."""

    test: Picks
    outcomes: Outcomes
    validation: Trades | None  # None without a learner


def hold_positions(job: Job, pool: Pool, test: Picks, validation: Picks) -> Holdings:
    """Fill the picks under the run's exits and hold those whose place is free."""
    outcomes = seen = pool.outcomes
    if job.terms.exit.kind == "predicted" and job.learner is not None:
        outcomes = predicted_outcomes(pool, test, job.terms)
        seen = predicted_outcomes(pool, validation, job.terms)
    chosen = None
    if job.learner is not None:
        # A validation month serves one fold, so its rows are unique.
        rows = hold(validation.row[validation.picked], pool.table.stream, seen, job.terms.overlap)
        chosen = trades_of(pool, rows, seen)
    test = test.take(outcomes.valid[test.row])
    rows = hold(test.row[test.picked], pool.table.stream, outcomes, job.terms.overlap)
    held = replace(test, taken=test.picked & np.isin(test.row, rows))
    return Holdings(test=held, outcomes=outcomes, validation=chosen)


def predicted_outcomes(pool: Pool, picks: Picks, terms: Terms) -> Outcomes:
    """Fill a predicted policy with each row's own target; other rows keep theirs.

    Every arm shares these targets, so that arms differ in what they take and in
    nothing else.
    """
    target_of = terms.exit.target_of
    assert target_of is not None
    target = target_of(picks.predicted_r, terms.exit_params)
    target = answers.targets(terms.exit, target, picks.predicted_r)
    merged = {name: values.copy() for name, values in pool.outcomes.arrays().items()}
    for number, stream in enumerate(pool.streams):
        mine = np.flatnonzero(pool.table.stream[picks.row] == number)
        mine = mine[np.argsort(picks.row[mine], kind="stable")]
        if len(mine) == 0:
            continue
        rows = picks.row[mine]
        decisions = stream.decisions.take(pool.source_row[rows])
        found = terms.fill(stream.bars, decisions, target_r=target[mine], broken=stream.holes)
        for name, values in found.arrays().items():
            merged[name][rows] = values
    return Outcomes(**merged)


def with_tie(pool: Pool, rows: Int64, outcomes: Outcomes, terms: Terms, tie: str) -> Outcomes:
    """Return what became of pooled rows had bars that touch both levels gone another way.

    Parameters
    ----------
    rows : int64 (n,)
        Pooled rows, in any order.
    outcomes : Outcomes
        Of the pool under the run's exits, with the targets each row had.
    tie : str
        Who wins when one bar touches stop and target; see ``TIES``.
    """
    found = outcomes.take(rows)
    merged = {name: values.copy() for name, values in found.arrays().items()}
    for number, stream in enumerate(pool.streams):
        mine = np.flatnonzero(pool.table.stream[rows] == number)
        mine = mine[np.argsort(rows[mine], kind="stable")]
        if len(mine):
            other = terms.fill(
                stream.bars, stream.decisions.take(pool.source_row[rows[mine]]),
                target_r=found.target_r[mine], columns=stream.exit_columns,
                broken=stream.holes, tie=tie,
            )  # fmt: skip
            for name, values in other.arrays().items():
                merged[name][mine] = values
    return Outcomes(**merged)


def random_rows(pool: Pool, real: Holdings, terms: Terms, *, draws: int, seed: int) -> list[Int64]:
    """Return the pooled rows that each RANDOM draw holds."""
    rows, table = real.test.row, pool.table
    drawn = draw_random(
        real.test.picked, table.stream[rows], table.month[rows], draws=draws, seed=seed
    )
    return [hold(rows[draw], table.stream, real.outcomes, terms.overlap) for draw in drawn]


def entry_trades(pool: Pool, real: Holdings, terms: Terms, *, draws: int, seed: int) -> Trades:
    """Return the trades of random bars matched to the decisions, all draws together.

    Each stands for one decision: same stream, month and hour, same risk in ATR,
    same target and horizon, same exits, held as the other arms are. A trade weighs
    ``1 / draws``.
    """
    rows, table = real.test.row, pool.table
    candidates = [_candidate_bars(pool, number, rows) for number in range(len(pool.streams))]
    stream_of = np.concatenate([np.full(len(c), n) for n, c in enumerate(candidates)])
    bars = np.concatenate(candidates)
    months = [_stream_months(pool, n)[c] for n, c in enumerate(candidates)]
    hours = np.concatenate([pool.streams[n].hour[c] for n, c in enumerate(candidates)])
    candidates_of, sides_of = match_entry_bars(
        table.stream[rows],
        table.month[rows],
        table.hour[rows],
        table.side[rows],
        stream_of.astype(np.int16),
        np.concatenate(months).astype(np.int32),
        hours,
        draws=draws,
        seed=seed,
    )
    held = [trades_of(pool, rows[:0], real.outcomes)]
    for candidate, side in zip(candidates_of, sides_of, strict=True):
        parts = []
        for number in range(len(pool.streams)):
            chosen = (candidate >= 0) & (table.stream[rows] == number)
            if chosen.any():
                at = bars[candidate[chosen]]
                own = _entry_draw(pool, number, rows[chosen], at, side[chosen], real, terms)
                parts.append(own)
        if parts:
            trades = Trades.concat(parts).in_time_order()
            free = positions.hold(trades.stream, trades.t_entry, trades.t_exit, terms.overlap)
            held.append(trades.take(free))
    every = Trades.concat(held).in_time_order()
    return replace(every, weight=np.full(len(every), 1.0 / draws))


def _entry_draw(
    pool: Pool, number: int, rows: Int64, at: Int64, side: Int8, real: Holdings, terms: Terms
) -> Trades:
    stream = pool.streams[number]
    order = np.lexsort((side, at))
    rows, at, side = rows[order], at[order], side[order]
    # A cell with fewer bars than decisions repeats a bar; one trade per (bar, side) stands.
    fresh = np.ones(len(at), dtype=np.bool_)
    fresh[1:] = (at[1:] != at[:-1]) | (side[1:] != side[:-1])
    rows, at, side = rows[fresh], at[fresh], side[fresh]
    own = pool.source_row[rows]
    scale = stream.atr[at] / stream.atr[stream.decisions.bar[own]]
    horizon = stream.decisions.horizon_bars
    decisions = Decisions(
        bar=at,
        side=side,
        risk=real.outcomes.risk[rows] * scale,
        target_r=real.outcomes.target_r[rows],
        horizon_bars=None if horizon is None else horizon[own],
    )
    found = terms.fill(
        stream.bars,
        decisions,
        target_r=decisions.target_r,
        columns=stream.exit_columns,
        broken=stream.holes,
    )
    return trades_of_bars(pool, number, at, side, found)


def _stream_months(pool: Pool, number: int) -> Int32:
    return month_of(pool.streams[number].day)


def _candidate_bars(pool: Pool, number: int, rows: Int64) -> Int64:
    """Return bars of a stream on which a random trader could have decided.

    Bars of the test rows' months with a known ATR; decisions themselves are not
    excluded, since a random trader may hit one.
    """
    stream = pool.streams[number]
    months = np.unique(pool.table.month[rows[pool.table.stream[rows] == number]])
    wanted = np.isin(_stream_months(pool, number), months) & np.isfinite(stream.atr)
    wanted &= stream.atr > 0
    if len(wanted):
        wanted[-1] = False  # no next bar to enter on
    return np.flatnonzero(wanted)


# --- refits -------------------------------------------------------------------------------


def control_trades(
    job: Job, folded: Folded, views: Sequence[FoldViews], real: Holdings, progress: Progress
) -> dict[str, Trades]:
    """Fit the extra controls of extensions; they are reported and gate nothing."""
    found: dict[str, Trades] = {}
    if not job.controls or job.learner is None:
        return found
    stage = progress.stage("extra controls", len(job.controls))
    pool = folded.pool
    for control in job.controls:
        fit = partial(
            fit_control, learner=job.learner, seed=job.config.seed, share=job.config.top_share,
            control=control,
        )  # fmt: skip
        picked = job.executor.run(fit, views)
        rows = [fold.test[one] for fold, one in zip(folded.plan.folds, picked, strict=True)]
        held = hold(np.concatenate(rows), pool.table.stream, real.outcomes, job.terms.overlap)
        found[control.name] = trades_of(pool, held, real.outcomes)
        stage.advance()
    return found


def ablated_trades(
    job: Job, folded: Folded, views: Sequence[FoldViews], real: Holdings, progress: Progress
) -> dict[str, Trades]:
    """Return the arm ``without <block>`` for every block that is to be left out.

    The model is fitted as REAL is: same folds, labels, seeds, share taken, exits and
    predicted targets. Only the columns of the block are missing.

    Returns
    -------
    dict of str to Trades
        Empty without a learner or without ``--ablate``.
    """
    found: dict[str, Trades] = {}
    if job.learner is None or not job.config.ablate:
        return found
    stage = progress.stage("ablation", len(job.config.ablate))
    for block in job.config.ablate:
        found[WITHOUT + block] = _without(job, job.learner, folded, views, real, block)
        stage.advance()
    return found


def _without(
    job: Job,
    learner: Learner,
    folded: Folded,
    views: Sequence[FoldViews],
    real: Holdings,
    block: str,
) -> Trades:
    less = [
        replace(
            fold,
            train=drop_block(fold.train, block),
            validation=drop_block(fold.validation, block),
            test=drop_block(fold.test, block),
        )
        for fold in views
    ]
    fitted = job.executor.run(real_fit(job, learner, frozenset({"score"})), less)
    selectors = [Selector.of(data, learner) for data in fitted]
    test, _ = pick(folded.plan, less, selectors)
    stream = folded.pool.table.stream
    rows = hold(test.row[test.picked], stream, real.outcomes, job.terms.overlap)
    return trades_of(folded.pool, rows, real.outcomes)


def drop_block(view: View, block: str) -> View:
    """Return a view without the columns of one block."""
    names = view.design.names
    kept = [i for i, name in enumerate(names) if not name.startswith(f"{block}/")]
    x = np.ascontiguousarray(view.design.x[:, kept])
    return replace(view, design=Design(x=x, names=tuple(names[i] for i in kept)))
