"""Choose among the contracts and symbols a file holds."""

from __future__ import annotations

import re
from collections.abc import Callable

import polars as pl

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.readers._columns import Raw, listed
from ffm_core.bars.readers.options import Options
from ffm_core.errors import SchemaError, UsageError

# ESH4, ESH24, SIMA7.H24; and months without a root: 2024H, 202403.
CONTRACT = re.compile(r"^(?P<root>[A-Z0-9]{1,12}?)[.]?[FGHJKMNQUVXZ]\d{1,2}$")
_MONTH_ONLY = re.compile(r"^(\d{4}[FGHJKMNQUVXZ]|\d{6}(\d\d)?)$")


def choose_contract(
    raw: Raw, instrument: Instrument, how: Options
) -> tuple[pl.DataFrame, Callable[[int], str]]:
    """Keep the rows of one instrument, or of the contract asked for.

    Returns
    -------
    frame : polars.DataFrame
        The rows kept.
    where : callable
        Their index to a place in the file.

    Raises
    ------
    SchemaError
        When the file holds other symbols only, or rows without one.
    UsageError
        When the contract asked for is not there.
    """
    frame = raw.frame
    if "contract" not in frame.columns:
        if how.contract is not None:
            raise UsageError(
                f"{raw.name}: no contract column to select {how.contract!r} from",
                fix="omit --contract",
            )
        return frame, raw.where
    names = frame["contract"].unique(maintain_order=True).to_list()
    if None in names:
        index = int(frame["contract"].is_null().arg_true()[0])
        raise SchemaError(
            f"{raw.where(index)}: contract is missing",
            fix="fill the column, or import the file with 'ffm data import --column contract=none'",
        )
    wanted = _wanted(names, instrument, how, raw.name)
    if len(wanted) == len(names):
        return frame, raw.where
    rows = frame["contract"].is_in(wanted).arg_true()
    return frame[rows], lambda index: raw.where(int(rows[index]))


def _wanted(names: list[str], instrument: Instrument, how: Options, file: str) -> list[str]:
    if how.contract is not None:
        if how.contract not in names:
            raise UsageError(
                f"{file}: does not contain contract {how.contract!r}", fix=f"it has {listed(names)}"
            )
        return [how.contract]
    roots = {name: _root(name) for name in names}
    if len(set(roots.values())) == 1:
        return names
    own = [name for name, root in roots.items() if root == instrument.symbol]
    if not own:
        raise SchemaError(
            f"{file}: contains several symbols ({listed(names)}), none of {instrument.symbol}",
            fix="name the instrument, as in ES=FILE, or import one with "
            "'ffm data import --contract NAME'",
        )
    return own


def _root(name: str) -> str:
    if _MONTH_ONLY.match(name):
        return ""
    month = CONTRACT.match(name.upper())
    return month["root"] if month is not None else name.upper()
