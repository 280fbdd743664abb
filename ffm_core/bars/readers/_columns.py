"""What every reader hands on: named columns as the file has them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ffm_core.errors import SchemaError, UsageError

STAMP = "stamp"
PRICES = ("open", "high", "low", "close")
NEEDED = (*PRICES, "volume")
_SHOWN = 12  # names of a header that a message lists
_SHOWN_CHARS = 40
ALIASES: Mapping[str, tuple[str, ...]] = {
    STAMP: ("datetime", "timestamp", "date", "time", "ts", "ts_event", "timestamp_utc",
            "date_time", "datetime_utc", "open_time"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c", "last"),
    "volume": ("volume", "vol", "v", "totalvolume"),
    "contract": ("contract", "symbol", "contract_month", "raw_symbol"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Raw:
    """Columns ``stamp``, prices, ``volume``, optional ``contract``, as read.

    Parameters
    ----------
    frame : polars.DataFrame
        Prices and volume float64; ``stamp`` text, integer, naive or aware.
    name : str
        File name for messages.
    first_line : int
        Number a reader would give the first bar: a line of text, or a row.
    unit : str
        ``line`` or ``row``.
    """

    frame: pl.DataFrame
    name: str
    first_line: int
    unit: str

    def where(self, index: int) -> str:
        """Say where bar ``index`` stands: ``ES.csv line 17``."""
        return f"{self.name} {self.unit} {self.first_line + index}"


def choose_columns(
    name: str, header: Sequence[str], columns: Mapping[str, str] | None
) -> dict[str, str]:
    """Map our column names to the file's.

    Parameters
    ----------
    columns : mapping of str to str, optional
        Our name to the file's, winning over the usual spellings;
        ``{"volume": "none"}`` states that the source has no volume.

    Raises
    ------
    SchemaError
        When a needed column is missing, naming near misses, or is there twice.
    UsageError
        When ``columns`` names something that is not there.
    """
    own = {_our_name(key): value for key, value in (columns or {}).items()}
    lowered = {text.strip().lower(): text for text in reversed(header)}
    chosen: dict[str, str] = {}
    for ours, spellings in ALIASES.items():
        if ours in own:
            chosen[ours] = _theirs(name, ours, own[ours], header)
            continue
        for spelling in spellings:
            if spelling in lowered:
                _require_single(name, spelling, header)
                chosen[ours] = lowered[spelling]
                break
    missing = [ours for ours in (STAMP, *NEEDED) if ours not in chosen]
    if missing:
        raise _missing(name, missing, header, chosen)
    return {ours: theirs for ours, theirs in chosen.items() if theirs}


def listed(names: Sequence[str]) -> str:
    """Return names as one line of bounded length; a file may hold anything."""
    shown = [shortened(name) for name in names[:_SHOWN]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def shortened(text: object, most: int = _SHOWN_CHARS) -> str:
    """Return what a cell holds, cut to a length a message can carry."""
    whole = str(text)
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


def _require_single(name: str, spelling: str, header: Sequence[str]) -> None:
    same = [text for text in header if text.strip().lower() == spelling]
    if len(same) > 1:
        raise SchemaError(
            f"{name}: the header names {spelling!r} {'twice' if len(same) == 2 else 'often'}"
            + (f" ({listed(same)})" if len(set(same)) > 1 else ""),
            fix="rename or remove all but one of these columns",
        )


def _our_name(key: str) -> str:
    if key in ("datetime", "timestamp", "ts", STAMP):
        return STAMP
    if key not in ALIASES:
        raise UsageError(
            f"column map: {key!r} is not a column of bars",
            fix="use datetime, open, high, low, close, volume or contract",
        )
    return key


def _theirs(name: str, ours: str, value: str, header: Sequence[str]) -> str:
    if value == "none" and ours in ("volume", "contract"):
        return ""
    if value not in header:
        raise UsageError(
            f"{name}: the column map names {value!r} for {ours}, which is not in the file",
            fix=f"it has {listed(header)}",
        )
    return value


def _missing(
    name: str, missing: Sequence[str], header: Sequence[str], chosen: Mapping[str, str]
) -> SchemaError:
    spoken = ["datetime" if ours == STAMP else ours for ours in missing]
    free = [text for text in header if text not in chosen.values()]
    near = {
        ours: found[0]
        for ours in spoken
        if (found := difflib.get_close_matches(ours, [f.lower() for f in free], 1, 0.6))
    }
    words = f"{name}: no column {', '.join(spoken)}; the file has {listed(header)}"
    if near:
        ours, theirs = next(iter(near.items()))
        original = next(text for text in free if text.lower() == theirs)
        return SchemaError(
            f"{words} ({original!r} looks like a typo for {ours!r})",
            fix=f"correct the header, or import the file with "
            f"'ffm data import --column {ours}={original}'",
        )
    if spoken == ["volume"]:
        return SchemaError(
            words,
            fix="if the source has no volume, import the file with "
            "'ffm data import --column volume=none'",
        )
    return SchemaError(
        words,
        fix="bars need datetime, open, high, low, close, volume; map other names with "
        "'ffm data import --column OURS=THEIRS'",
    )
