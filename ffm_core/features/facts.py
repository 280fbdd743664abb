"""What is known of feature sets and their columns, for pages and lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ffm_core.errors import FFMError, UnknownNameError
from ffm_core.host.boundary import one_line
from ffm_core.host.discovery import listed
from ffm_core.host.loading import open_host
from ffm_core.host.registry import Offered
from ffm_core.records import Column, FeatureSet
from ffm_core.wording import suggest


def installed_sets(
    extensions: Sequence[str] = (),
) -> tuple[list[Offered[FeatureSet]], dict[str, str]]:
    """Return every feature set at hand, and why others cannot be had.

    Parameters
    ----------
    extensions : sequence of str
        Extensions to switch on, for sets they do not list.

    Returns
    -------
    tuple
        The sets of ffm-core and of the extensions, then those that installed packages list,
        each loaded by itself; and by name the reason why a listed one is missing.
    """
    hook = "ffm_feature_sets"
    found = open_host(None, extensions).feature_sets()
    known = {offer.record.name for offer in found}
    broken: dict[str, str] = {}
    for name in listed(hook):
        if name in known:
            continue
        try:
            found.append(open_host(naming=[(name, (hook,))]).feature_set(name))
        except FFMError as error:
            broken[name] = one_line(error)
    return found, broken


def set_facts(offer: Offered[FeatureSet]) -> Mapping[str, Any]:
    """Return the facts of a feature set as JSON types."""
    record, origin = offer.record, offer.origin
    return {
        "name": record.name,
        "summary": record.summary,
        "distribution": f"{origin.distribution} {origin.version}".strip(),
        "version": record.version,
        "n_columns": len(record.columns),
        "columns": [column.name for column in record.columns],
        "warmup_bars": record.warmup_bars,
        "history_bars": record.history_bars,
        "history_days": record.history_days,
        "history": history_text(record.history_bars, record.history_days),
        "memory": record.memory,
        "streaming": streaming_of(record),
    }


def streaming_of(record: FeatureSet) -> str:
    """Say how a set is streamed: ``step``, ``window`` (its history anew) or ``none``."""
    if record.stream is not None:
        return "step"
    return "none" if record.history_bars is record.history_days is None else "window"


def column_facts(record: FeatureSet, column: Column) -> Mapping[str, Any]:
    """Return the facts of a column as JSON types; what it leaves open is the set's."""
    own = column.memory is not None
    bars = column.history_bars if own else record.history_bars
    days = column.history_days if own else record.history_days
    return {
        "name": column.name,
        "set": record.name,
        "group": column.group,
        "unit": column.unit,
        "description": column.description,
        "formula": column.formula,
        "missing": column.missing,
        "sign": "follows the side of the trade" if column.signed else "",
        "warmup_bars": record.warmup_bars if column.warmup_bars is None else column.warmup_bars,
        "memory": column.memory or record.memory,
        "history_bars": bars,
        "history_days": days,
        "history": history_text(bars, days),
        "source": column.source,
    }


def history_text(bars: int | None, days: int | None) -> str:
    """Say in words which history reproduces a value."""
    parts = []
    if bars is not None:
        parts.append(f"{bars} bar" + "s" * (bars != 1))
    if days is not None:
        parts.append(f"{days} trading date" + "s" * (days != 1))
    return " and ".join(parts) or "the whole series"


def find_column(record: FeatureSet, name: str) -> Column:
    """Return a column by name.

    Raises
    ------
    UnknownNameError
        When the set has none of that name.
    """
    for column in record.columns:
        if column.name == name:
            return column
    raise UnknownNameError(
        f"feature set {record.name!r} has no column {name!r}",
        fix=suggest(name, [column.name for column in record.columns], noun="columns"),
    )
