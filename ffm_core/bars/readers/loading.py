"""From a path to audited :class:`~ffm_core.bars.table.Bars`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.instruments import DECLARE, is_known, lookup
from ffm_core.bars.quality import Audit, audit
from ffm_core.bars.readers._parquet import read_parquet
from ffm_core.bars.readers._raw import Raw
from ffm_core.bars.readers._sniff import LAYOUTS, SUFFIXES, Layout, sniff
from ffm_core.bars.readers._stamps import check_zone, to_utc
from ffm_core.bars.readers._text import read_text
from ffm_core.bars.sessions import trading_days
from ffm_core.bars.table import COLUMNS, Bars
from ffm_core.bars.timeframe import Timeframe
from ffm_core.bars.validate import Policy, validate
from ffm_core.errors import ContractError, DataError, DataQualityError, SchemaError, UsageError

_CONTRACT = re.compile(r"^(?P<root>[A-Z0-9]{1,4}?)[FGHJKMNQUVXZ]\d{1,2}$")
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to read a file; every field may be left out.

    Parameters
    ----------
    symbol : str, optional
        Instrument; default the text before the first ``_`` of the file name.
    timeframe : Timeframe or str, optional
        Bar length; default the modal step.
    tz : str, optional
        IANA zone of stamps without one.
    stamps : {"start", "end"}
        Whether stamps mark the open or the close of a bar.
    layout : str, optional
        Layout of a text file, instead of recognising it.
    formats : sequence of str
        strptime formats of stamps that are not ISO, tried in order.
    columns : mapping of str to str
        Our column name to the file's; ``{"volume": "none"}`` for none.
    contract : str, optional
        Contract month or vendor symbol to choose from a file that holds several.
    policy : {"error", "drop"}
        What happens to rows that break the schema.
    accept_quality : bool
        Take data the audit refuses.
    date_from, date_to : datetime.date, optional
        First and last trading date to keep.
    instruments : pathlib.Path, optional
        File of declared instruments.
    """

    symbol: str | None = None
    timeframe: Timeframe | str | None = None
    tz: str | None = None
    stamps: Literal["start", "end"] = "start"
    layout: Layout | None = None
    formats: Sequence[str] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    contract: str | None = None
    policy: Policy = "error"
    accept_quality: bool = False
    date_from: date | None = None
    date_to: date | None = None
    instruments: Path | None = None

    def __post_init__(self) -> None:
        choices = {
            "stamps": ("start", "end"),
            "layout": (None, *LAYOUTS),
            "policy": ("error", "drop"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                spoken = ", ".join(str(a) for a in allowed if a is not None)
                raise UsageError(f"{name} must be one of {spoken}, got {getattr(self, name)!r}")
        if self.tz is not None:
            check_zone(self.tz)
        if self.layout == "charting" and not (self.formats and self.tz):
            raise UsageError(
                "layout charting needs the stamp format and the time zone",
                fix="for example --format '%d/%m/%Y %H:%M:%S' --tz America/New_York",
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


def parse_data_option(text: str) -> tuple[str | None, Path]:
    """Split ``ES=path`` or ``path``.

    Returns
    -------
    symbol : str or None
        Upper-case instrument when one was given.
    path : pathlib.Path
        The rest.

    Raises
    ------
    UsageError
        When either side is empty.
    """
    left, sign, right = text.partition("=")
    if not sign or "/" in left or Path(text).exists():
        if not text.strip():
            raise UsageError("--data is empty", fix="write --data PATH or --data ES=PATH")
        return None, Path(text)
    if not left.strip() or not right.strip():
        raise UsageError(f"--data {text!r}: expected ES=path", fix="write --data ES=PATH")
    return left.strip().upper(), Path(right)


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
    if place.is_dir():
        return _single(place, _load_folder(place, how))
    return _finish([_read_file(place, how)], place.name, how)


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
        if place.is_dir():
            loaded += _load_folder(place, own)
        else:
            loaded.append(_finish([_read_file(place, own)], place.name, own))
    streams = [item.bars.stream for item in loaded]
    for stream in streams:
        if streams.count(stream) > 1:
            raise UsageError(f"--data gives {stream} twice", fix="leave one of them out")
    return loaded


@dataclass(frozen=True, slots=True)
class _Part:
    """Validated rows of one file."""

    frame: pl.DataFrame
    instrument: Instrument
    timeframe: Timeframe
    dropped: Mapping[str, int]
    name: str


def _single(place: Path, found: list[LoadedBars]) -> LoadedBars:
    if len(found) > 1:
        streams = ", ".join(item.bars.stream for item in found)
        raise UsageError(
            f"{place.name}: the folder holds several streams ({streams})",
            fix="name one file, or give the instrument and timeframe",
        )
    return found[0]


def _load_folder(place: Path, how: Options) -> list[LoadedBars]:
    files = bar_files(place)
    groups: dict[str, list[_Part]] = {}
    for file in files:
        part = _read_file(file, how)
        groups.setdefault(f"{part.instrument.symbol}/{part.timeframe}", []).append(part)
    return [
        _finish(parts, parts[0].name if len(parts) == 1 else place.name, how)
        for _, parts in sorted(groups.items())
    ]


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
        raise DataError(f"{place}: cannot be read: {err.strerror}") from err
    if not files:
        raise DataError(
            f"{place}: the folder holds no file of bars ({', '.join(SUFFIXES)})",
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
    month = _CONTRACT.match(guess)
    hint = ""
    if month is not None and is_known(month["root"], declared=how.instruments):
        hint = f"; if it is a contract month, say {month['root']}={path.name}"
    raise ContractError(
        f"{path.name}: {guess!r}, the name before the first '_', is no known instrument{hint}",
        fix=f"say --data ES={path.name}, or " + DECLARE.format(symbol=guess or "XX"),
    )


def _read_file(path: Path, how: Options) -> _Part:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder", fix="check the path")
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
        raise SchemaError(f"{path.name}: holds no bars", fix="give a file with at least two bars")
    utc = to_utc(raw, tz=how.tz, formats=formats, drop=how.policy == "drop")
    frame, places = _choose_contract(utc, instrument, how)
    frame, dropped = validate(frame, name=path.name, where=places, policy=how.policy)
    timeframe = _timeframe(frame, path.name, how)
    if how.stamps == "end":
        frame = frame.with_columns(pl.col("ts") - pl.duration(microseconds=timeframe.us))
    wanted = [*COLUMNS, *(["contract"] if "contract" in frame.columns else [])]
    return _Part(frame.select(wanted), instrument, timeframe, dropped, path.name)


def _choose_contract(
    raw: Raw, instrument: Instrument, how: Options
) -> tuple[pl.DataFrame, Callable[[int], str]]:
    frame = raw.frame
    if "contract" not in frame.columns:
        if how.contract is not None:
            raise UsageError(f"{raw.name}: no contract column to choose {how.contract!r} from")
        return frame, raw.where
    names = frame["contract"].unique(maintain_order=True).to_list()
    if None in names:
        index = int(frame["contract"].is_null().arg_true()[0])
        raise SchemaError(f"{raw.where(index)}: contract is missing")
    wanted = _wanted(names, instrument, how, raw.name)
    if len(wanted) == len(names):
        return frame, raw.where
    rows = frame["contract"].is_in(wanted).arg_true()
    return frame[rows], lambda index: raw.where(int(rows[index]))


def _wanted(names: list[str], instrument: Instrument, how: Options, file: str) -> list[str]:
    if how.contract is not None:
        if how.contract not in names:
            raise UsageError(
                f"{file}: holds no contract {how.contract!r}", fix=f"it has {', '.join(names)}"
            )
        return [how.contract]
    roots = {name: _root(name) for name in names}
    if len(set(roots.values())) == 1:
        return names
    own = [name for name, root in roots.items() if root == instrument.symbol]
    if not own:
        raise SchemaError(
            f"{file}: holds several symbols ({', '.join(names)}), none of {instrument.symbol}",
            fix="choose one with --contract, or name the instrument",
        )
    return own


def _root(name: str) -> str:
    month = _CONTRACT.match(name.upper())
    return month["root"] if month is not None else name.upper()


def _timeframe(frame: pl.DataFrame, name: str, how: Options) -> Timeframe:
    if frame.height < 2:
        raise SchemaError(f"{name}: holds one bar", fix="give a file with at least two bars")
    steps = np.diff(frame["ts"].dt.timestamp("us").to_numpy())
    values, counts = np.unique(steps, return_counts=True)
    modal = int(values[counts.argmax()])
    if modal % 1_000_000:
        raise SchemaError(f"{name}: the usual step, {modal} µs, is no whole number of seconds")
    found = Timeframe(modal // 1_000_000)
    if how.timeframe is None:
        return found
    given = (
        how.timeframe if isinstance(how.timeframe, Timeframe) else Timeframe.parse(how.timeframe)
    )
    if given != found:
        raise SchemaError(
            f"{name}: the usual step is {found}, not {given}",
            fix="leave the timeframe out, or give bars of that length",
        )
    return given


def _finish(parts: list[_Part], source_name: str, how: Options) -> LoadedBars:
    parts = sorted(parts, key=lambda part: part.frame["ts"][0])
    for left, right in pairwise(parts):
        if right.frame["ts"][0] <= left.frame["ts"][-1]:
            raise SchemaError(
                f"{right.name} begins at {right.frame['ts'][0]} before {left.name} ends at "
                f"{left.frame['ts'][-1]}",
                fix="remove the overlap: each bar may occur once",
            )
    frame = pl.concat([part.frame for part in parts], how="diagonal", rechunk=True)
    if "contract" in frame.columns and frame["contract"].null_count():
        raise SchemaError(f"{source_name}: only some of the files have a contract column")
    bars = Bars(frame.rechunk(), parts[0].instrument, parts[0].timeframe)
    bars = _cut(bars, how, source_name)
    counts: dict[str, int] = {}
    for part in parts:
        for reason, count in part.dropped.items():
            counts[reason] = counts.get(reason, 0) + count
    found = audit(bars)
    if found.level == "refuse" and not how.accept_quality:
        raise DataQualityError(
            f"{source_name}: the audit refuses these bars: {found.refusal}",
            fix="see ffm data check; --accept-quality takes them all the same",
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
        raise SchemaError(
            f"{name}: under two bars from {how.date_from or 'the start'} "
            f"to {how.date_to or 'the end'}",
            fix="widen --from and --to",
        )
    return bars[lo:hi]
