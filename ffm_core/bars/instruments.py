"""The table of known instruments, and how to declare one of your own."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ffm_core.bars.instrument import Instrument
from ffm_core.errors import ContractError, DataError
from ffm_core.paths import ffm_home
from ffm_core.runs.reading import small_text
from ffm_core.wording import did_you_mean

DECLARE = (
    "declare it in FFM_HOME/instruments.toml or --instruments FILE: a table [instrument.{symbol}] "
    "with name, exchange, group, tick_size, point_value"
)
_EXAMPLE = 'write [instrument.XX] and below it like = "ES", name = "…", tick_size = 0.25'
_FIELDS = {f.name: f.type for f in fields(Instrument)}
_RATE = "fee_rate_per_side"
_NUMBERS = frozenset(name for name, kind in _FIELDS.items() if kind == "float")


def lookup(symbol: str, *, declared: Path | None = None) -> Instrument:
    """Return what is known about an instrument.

    Parameters
    ----------
    symbol : str
        Root such as ``ES``; case does not matter. Names that begin with
        ``SIM`` are simulated markets.
    declared : pathlib.Path, optional
        A file of declarations that wins over ``FFM_HOME/instruments.toml``,
        which wins over the shipped table.

    Raises
    ------
    ContractError
        For an unknown symbol, with near misses and the way to declare it.
    """
    name = symbol.strip().upper()
    table = _declared(declared)
    if name in table:
        return table[name]
    if name.startswith("SIM"):
        return _simulated(name)
    raise ContractError(_unknown(name, tuple(table)), fix=DECLARE.format(symbol=name or "XX"))


def known() -> tuple[Instrument, ...]:
    """Return every shipped or declared instrument, in order of symbol."""
    table = _table(_home_stamp())
    return tuple(table[name] for name in sorted(table))


def is_known(symbol: str, *, declared: Path | None = None) -> bool:
    """Say whether :func:`lookup` would find ``symbol``.

    Raises
    ------
    ContractError
        When a file of declarations cannot be used.
    """
    name = symbol.strip().upper()
    if name in _declared(declared):
        return True
    try:
        lookup(name, declared=declared)
    except ContractError:
        return False
    return True


def undercuts(instrument: Instrument) -> bool:
    """Say whether an instrument is charged less than FFM would charge it.

    Parameters
    ----------
    instrument : Instrument
        As it is used, wherever it was declared.

    Returns
    -------
    bool
        True when a round trip costs fewer points than that of the shipped contract of the
        same symbol. Without one: when it has no commission and fees, unless it is a proxy,
        or slips by less than a tick per side.
    """
    try:
        ours = _shipped().get(instrument.symbol) or _simulated(instrument.symbol)
    except ContractError:
        flat = instrument.commission_per_side + instrument.fees_per_side
        free = not flat + instrument.fee_rate_per_side
        return (free and instrument.kind != "proxy") or instrument.slippage_ticks < 1
    less = instrument.fee_rate_per_side < ours.fee_rate_per_side
    return less or instrument.cost_points() < ours.cost_points()


def declare(path: Path) -> dict[str, Instrument]:
    """Read a file of declared instruments.

    Each table ``[instrument.SYMBOL]`` gives ``name``, ``exchange``, ``group``,
    ``tick_size`` and ``point_value`` and any other field of
    :class:`~ffm_core.bars.instrument.Instrument`; ``like = "ES"`` starts from a
    known instrument.

    Raises
    ------
    ContractError
        When the file cannot be read or a declaration is incomplete.
    """
    try:
        content = tomllib.loads(small_text(path))
    except OSError as err:
        raise ContractError(
            f"{path}: cannot be read: {err.strerror}", fix="give --instruments a readable TOML file"
        ) from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ContractError(f"{path}: not a TOML file: {err}", fix=_EXAMPLE) from err
    templates = {symbol: _facts(row) for symbol, row in _shipped().items()}
    return _build(content, templates, str(path))


def _simulated(symbol: str) -> Instrument:
    from ffm_core.bars.simulate import instrument

    return instrument(symbol)


def _declared(extra: Path | None) -> dict[str, Instrument]:
    """Return every table by symbol, the nearest declaration winning."""
    table = _table(_home_stamp())
    return table if extra is None else {**table, **declare(extra)}


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Instrument]:
    text = resources.files("ffm_core.bars").joinpath("instruments.toml").read_text("utf-8")
    content = tomllib.loads(text)
    return _build(content, content["defaults"], "instruments.toml")


def _home_stamp() -> tuple[Path, int] | None:
    # The modification time is part of the cache key, so an edit is seen at once.
    path = ffm_home() / "instruments.toml"
    try:
        return path, path.stat().st_mtime_ns
    except OSError:
        return None


@lru_cache(maxsize=4)
def _table(home: tuple[Path, int] | None) -> dict[str, Instrument]:
    return {**_shipped(), **(declare(home[0]) if home is not None else {})}


def _facts(instrument: Instrument) -> dict[str, Any]:
    return {name: getattr(instrument, name) for name in _FIELDS if name != "symbol"}


def _build(content: dict[str, Any], templates: Any, where: str) -> dict[str, Instrument]:
    rows = content.get("instrument", {})
    if not isinstance(rows, dict) or not rows:
        raise ContractError(f"{where}: contains no [instrument.SYMBOL] table", fix=_EXAMPLE)
    return {
        symbol.upper(): _instrument(symbol.upper(), row, templates, where)
        for symbol, row in rows.items()
    }


def _instrument(symbol: str, row: Any, templates: Any, where: str) -> Instrument:
    if not isinstance(row, dict):
        raise ContractError(f"{where}: instrument.{symbol} is not a table", fix=_EXAMPLE)
    own = {key: value for key, value in row.items() if key != "like"}
    like = row.get("like")
    if like is not None and not (isinstance(like, str) and like in templates):
        what = f"{where}: {symbol}: 'like' names an unknown instrument:"
        raise ContractError(_unknown(str(like), tuple(templates), what), fix=_correct(symbol))
    facts = {**(templates[like] if like is not None else {}), **own}
    if own.get("fees_per_side") and _RATE not in own and facts.get(_RATE):
        raise ContractError(
            f"{where}: {symbol}: fees_per_side is money, and {like} charges a share of the price",
            fix="state the share as fee_rate_per_side, or write fee_rate_per_side = 0 as well",
        )
    _check_fields(symbol, facts, where)
    numbers = {key: float(value) for key, value in facts.items() if key in _NUMBERS}
    found = Instrument(symbol=symbol, **{**facts, **numbers})
    _check_zone_and_times(found, where)
    return found


def _check_fields(symbol: str, facts: dict[str, Any], where: str) -> None:
    if unknown := sorted(set(facts) - set(_FIELDS) | ({"symbol"} & set(facts))):
        what = f"{where}: {symbol}: unknown field"
        raise ContractError(
            _unknown(unknown[0], tuple(_FIELDS), what),
            fix=f"the fields are {', '.join(name for name in _FIELDS if name != 'symbol')}",
        )
    for key in ("name", "exchange", "group", "tick_size", "point_value"):
        if key not in facts:
            raise ContractError(
                f"{where}: {symbol}: {key} is missing",
                fix='add it, or start from a known instrument with like = "ES"',
            )
    for key, value in facts.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if (key in _NUMBERS and not number) or (key not in _NUMBERS and not isinstance(value, str)):
            kind = "a number" if key in _NUMBERS else "text"
            raise ContractError(
                f"{where}: {symbol}: {key} must be {kind}, got {value!r}", fix=_correct(symbol)
            )


def _check_zone_and_times(found: Instrument, where: str) -> None:
    for key in ("timezone", "rth_timezone"):
        zone = getattr(found, key)
        try:
            ZoneInfo(zone or "UTC")
        except (KeyError, ValueError, OSError) as err:
            raise ContractError(
                f"{where}: {found.symbol}: {key} {zone!r} is not an IANA time zone",
                fix="write it like America/New_York or UTC",
            ) from err
    for key in ("session_open", "session_close", "rth_open", "rth_close"):
        try:
            minutes_of_day(getattr(found, key))
        except (ValueError, DataError) as err:
            raise ContractError(
                f"{where}: {found.symbol}: {key} must be HH:MM, got {getattr(found, key)!r}",
                fix=_correct(found.symbol),
            ) from err


def _correct(symbol: str) -> str:
    return f"correct the table [instrument.{symbol}]"


def minutes_of_day(clock: str) -> int:
    """Return the minutes since midnight of ``HH:MM``.

    Raises
    ------
    ValueError
        When the text is not a time of day.
    """
    hours, minutes = clock.split(":")
    value = int(hours) * 60 + int(minutes)
    if not (0 <= int(minutes) < 60 and 0 <= value <= 1440):
        raise ValueError(f"{clock!r} is not a time of day")
    return value


def _unknown(name: str, among: tuple[str, ...], what: str = "unknown instrument") -> str:
    return f"{what} {name!r}{did_you_mean(name, among, most=3, cutoff=0.5)}"
