"""What is about to be judged: parts, parameters, streams, folds, seal, identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ffm_core.causal.falsify import merge
from ffm_core.errors import SampleError
from ffm_core.evaluate.embedding import EmbeddedBlock, certify_embedders, embed_streams
from ffm_core.evaluate.executor import Executor
from ffm_core.evaluate.pool import Pool, pool_streams
from ffm_core.evaluate.progress import Progress
from ffm_core.evaluate.streams import Parts, Source, Stream, StreamTask, prepare_stream
from ffm_core.records import Certificate, ExitPolicy, Params, ParamValue
from ffm_core.ruler.folds import FoldPlan, FoldSettings, choose_seal, plan_folds
from ffm_core.runs.config import EvalConfig
from ffm_core.runs.ledger import Ledger
from ffm_core.runs.resolve import check_params
from ffm_core.types import Bool, Int32, Int64

_OTHER_BARS = 4_096  # of another stream, enough for any future that is spliced in


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The earliest seal of the run's instruments."""

    day: int  # first sealed trading date, days since 1970
    opened: bool
    by_instrument: dict[str, int]


class SealOf(Protocol):
    """How a run learns its seal from the proposals of its instruments."""

    def __call__(self, proposed: dict[str, int], *, write: bool) -> Seal:
        """Return the seal; only with ``write`` is it fixed or opened in the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Streams, pool and folds; no outcome has been looked at to get here."""

    parts: Parts
    params: dict[str, ParamValue]
    label_params: dict[str, ParamValue]
    run_params: dict[str, ParamValue]
    tasks: tuple[StreamTask, ...]
    pool: Pool
    folds: FoldPlan
    seal: Seal
    days: Int32  # union grid of trading days
    day_start_us: Int64
    proof: Certificate | None = None  # of embedders, learner and folds, where there are any
    embedded: tuple[EmbeddedBlock, ...] = ()

    @property
    def first_test_us(self) -> int | None:
        """Open of the first test day over all streams, microseconds UTC; None without folds."""
        if not self.folds.folds:
            return None
        day = min(fold.test_days[0] for fold in self.folds.folds)
        place = min(int(np.searchsorted(self.days, day)), len(self.days) - 1)
        return int(self.day_start_us[place])

    @property
    def sealed(self) -> Bool:
        """Decisions whose outcome could reach past the seal, (N,); none once it is opened."""
        table = self.pool.table
        place = int(np.searchsorted(self.days, self.seal.day))
        if self.seal.opened or place == len(self.days):
            return np.zeros(len(table), dtype=np.bool_)
        return np.asarray(table.t_end_max >= self.day_start_us[place])


def prepare(
    config: EvalConfig,
    bars: Sequence[Any],
    source: Source,
    *,
    code_hash: str,
    home: Path,
    executor: Executor[StreamTask, Stream],
    progress: Progress,
    seal_of: SealOf,
    prove: Callable[[Pool, FoldPlan], Certificate] | None = None,
) -> Prepared:
    """Prepare all streams and lay the folds; ``prove`` falsifies what needs them.

    A seal is fixed or opened last of all, once folds can be laid and nothing reads the
    future: work that comes to nothing must not cost the tail of an instrument.
    """
    parts = source.open()
    tasks = tasks_of(config, bars, source, parts, code_hash=code_hash, home=home)
    first = tasks[0]
    stage = progress.stage("decisions and causality", len(tasks))
    streams = []
    for stream in executor.run(prepare_stream, tasks):
        streams.append(stream)
        stage.advance()
    if not any(len(stream.decisions) for stream in streams):
        raise SampleError(
            f"labeler {parts.labeler.name!r} found no decision in {len(streams)} stream(s)",
            fix="bring a longer span, or check the strategy's parameters",
        )
    proven = _proven(tasks, parts, streams)
    streams, embedded = embed_streams(parts, streams, home, progress, proven=proven)
    pool = pool_streams(streams, parts.labeler, parts.blocks)
    days, start_us = _grid(streams)
    broken = any(one.status == "broken" for one in (*proven, *(s.certificate for s in streams)))
    try:
        seal, folds, proof = _lay(
            config, streams, pool, days, start_us, seal_of, prove, broken=broken
        )
    except SampleError:
        if not broken:
            raise
        seal, folds = _nothing_laid(config, streams)  # look-ahead matters more than length
        proof = None
    return Prepared(
        parts=parts,
        params=dict(first.params),
        label_params=dict(first.label_params),
        run_params=dict(first.run_params),
        tasks=tasks,
        pool=pool,
        folds=folds,
        seal=seal,
        days=days,
        day_start_us=start_us,
        proof=merge([*proven, *([proof] if proof is not None else [])])
        if proven or proof is not None
        else None,
        embedded=embedded,
    )


def _proven(
    tasks: Sequence[StreamTask], parts: Parts, streams: Sequence[Stream]
) -> list[Certificate]:
    """Return what was proven of the embedders; nothing where a stream is broken already."""
    if any(stream.certificate.status == "broken" for stream in streams):
        return []
    most = max(range(len(streams)), key=lambda i: len(streams[i].decisions))
    return certify_embedders(tasks[most], parts, streams[most].decisions)


def _lay(
    config: EvalConfig,
    streams: Sequence[Stream],
    pool: Pool,
    days: Int32,
    start_us: Int64,
    seal_of: SealOf,
    prove: Callable[[Pool, FoldPlan], Certificate] | None,
    *,
    broken: bool,
) -> tuple[Seal, FoldPlan, Certificate | None]:
    proposed = _proposed_seals(streams)
    lay = partial(
        plan_folds,
        pool.table,
        days,
        start_us,
        _fold_settings(config),
        first_day=_span(streams)[0],
        last_day=_span(streams)[1],
    )
    seal = seal_of(proposed, write=False)
    folds = lay(seal_day=seal.day, unsealed=seal.opened)
    proof = None if broken or prove is None else prove(pool, folds)
    if broken or (proof is not None and proof.status == "broken"):
        return replace(seal, opened=False), folds, proof
    fixed = seal_of(proposed, write=True)
    if fixed != seal:  # another process has fixed an earlier seal in between
        folds = lay(seal_day=fixed.day, unsealed=fixed.opened)
    return fixed, folds, proof


def _nothing_laid(config: EvalConfig, streams: Sequence[Stream]) -> tuple[Seal, FoldPlan]:
    span = _span(streams)
    plan = FoldPlan(
        multiplier=1,
        settings=_fold_settings(config),
        span=span,
        months=(),
        folds=(),
        skipped=(),
        test_days=np.empty(0, dtype=np.int32),
    )
    return Seal(day=span[1] + 1, opened=False, by_instrument={}), plan


def _span(streams: Sequence[Stream]) -> tuple[int, int]:
    first = max(int(stream.grid_days[0]) for stream in streams)
    return first, min(int(stream.grid_days[-1]) for stream in streams)


def _fold_settings(config: EvalConfig) -> FoldSettings:
    return FoldSettings(
        train=config.train_months,
        validation=config.validation_months,
        test=config.test_months,
        stride=config.test_months,
        embargo_days=config.embargo_days,
    )


def tasks_of(
    config: EvalConfig,
    bars: Sequence[Any],
    source: Source,
    parts: Parts,
    *,
    code_hash: str,
    home: Path,
) -> tuple[StreamTask, ...]:
    """Return what preparing each stream needs, parameters checked."""
    params = check_params(parts.labeler.params, config.params, owner=parts.labeler.name)
    label_params, run_params = _exit_params(parts, params, config)
    horizon = params.get("horizon_bars", parts.labeler.horizon_bars)
    return tuple(
        StreamTask(
            source=source,
            bars=item,
            params=params,
            label_params=label_params,
            run_params=run_params,
            horizon_bars=int(horizon),
            flat_at_session_end=config.flat_at_session_end,
            slippage_ticks=config.slippage_ticks,
            seed=config.seed,
            code_hash=code_hash,
            home=home,
            other=_other(bars, item),
        )
        for item in bars
    )


def _other(bars: Sequence[Any], item: Any) -> Any:
    """Return the end of the next stream of another instrument, or None."""
    symbol = item.instrument.symbol
    others = [other for other in bars if other.instrument.symbol != symbol]
    later = (other for other in others if other.instrument.symbol > symbol)
    found = next(later, others[0] if others else None)
    return None if found is None else found[max(len(found) - _OTHER_BARS, 0) :]


def _exit_params(
    parts: Parts, params: dict[str, ParamValue], config: EvalConfig
) -> tuple[dict[str, ParamValue], dict[str, ParamValue]]:
    """Return the parameters of the label policy and of the run's policy.

    A labeler parameter of the same name (``rr``) is the policy's default; what the
    user sets for the exit goes to the run's policy, and to the labels too when both
    are the same policy.
    """

    def own(policy: ExitPolicy, given: Params) -> dict[str, ParamValue]:
        inherited = {p.name: params[p.name] for p in policy.params if p.name in params}
        return check_params(policy.params, {**inherited, **given}, owner=f"exit {policy.name}")

    run = own(parts.run_policy, config.exit_params)
    same = parts.run_policy.name == parts.label_policy.name
    return (run if same else own(parts.label_policy, {})), run


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


def _proposed_seals(streams: Sequence[Stream]) -> dict[str, int]:
    """Return, per instrument, the first day of its newest 15 %, at least two months."""
    proposed: dict[str, int] = {}
    for stream in streams:
        grid = stream.grid_days
        day = choose_seal(grid)
        symbol = stream.bars.instrument.symbol
        proposed[symbol] = min(day, proposed.get(symbol, day))
    return proposed


def ledger_seal(ledger: Ledger, *, dry: bool = False) -> SealOf:
    """Return how a run learns its seal from the ledger; a dry run never writes."""

    def seal_of(proposed: dict[str, int], *, write: bool) -> Seal:
        fixed = {}
        for symbol, day in sorted(proposed.items()):
            known = ledger.seal_day(symbol, day) if write and not dry else ledger.sealed(symbol)
            fixed[symbol] = day if known is None else known
        return Seal(day=min(fixed.values()), opened=False, by_instrument=fixed)

    return seal_of
