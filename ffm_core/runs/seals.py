"""Seals: the last months of an instrument that nobody looks at until the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ffm_core.errors import UsageError
from ffm_core.runs.chain import Event, Writer
from ffm_core.wording import counted

# A seal covers at least two months; a shorter tail could be opened day after day.
MINIMUM_DAYS = 59
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """A tail that was opened.

    Parameters
    ----------
    seal_from, newest : mapping of str to int
        Per instrument the first day that had been sealed and the newest day opened,
        days since 1970.
    first : bool
        This call opened it; False when the same pre-registration had done so before.
    """

    seal_from: Mapping[str, int]
    newest: Mapping[str, int]
    first: bool


def current(events: Sequence[Event], names: Collection[str]) -> int | None:
    """Return the first sealed day of a market by all its names, or None when none is fixed."""
    sealed: list[int] = []
    opened: list[int] = []
    for event in events:
        if event.kind == "sealed":
            payload = event.payload
            sealed += [int(payload["day"])] if payload["instrument"] in names else []
        elif event.kind == "unsealed":
            opened += [int(day) for name, day in event.payload["newest"].items() if name in names]
    return max(opened) + 1 if opened else min(sealed, default=None)


def fix(writer: Writer, instrument: str, names: Collection[str], proposed_day: int) -> int:
    """Return the first sealed day, writing ``proposed_day`` down when it is the first."""
    known = current(writer.events, names)
    if known is not None:
        return known
    writer.append("sealed", {"instrument": instrument, "day": int(proposed_day)})
    return int(proposed_day)


def would_open(
    events: Sequence[Event],
    newest: Mapping[str, int],
    names: Mapping[str, Collection[str]],
    prereg_hash: str,
) -> Unsealed:
    """Return what :func:`open_tail` would open, or raise as it would; writes nothing."""
    asked = {name: int(day) for name, day in sorted(newest.items())}
    for event in events:
        if event.kind == "unsealed" and event.payload["prereg_hash"] == prereg_hash:
            return _again(event, asked)
    begins = {
        name: _openable(events, name, names.get(name, {name}), day) for name, day in asked.items()
    }
    return Unsealed(seal_from=begins, newest=asked, first=True)


def open_tail(
    writer: Writer,
    newest: Mapping[str, int],
    names: Mapping[str, Collection[str]],
    prereg_hash: str,
) -> Unsealed:
    """Open the tails of all instruments of ``newest``, or return the earlier opening."""
    opened = would_open(writer.events, newest, names, prereg_hash)
    if opened.first:
        writer.append("unsealed", {"prereg_hash": prereg_hash, "seal_from": opened.seal_from,
                                   "newest": opened.newest})  # fmt: skip
    return opened


def _again(event: Event, asked: Mapping[str, int]) -> Unsealed:
    payload: dict[str, Any] = event.payload
    if payload["newest"] != asked:
        opened = ", ".join(f"{k} to {_iso(v)}" for k, v in payload["newest"].items())
        raise UsageError(
            f"this pre-registration opened its sealed tail on {event.time[:10]} ({opened}); "
            "it cannot be opened again with other data",
            fix="use the same data (--to cuts newer bars off), or drop --unseal",
        )
    return Unsealed(seal_from=payload["seal_from"], newest=payload["newest"], first=False)


def _openable(events: Sequence[Event], instrument: str, names: Collection[str], newest: int) -> int:
    begin = current(events, names)
    others = sorted(set(names) - {instrument})
    called = f"{instrument} (the same market as {', '.join(others)})" if others else instrument
    if begin is None:
        raise UsageError(
            f"{called} has no seal yet, so there is nothing to open",
            fix="evaluate once without --unseal first",
        )
    last = _last_opening(events, names)
    days = newest - begin + 1
    if last is not None and days < MINIMUM_DAYS:
        raise UsageError(
            f"the sealed tail of {called} was opened on {last.time[:10]} for pre-registration "
            f"{last.payload['prereg_hash'][:12]}, and a tail is opened only once; the next seal "
            f"begins on {_iso(begin)} and covers {counted(max(days, 0), 'day')} of these data",
            fix=f"drop --unseal, or wait until the next seal covers {MINIMUM_DAYS} days",
        )
    if days < 1:
        raise UsageError(
            f"the seal of {called} begins on {_iso(begin)}, after the end of these data",
            fix="drop --unseal: none of these data are sealed",
        )
    return begin


def _last_opening(events: Sequence[Event], names: Collection[str]) -> Event | None:
    openings = [event for event in events if event.kind == "unsealed"]
    own = (event for event in openings if not set(names).isdisjoint(event.payload["newest"]))
    return max(own, key=lambda event: event.seq, default=None)


def _iso(day: int) -> str:
    return (_EPOCH + dt.timedelta(days=day)).isoformat()
