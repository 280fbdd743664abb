"""From a path to audited :class:`~ffm_core.bars.table.Bars`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.instruments import DECLARE, is_known, lookup
from ffm_core.bars.quality import Audit, audit
from ffm_core.bars.readers._contracts import CONTRACT, choose_contract
from ffm_core.bars.readers._parquet import read_parquet
from ffm_core.bars.readers._sniff import SUFFIXES, sniff
from ffm_core.bars.readers._stamps import to_utc
from ffm_core.bars.readers._text import read_text
from ffm_core.bars.readers.options import Options, parse_data_option
from ffm_core.bars.sessions import trading_days
from ffm_core.bars.store import is_store, open_store
from ffm_core.bars.table import COLUMNS, Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.bars.validate import validate
from ffm_core.errors import ContractError, DataError, DataQualityError, SchemaError, UsageError
from ffm_core.paths import kind_of

_EPOCH = date(1970, 1, 1)
_ZONE = "for example --tz UTC or --tz America/New_York"
_HISTDATA_ZONE = (
    "EST as histdata documents it (no daylight saving), or America/New_York for downloads "
    "that open at 17:00 on Sundays all year"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedBars:
    """Validated bars and what happened on the way.

    Parameters
    ----------
    bars : Bars
        The bars.
    source_name : str
        Base name of the file or folder.
    counts : mapping of str to int
        Rows dropped by reason under policy ``drop``.
    audit : Audit
        What the plausibility audit found.
    """

    bars: Bars
    source_name: str
    counts: Mapping[str, int]
    audit: Audit


def load(path: Path | str, **options: object) -> LoadedBars:
    """Read, validate and audit one instrument at one timeframe.

    Parameters
    ----------
    path : path
        A file, or a folder of files of one instrument and timeframe.
    **options
        Fields of :class:`Options`.

    Raises
    ------
    SchemaError, UnsupportedFormatError, ContractError
        When the content cannot be bars of that instrument.
    DataQualityError
        When the audit refuses the data and ``accept_quality`` is not set.
    """
    how = Options(**options)  # type: ignore[arg-type]
    place = Path(path)
    if kind_of(place) == "folder":
        return _single(place, _load_folder(place, how))
    return _finish([_read_part(place, how)], place.name, how)


def load_many(
    specs: Iterable[str | tuple[str | None, Path]], **options: object
) -> list[LoadedBars]:
    """Load several ``ES=path`` or bare paths; a folder may hold several streams.

    Raises
    ------
    UsageError
        When two of them hold the same instrument and timeframe.
    """
    how = Options(**options)  # type: ignore[arg-type]
    loaded: list[LoadedBars] = []
    for spec in specs:
        symbol, place = parse_data_option(spec) if isinstance(spec, str) else spec
        own = replace(how, symbol=symbol or how.symbol)
        if kind_of(place) == "folder":
            loaded += _load_folder(place, own)
        else:
            loaded.append(_finish([_read_part(place, own)], place.name, own))
    holder: dict[str, str] = {}
    for item in loaded:
        if item.bars.stream in holder:
            raise UsageError(
                f"{holder[item.bars.stream]} and {item.source_name} both hold {item.bars.stream}",
                fix="drop one; the months of one series belong in one folder",
            )
        holder[item.bars.stream] = item.source_name
    return loaded


_Part: TypeAlias = tuple[Bars, Mapping[str, int], str]  # of one file: bars, dropped rows, name


def _single(place: Path, found: list[LoadedBars]) -> LoadedBars:
    if len(found) > 1:
        streams = ", ".join(item.bars.stream for item in found)
        raise UsageError(
            f"{place.name}: the folder contains several streams ({streams})",
            fix="name one file, or give the instrument and timeframe",
        )
    return found[0]


def _load_folder(place: Path, how: Options) -> list[LoadedBars]:
    if is_store(place):
        return _load_store(place, how)
    files = bar_files(place)
    groups: dict[str, list[_Part]] = {}
    for file in files:
        part = _read_part(file, how)
        groups.setdefault(part[0].stream, []).append(part)
    return [
        _finish(parts, parts[0][2] if len(parts) == 1 else place.name, how)
        for _, parts in sorted(groups.items())
    ]


def _load_store(place: Path, how: Options) -> list[LoadedBars]:
    store = open_store(place)
    wanted = how.symbol.upper() if how.symbol else None
    length = Timeframe.parse(str(how.timeframe)).name if how.timeframe else None
    parts: list[_Part] = [
        (store.load(stream), {}, stream)
        for stream in sorted(store.streams)
        if wanted in (None, stream.partition("/")[0]) and length in (None, stream.partition("/")[2])
    ]
    if not parts:
        asked = how.symbol or how.timeframe
        raise DataError(
            f"{place.name}: the store contains nothing" + (f" for {asked}" if asked else ""),
            fix=f"it contains {', '.join(sorted(store.streams)) or 'nothing'}",
        )
    return [_finish([part], place.name, how) for part in parts]


def bar_files(place: Path) -> list[Path]:
    """Return the files of a folder that may hold bars, by name.

    Raises
    ------
    DataError
        When the folder holds none.
    """
    try:
        files = sorted(p for p in place.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
    except OSError as err:
        raise DataError(
            f"{place}: cannot be read: {err.strerror}", fix="check the path and its permissions"
        ) from err
    if not files:
        raise DataError(
            f"{place}: the folder contains no bar files ({', '.join(SUFFIXES)})",
            fix="give a file, or a folder with CSV or Parquet files",
        )
    return files


def resolve_symbol(path: Path, how: Options) -> Instrument:
    """Return the instrument of a file: the option, or the name before ``_``.

    Raises
    ------
    ContractError
        When it is unknown.
    """
    if how.symbol is not None:
        return lookup(how.symbol, declared=how.instruments)
    guess = path.name.split(".")[0].split("_")[0].upper()
    if is_known(guess, declared=how.instruments):
        return lookup(guess, declared=how.instruments)
    month = CONTRACT.match(guess)
    hint = ""
    if month is not None and is_known(month["root"], declared=how.instruments):
        hint = f"; if it is a contract month, say {month['root']}={path.name}"
    raise ContractError(
        f"{path.name}: {guess!r}, the name before the first '_', is not a known instrument{hint}",
        fix=f"name the instrument, as in ES={path.name}, or "
        + DECLARE.format(symbol=guess or "XX"),
    )


def _read_part(path: Path, how: Options) -> _Part:
    sniffed = sniff(path, how.layout)
    instrument = resolve_symbol(path, how)
    formats = tuple(how.formats)
    if sniffed.container == "parquet":
        raw = read_parquet(path, how.columns)
    else:
        if sniffed.layout == "histdata":
            formats = formats or ("%Y%m%d %H%M%S",)
        raw = read_text(path, sniffed, how.columns, stamps_as_text=bool(formats))
    if raw.frame.height == 0:
        raise SchemaError(
            f"{path.name}: contains no bars", fix="give a file with at least two bars"
        )
    hint = _HISTDATA_ZONE if sniffed.layout == "histdata" else _ZONE
    drop = how.policy == "drop"
    utc = to_utc(raw, tz=how.tz, formats=formats, drop=drop, zone_hint=hint)
    frame, places = choose_contract(utc, instrument, how)
    others = utc.frame.height - frame.height
    frame, dropped = validate(frame, name=path.name, where=places, policy=how.policy)
    dropped |= {"other_contract": others} if others else {}
    timeframe = _timeframe(frame, path.name, how)
    if how.stamps == "end":
        frame = frame.with_columns(pl.col("ts") - pl.duration(microseconds=timeframe.us))
    wanted = [*COLUMNS, *(["contract"] if "contract" in frame.columns else [])]
    return Bars(frame.select(wanted), instrument, timeframe), dropped, path.name


def _timeframe(frame: pl.DataFrame, name: str, how: Options) -> Timeframe:
    if frame.height < 2:
        raise SchemaError(
            f"{name}: contains only one bar", fix="give a file with at least two bars"
        )
    steps = np.diff(frame["ts"].dt.timestamp("us").to_numpy())
    values, counts = np.unique(steps, return_counts=True)
    modal = int(values[counts.argmax()])
    if modal % 1_000_000:
        raise SchemaError(
            f"{name}: the usual step, {modal} µs, is not a whole number of seconds",
            fix="check the timestamps; a bar lasts at least one second",
        )
    found = Timeframe(modal // 1_000_000)
    if how.timeframe is None:
        return found
    given = (
        how.timeframe if isinstance(how.timeframe, Timeframe) else Timeframe.parse(how.timeframe)
    )
    if given != found:
        raise SchemaError(
            f"{name}: the usual step is {found}, not {given}",
            fix="omit --timeframe, or give bars of that length",
        )
    return given


def _finish(parts: list[_Part], source_name: str, how: Options) -> LoadedBars:
    parts = sorted(parts, key=lambda part: part[0].frame["ts"][0])
    for (left, _, before), (right, _, after) in pairwise(parts):
        if right.frame["ts"][0] <= left.frame["ts"][-1]:
            raise SchemaError(
                f"{after} begins at {right.frame['ts'][0]}, before {before} ends at "
                f"{left.frame['ts'][-1]}",
                fix="remove the overlap: each bar must occur only once",
            )
    frame = pl.concat([bars.frame for bars, _, _ in parts], how="diagonal", rechunk=True)
    if "contract" in frame.columns and frame["contract"].null_count():
        raise SchemaError(
            f"{source_name}: only some of the files have a contract column",
            fix="give all of them the column, or none",
        )
    first = parts[0][0]
    bars = _cut(Bars(frame.rechunk(), first.instrument, first.timeframe), how, source_name)
    counts: dict[str, int] = {}
    for _, dropped, _ in parts:
        for reason, count in dropped.items():
            counts[reason] = counts.get(reason, 0) + count
    found = audit(bars)
    if found.level == "refuse" and not how.accept_quality:
        raise DataQualityError(
            f"{source_name}: the data-quality audit rejects these bars: {found.refusal}",
            fix="check --tz, --stamps and the file ('ffm data check' lists every finding); "
            "--accept-quality continues anyway",
        )
    return LoadedBars(bars=bars, source_name=source_name, counts=counts, audit=found)


def _cut(bars: Bars, how: Options, name: str) -> Bars:
    if how.date_from is None and how.date_to is None:
        return bars
    days = trading_days(bars)
    lo, hi = 0, len(bars)
    if how.date_from is not None:
        lo = int(np.searchsorted(days, (how.date_from - _EPOCH).days, side="left"))
    if how.date_to is not None:
        hi = int(np.searchsorted(days, (how.date_to - _EPOCH).days, side="right"))
    if hi - lo < 2:
        first, last = (_EPOCH + timedelta(days=int(days[i])) for i in (0, -1))
        raise SchemaError(
            f"{name}: fewer than two bars from {how.date_from or 'the start'} "
            f"to {how.date_to or 'the end'}",
            fix=f"widen --from and --to: the data run from {first} to {last}",
        )
    return bars[lo:hi]
