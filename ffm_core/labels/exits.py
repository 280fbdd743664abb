"""From an exit policy to fills: its orders, filled by the one step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.table import Bars
from ffm_core.labels.compiling import STEP_ERRORS, compile_step, locked, raised, start_of
from ffm_core.labels.entries import Entries
from ffm_core.labels.kernels import Walked, fill_barriers, fill_columns
from ffm_core.labels.policies import setting
from ffm_core.labels.step import TIES, Rules, rules_on
from ffm_core.records import LEVELS, ExitPolicy, Params, answers
from ffm_core.types import Float64


def exit_columns(policy: ExitPolicy, bars: Bars, params: Params) -> Float64 | None:
    """Return the columns of a policy on a stream, float64 (T, K); None where it has none.

    Raises
    ------
    StrategyError
        When its ``batch`` returns something else than it declares.
    """
    if policy.batch is None:
        return None
    return answers.orders(policy, policy.batch(bars, dict(params)), bars)


def rules_of(
    policy: ExitPolicy, params: Params, instrument: Instrument, tie: str | None = None
) -> Rules:
    """Return how bars are read under a policy: stop first, gaps at the open, unless it says.

    ``tie`` wins over what the policy says.
    """
    if tie is None:
        tie = str(setting(policy, params, "tie")) if policy.declares("tie") else TIES[0]
    gap = setting(policy, params, "target_gap") if policy.declares("target_gap") else "open"
    return rules_on(instrument.tick_size, tie=tie, gap_at_open=gap == "open")


def fill(
    bars: Bars,
    entries: Entries,
    policy: ExitPolicy,
    params: Params,
    columns: Float64 | None,
    tie: str | None = None,
) -> Walked:
    """Walk entries to their ends under the orders of a policy.

    Parameters
    ----------
    bars : Bars
        The stream, ``T`` bars.
    entries : Entries
        ``N`` of them, from :func:`~ffm_core.labels.entries.entries_of`.
    policy, params
        The exit policy and its settings.
    columns : float64 (T, K), optional
        From :func:`exit_columns`; only when the policy has any.
    tie : str, optional
        Who wins when one bar touches both levels, instead of what the policy says.

    Raises
    ------
    StrategyError
        When its step cannot be compiled, or raises.
    """
    prices = (bars.open, bars.high, bars.low, bars.close)
    trades = (entries.bar, entries.side, entries.stop, entries.target, entries.risk)
    rules = rules_of(policy, params, bars.instrument, tie)
    series: list[Any]
    if policy.step is not None:
        rows = np.zeros((len(bars), 0)) if columns is None else columns
        walk = compile_step(policy, params).walk
        series = [*prices, bars.volume, entries.flat_at, *trades, entries.atr]
        series.append(entries.horizon_bars)
        given = [locked(values) for values in series]
        try:
            return walk(*given, rules, locked(rows), *start_of(policy, params))
        except STEP_ERRORS as error:
            raise raised(policy, error) from error
    series = [*prices, entries.flat_at, *trades, entries.horizon_bars]
    level: list[Any] = [*(locked(values) for values in series), rules]
    if columns is None:
        return fill_barriers(*level)
    levels = np.full((len(bars), len(LEVELS)), np.nan)
    for at, column in enumerate(policy.columns):
        levels[:, LEVELS.index(column.name)] = columns[:, at]
    level += [locked(levels), policy.kind != "managed"]
    return fill_columns(*level)


__all__ = ["exit_columns", "fill", "rules_of"]
