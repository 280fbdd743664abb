"""Turn the stamps of a file into UTC bar opens."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import polars as pl

from ffm_core.bars.readers._columns import STAMP, Raw, shortened
from ffm_core.errors import SchemaError, UsageError

_UTC = pl.Datetime("us", "UTC")
_HAS_ZONE = r"(?:[zZ]|UTC|[+-]\d{2}:?\d{2})$"
_ISO = r"^\d{4}-\d{1,2}-\d{1,2}"
# Epoch integers by magnitude: 2001 to 2286 in each unit.
_EPOCHS = ((10**9, "s"), (10**12, "ms"), (10**15, "us"), (10**18, "ns"))


def check_zone(tz: str) -> str:
    """Return ``tz`` when it is an IANA zone.

    Raises
    ------
    UsageError
        When it is not.
    """
    try:
        ZoneInfo(tz)
        pl.Series([0]).cast(_UTC).dt.convert_time_zone(tz)
    except (KeyError, ValueError, OSError, pl.exceptions.PolarsError) as err:
        raise UsageError(
            f"tz: {tz!r} is not an IANA time zone", fix="write it like America/New_York or UTC"
        ) from err
    return tz


def to_utc(
    raw: Raw,
    *,
    tz: str | None,
    formats: Sequence[str] = (),
    drop: bool = False,
    zone_hint: str = "for example --tz UTC or --tz America/New_York",
) -> Raw:
    """Replace ``stamp`` by ``ts`` in UTC.

    Parameters
    ----------
    tz : str, optional
        IANA zone of naive stamps.
    formats : sequence of str
        Explicit strptime formats, tried in order.
    drop : bool
        Rows whose local stamp occurs twice or never (clock changes) become null
        instead of an error.
    zone_hint : str
        What to say about the zone when it is missing.

    Raises
    ------
    SchemaError
        For naive stamps without a zone, unreadable or mixed stamps, and local
        stamps that a clock change repeats or skips.
    """
    stamps = raw.frame[STAMP]
    if stamps.dtype == pl.String:
        stamps = _parse_text(raw, stamps, formats)
    elif stamps.dtype.is_integer():
        stamps = _parse_epoch(raw, stamps)
    elif stamps.dtype == pl.Date:
        stamps = stamps.cast(pl.Datetime("us"))
    if not isinstance(stamps.dtype, pl.Datetime):
        raise SchemaError(
            f"{raw.name}: the timestamp column contains {stamps.dtype}, expected date and time",
            fix="write ISO timestamps such as 2024-03-11 14:30:00",
        )
    zone: str | None = getattr(stamps.dtype, "time_zone", None)
    if zone is None:
        stamps = _localise(
            raw, stamps.cast(pl.Datetime("us")), _need(raw, stamps, tz, zone_hint), drop
        )
    else:
        stamps = stamps.cast(pl.Datetime("us", zone))
    utc = stamps.dt.convert_time_zone("UTC").cast(_UTC).alias("ts")
    frame = raw.frame.drop(STAMP).insert_column(0, utc)
    return Raw(frame, raw.name, raw.first_line, raw.unit)


def _parse_epoch(raw: Raw, stamps: pl.Series) -> pl.Series:
    top = stamps.max()
    value = int(top) if isinstance(top, int) else 0
    for floor, unit in reversed(_EPOCHS):
        if value >= floor:
            if unit == "s":
                return pl.from_epoch(stamps, "s").dt.replace_time_zone("UTC")
            kind = {"ms": pl.Datetime("ms"), "us": pl.Datetime("us"), "ns": pl.Datetime("ns")}[unit]
            return stamps.cast(pl.Int64).cast(kind).dt.replace_time_zone("UTC")
    raise SchemaError(
        f"{raw.where(0)}: timestamp {stamps[0]!r} is not a date and time",
        fix="write ISO timestamps such as 2024-03-11 14:30:00, or seconds since 1970",
    )


def _parse_text(raw: Raw, stamps: pl.Series, formats: Sequence[str]) -> pl.Series:
    if len(stamps) == 0:
        return stamps.cast(pl.Datetime("us"))
    stamps = stamps.str.strip_chars()
    if formats:
        return _by_format(raw, stamps, formats)
    zoned = stamps.str.contains(_HAS_ZONE) & stamps.str.contains(r"\d:\d|T\d")
    if zoned.all():
        clean = stamps.str.replace(r"\s*(?:UTC|[zZ])$", "+00:00").str.replace("T", " ")
        return _strict(raw, stamps, clean.str.to_datetime("%F %T%.f%:z", strict=False))
    if zoned.any():
        raise _mixed(raw, stamps, zoned)
    if not stamps.str.contains(_ISO).all():
        index = int((~stamps.str.contains(_ISO).fill_null(False)).arg_true()[0])
        raise SchemaError(
            f"{raw.where(index)}: timestamp {shortened(stamps[index])!r} is not ISO "
            "(2024-03-11 14:30:00)",
            fix="import the file with 'ffm data import', stating format and zone, for example "
            '--format "%d/%m/%Y %H:%M:%S" --tz America/New_York',
        )
    return _by_format(raw, stamps.str.replace("T", " "), ("%F %T%.f", "%F %R", "%F"))


def _mixed(raw: Raw, stamps: pl.Series, zoned: pl.Series) -> SchemaError:
    unreadable = (~stamps.str.contains(_ISO)).fill_null(False).arg_true()
    if len(unreadable):
        index = int(unreadable[0])
        return SchemaError(
            f"{raw.where(index)}: timestamp {shortened(stamps[index])!r} cannot be read",
            fix="correct or remove the row",
        )
    first = int(zoned.is_not_null().arg_true()[0])
    index = int((zoned != zoned[first]).fill_null(False).arg_true()[0])
    return SchemaError(
        f"{raw.where(index)}: timestamp {shortened(stamps[index])!r} and the first one, "
        f"{shortened(stamps[first])!r}, mix timestamps with and without a time zone",
        fix="write all timestamps with an offset, or all without",
    )


def _by_format(raw: Raw, stamps: pl.Series, formats: Sequence[str]) -> pl.Series:
    parsed: pl.Series | None = None
    for text in formats:
        try:
            found = stamps.str.to_datetime(text, time_unit="us", strict=False)
        except pl.exceptions.PolarsError as err:
            raise UsageError(
                f"{text!r} is not a usable timestamp format: {str(err).splitlines()[0]}",
                fix="write it like '%d/%m/%Y %H:%M:%S'",
            ) from err
        parsed = found if parsed is None else _coalesce(parsed, found)
        if parsed.null_count() == 0:
            break
    if parsed is None:
        raise UsageError("no timestamp format given")
    return _strict(raw, stamps, parsed)


def _coalesce(first: pl.Series, second: pl.Series) -> pl.Series:
    return first.zip_with(first.is_not_null(), second)


def _strict(raw: Raw, texts: pl.Series, parsed: pl.Series) -> pl.Series:
    bad = parsed.is_null().arg_true()
    if len(bad):
        index = int(bad[0])
        raise SchemaError(
            f"{raw.where(index)}: timestamp {shortened(texts[index])!r} cannot be read"
            + (f" ({len(bad)} such rows)" if len(bad) > 1 else ""),
            fix="correct the row; other formats are read by 'ffm data import --format', which "
            "may be given more than once",
        )
    return parsed


def _need(raw: Raw, naive: pl.Series, tz: str | None, hint: str) -> str:
    if tz is not None:
        return tz
    raise SchemaError(
        f"{raw.name}: the timestamps have no time zone (first: {naive[0] if len(naive) else '-'})",
        fix=f"state it with --tz, {hint}",
    )


def _localise(raw: Raw, naive: pl.Series, tz: str, drop: bool) -> pl.Series:
    aware = naive.dt.replace_time_zone(tz, ambiguous="null", non_existent="null")
    if drop:
        return aware
    bad = (aware.is_null() & naive.is_not_null()).arg_true()
    if len(bad):
        index = int(bad[0])
        early = naive.dt.replace_time_zone(tz, ambiguous="earliest", non_existent="null")
        why = "never occurs" if early[index] is None else "occurs twice"
        raise SchemaError(
            f"{raw.where(index)}: timestamp {naive[index]} {why} in {tz} (clock change)"
            + (f"; {len(bad)} such rows" if len(bad) > 1 else ""),
            fix="check the zone; export in UTC, or drop such rows with --policy drop",
        )
    return aware
