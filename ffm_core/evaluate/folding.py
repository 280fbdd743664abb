"""Streams pooled into one table, and the folds laid over it up to the seal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ffm_core.errors import DataQualityError
from ffm_core.evaluate.embedding import EmbeddedBlock
from ffm_core.evaluate.pool import Folded, Pool, Seal, pool_streams
from ffm_core.evaluate.streams import Stream
from ffm_core.evaluate.trial import seal_of
from ffm_core.records import voids_told
from ffm_core.ruler.folds import FoldPlan, FoldSettings, plan_folds
from ffm_core.ruler.tradable import REFUSED_VOID, data_voids
from ffm_core.types import Int32, Int64

if TYPE_CHECKING:
    from ffm_core.evaluate.job import Job


def fold(
    job: Job,
    promise: dict[str, Any],
    streams: Sequence[Stream],
    embedded: tuple[EmbeddedBlock, ...] = (),
) -> Folded:
    """Pool all streams and lay folds up to the seal that is known.

    Nothing is written: the seal is fixed by :func:`fix_seal`, once nothing can fail that
    would cost the tail of an instrument for nothing.

    Raises
    ------
    SampleError
        When no fold can be laid.
    DataQualityError
        When too many test decisions could not have been traded with these data, and
        ``accept_quality`` is not set.
    """
    blocks = [block for block in job.parts.blocks if block.name in streams[0].features]
    pool = pool_streams(streams, job.parts.labeler, blocks)
    days, start_us = _grid(streams)
    seal = seal_of(job, promise, streams, write=False)
    folded = Folded(
        pool=pool,
        plan=_lay(job, pool, days, start_us, seal),
        seal=seal,
        days=days,
        day_start_us=start_us,
        embedded=embedded,
    )
    if not job.config.accept_quality:
        refuse_untraded(folded)
    return folded


def refuse_untraded(folded: Folded) -> None:
    """Raise when no verdict could rest on what is left of the test decisions."""
    table, rows = folded.pool.table, folded.test_rows
    lost = data_voids(table.void[rows])
    if len(lost) <= REFUSED_VOID * len(rows):
        return
    told, mend = voids_told(lost)
    share = f"{100 * len(lost) / len(rows):.0f} %"
    worst = max(
        range(len(table.streams)),
        key=lambda one: len(data_voids(table.void[rows[table.stream[rows] == one]])),
    )
    raise DataQualityError(
        f"{table.streams[worst]}: {share} of {len(rows):,} test decisions "
        f"could not have been traded with these data: {told}",
        fix=f"{mend}, or judge what is left with --accept-quality: it will be INCONCLUSIVE",
    )


def fix_seal(job: Job, promise: dict[str, Any], folded: Folded) -> Folded:
    """Fix the seal in the ledger, or open it; where it is another now, lay the folds anew."""
    pool = folded.pool
    seal = seal_of(job, promise, pool.streams, write=True)
    if seal == folded.seal:
        return folded
    # Another process has fixed an earlier seal in between.
    plan = _lay(job, pool, folded.days, folded.day_start_us, seal)
    return replace(folded, seal=seal, plan=plan)


def _lay(job: Job, pool: Pool, days: Int32, start_us: Int64, seal: Seal) -> FoldPlan:
    config = job.config
    settings = FoldSettings(
        train=config.train_months,
        validation=config.validation_months,
        test=config.test_months,
        stride=config.test_months,
        embargo_days=config.embargo_days,
    )
    return plan_folds(
        pool.table,
        days,
        start_us,
        settings,
        first_day=max(int(stream.grid_days[0]) for stream in pool.streams),
        last_day=min(int(stream.grid_days[-1]) for stream in pool.streams),
        seal_day=seal.day,
        unsealed=seal.opened,
    )


def _grid(streams: Sequence[Stream]) -> tuple[Int32, Int64]:
    """Return the union of the streams' trading days; a shared day starts at its earliest open."""
    start: dict[int, int] = {}
    for stream in streams:
        for day, opens in zip(
            stream.grid_days.tolist(), stream.grid_start_us.tolist(), strict=True
        ):
            start[day] = min(opens, start.get(day, opens))
    days = sorted(start)
    return (
        np.array(days, dtype=np.int32),
        np.array([start[day] for day in days], dtype=np.int64),
    )


__all__ = ["fix_seal", "fold", "refuse_untraded"]
