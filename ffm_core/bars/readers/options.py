"""How to read a file, and which one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

from ffm_core.bars.readers._sniff import LAYOUTS, Layout
from ffm_core.bars.readers._stamps import check_zone
from ffm_core.bars.timeframe import Timeframe
from ffm_core.bars.validate import Policy
from ffm_core.errors import UsageError
from ffm_core.paths import kind_of


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
                "layout charting needs a timestamp format and a time zone",
                fix="for example --format '%d/%m/%Y %H:%M:%S' --tz America/New_York",
            )


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
    if not sign or "/" in left or kind_of(Path(text)):
        if not text.strip():
            raise UsageError("--data is empty", fix="write --data PATH or --data ES=PATH")
        return None, Path(text)
    if not left.strip() or not right.strip():
        raise UsageError(f"--data {text!r}: expected ES=path", fix="write --data ES=PATH")
    return left.strip().upper(), Path(right)
