"""Another time of day for plug-ins: what asks for the time gets one that is not now."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Collection
from types import ModuleType

from ffm_core.causal.process.access import is_own
from ffm_core.paths import one_spelling

_SHIFT = datetime.timedelta(days=403, hours=7, minutes=13, seconds=41)


class _AnyDatetime(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime.datetime)


class _Datetime(datetime.datetime, metaclass=_AnyDatetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
        return datetime.datetime.now(tz) + _SHIFT

    @classmethod
    def today(cls) -> datetime.datetime:  # type: ignore[override]
        return datetime.datetime.today() + _SHIFT


class _AnyDate(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime.date)


class _Date(datetime.date, metaclass=_AnyDate):
    @classmethod
    def today(cls) -> datetime.date:  # type: ignore[override]
        return datetime.date.today() + _SHIFT


def shift_clock() -> None:
    """Let ``time.time`` tell another time in this process, once and for good."""
    seconds = _SHIFT.total_seconds()
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds) * 1_000_000_000


def shift_dates(roots: Collection[str]) -> None:
    """Let the modules of a plug-in import another ``datetime``.

    Parameters
    ----------
    roots : collection of str
        Files and folders of the plug-in; see :func:`.access.roots_of`.
    """
    later = ModuleType("datetime")
    vars(later).update(vars(datetime), datetime=_Datetime, date=_Date)
    instead = {id(datetime): later, id(datetime.datetime): _Datetime, id(datetime.date): _Date}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not is_own(one_spelling(file), roots):
            continue
        for name, value in list(vars(module).items()):
            if id(value) in instead:
                setattr(module, name, instead[id(value)])


__all__ = ["shift_clock", "shift_dates"]
