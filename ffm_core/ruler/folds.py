"""Walk-forward folds: train, validation and test months, purged and embargoed.

Months are counted by trading date; purging happens in UTC by ``t_end_max``, the
latest moment any exit policy of the run could still hold a decision. Nothing
here reads an outcome: lengths come from counts alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from ffm_core.errors import ConfigError, SampleError
from ffm_core.records import voids_told
from ffm_core.ruler.months import date_name, month_name, month_of, month_start, weekdays_between
from ffm_core.types import Bool, Int8, Int16, Int32, Int64

# A month whose edge misses one weekday is still whole: New Year's Day and Good
# Friday close exchanges at the edge of a month without making it partial.
_EDGE_HOLIDAYS = 1
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionTable:
    """Decisions of all streams, pooled, without their outcomes; arrays (N,).

    Parameters
    ----------
    stream : int16 (N,)
        Index into ``streams``.
    bar : int64 (N,)
        Index of the last known bar within the stream.
    side : int8 (N,)
        +1 long, -1 short.
    t_decision : int64 (N,)
        Close of ``bar``, microseconds UTC.
    day : int32 (N,)
        Trading date, days since 1970.
    month : int32 (N,)
        ``12 · year + month − 1`` of the trading date.
    hour : int8 (N,)
        Exchange hour of the decision.
    t_end_max : int64 (N,)
        Microseconds UTC at which the last possible outcome is known.
    void : int8 (N,)
        Why a decision is void, an index into ``VOIDS``; such are counted and never used.
    streams : tuple of str
        Names such as ``"ES/5m"``.
    """

    stream: Int16
    bar: Int64
    side: Int8
    t_decision: Int64
    day: Int32
    month: Int32
    hour: Int8
    t_end_max: Int64
    void: Int8
    streams: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.stream)
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "streams":
                continue
            if value.shape != (n,):
                raise ValueError(f"table.{item.name} has shape {value.shape}, expected ({n},)")
            view = value.view()
            view.setflags(write=False)
            object.__setattr__(self, item.name, view)

    def __len__(self) -> int:
        return len(self.stream)

    @property
    def valid(self) -> Bool:
        """Decisions that may be used, (N,)."""
        return np.asarray(self.void == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldSettings:
    """Lengths of a fold in months, and the least a fold must hold."""

    train: int = 3
    validation: int = 1
    test: int = 1
    stride: int = 1
    embargo_days: int = 1  # trading days
    min_train: int = 50
    min_validation: int = 10
    min_month_decisions: int = 60  # median month, over all streams

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test", "stride"):
            if getattr(self, name) < 1:
                raise ConfigError(f"folds.{name} is {getattr(self, name)}, expected 1 or more")
        for name in ("embargo_days", "min_train", "min_validation", "min_month_decisions"):
            if getattr(self, name) < 0:
                raise ConfigError(f"folds.{name} is {getattr(self, name)}, expected 0 or more")
        if self.stride < self.test:
            raise ConfigError(
                f"folds.stride {self.stride} is shorter than folds.test {self.test}: "
                "the same decision would be traded twice",
                fix="make the stride at least as long as the test",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One train / validation / test split.

    Ranges are (first, last) trading date, inclusive, days since 1970. ``train``,
    ``validation`` and ``test`` are int64 row indices in order of decision time.
    ``n_purged`` counts valid training and validation rows dropped because their
    outcome reaches the next part or its embargo.
    """

    index: int
    train_days: tuple[int, int]
    validation_days: tuple[int, int]
    test_days: tuple[int, int]
    train: Int64
    validation: Int64
    test: Int64
    n_purged: int
    skipped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldPlan:
    """Every fold of a run, used and skipped, and what was set aside.

    ``months`` are the whole months the folds were laid over. ``n_sealed`` counts
    decisions on or after the seal; ``n_cut`` those before it whose outcome could
    reach past it. Without a seal both are 0.
    """

    multiplier: int
    settings: FoldSettings
    span: tuple[int, int]  # first and last trading date asked for
    months: tuple[int, ...]
    folds: tuple[Fold, ...]
    skipped: tuple[Fold, ...]
    test_days: Int32  # (D,) every trading day of the used test ranges
    seal_day: int | None = None
    unsealed: bool = False
    n_sealed: int = 0
    n_cut: int = 0

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Months of train, validation and test after the multiplier."""
        chosen, k = self.settings, self.multiplier
        return k * chosen.train, k * chosen.validation, k * chosen.test

    @property
    def n_test_months(self) -> int:
        """Calendar months the used test ranges cover."""
        return self.multiplier * self.settings.test * len(self.folds)

    @property
    def month_days(self) -> Int32:
        """Month number of each test day, (D,)."""
        return month_of(self.test_days)


def choose_seal(days: Int32, *, share: float = 0.15, months: int = 2) -> int:
    """Return the first trading date of the sealed tail.

    The tail holds the last ``share`` of the days and at least ``months`` whole
    months; it begins at the start of a month, because the folds before it are
    made of whole months only.

    Parameters
    ----------
    days : int32 (D,)
        Trading days of the instrument, ascending.
    share : float
        Least share of days to seal.
    months : int
        Least number of whole months to seal.

    Raises
    ------
    SampleError
        When sealing would leave nothing.
    """
    if len(days) == 0:
        raise SampleError("no trading day to seal", fix="bring more data")
    by_share = int(days[min(len(days) - 1, math.floor(len(days) * (1.0 - share)))])
    last = int(days[-1])
    end = int(month_of(np.array([last], np.int32))[0])
    if weekdays_between(last + 1, month_start(end + 1)) <= _EDGE_HOLIDAYS:
        end += 1  # the last month is whole and may be sealed as one of the months
    first = min(int(month_of(np.array([by_share], np.int32))[0]), end - months)
    place = int(np.searchsorted(days, month_start(first)))
    if place == 0:
        raise SampleError(
            f"{len(days)} trading days are too few to set {months} months aside",
            fix="bring a longer history: the newest months are sealed, and folds lie before them",
        )
    return int(days[place])


def whole_months(first_day: int, last_day: int) -> tuple[int, ...]:
    """Return the month numbers wholly inside ``[first_day, last_day]``.

    A month still counts when one weekday is missing at its edge.
    """
    first, last = (int(m) for m in month_of(np.array([first_day, last_day], np.int32)))
    if weekdays_between(month_start(first), first_day) > _EDGE_HOLIDAYS:
        first += 1
    if weekdays_between(last_day + 1, month_start(last + 1)) > _EDGE_HOLIDAYS:
        last -= 1
    return tuple(range(first, last + 1))


def plan_folds(
    table: DecisionTable,
    days: Int32,
    day_start_us: Int64,
    settings: FoldSettings,
    *,
    first_day: int,
    last_day: int,
    seal_day: int | None = None,
    unsealed: bool = False,
) -> FoldPlan:
    """Lay folds over the whole months of the span.

    Parameters
    ----------
    table : DecisionTable
        Pooled decisions.
    days : int32 (G,)
        Every trading day of the calendar, ascending, days since 1970.
    day_start_us : int64 (G,)
        Session open of each day, microseconds UTC; with several instruments
        the earliest, which purges at least as much as each one needs.
    first_day, last_day : int
        Intersection of the streams' spans, inclusive trading dates.
    seal_day : int, optional
        First sealed trading date. Decisions on or after it, and decisions whose
        ``t_end_max`` reaches it, are dropped.
    unsealed : bool
        Continue the folds to the end in spite of the seal. Lengths are still
        chosen from the months before it, so that opening a seal changes no fold.

    Raises
    ------
    SampleError
        When no fold can be used.
    """
    _check_grid(days, day_start_us, first_day, last_day)
    before_seal = _last_day_before(days, last_day, seal_day)
    open_months = whole_months(first_day, before_seal) if before_seal >= first_day else ()
    multiplier = _multiplier(table.month, open_months, settings)
    sealed = seal_day is not None and not unsealed
    months = open_months if sealed else whole_months(first_day, last_day)
    seal_us = _seal_us(days, day_start_us, seal_day)
    after = table.day >= (seal_day if seal_day is not None else np.iinfo(np.int32).max)
    reaches = (table.t_end_max >= seal_us) & ~after
    usable = table.valid & ~(after | reaches) if sealed else table.valid
    order = np.argsort(table.t_decision, kind="stable").astype(np.int64)
    grid = _Grid(days, day_start_us)
    laid = [
        _lay(index, start, table, usable, order, grid, settings, multiplier)
        for index, start in enumerate(_starts(months, settings, multiplier))
    ]
    used = tuple(fold for fold in laid if fold.skipped is None)
    skipped = tuple(fold for fold in laid if fold.skipped is not None)
    if not used:
        seen = table.void[~(after | reaches)] if sealed else table.void
        raise _no_fold(seen, months, skipped, settings, multiplier, sealed=sealed)
    return FoldPlan(
        multiplier=multiplier, settings=settings, span=(first_day, last_day), months=months,
        folds=used, skipped=skipped, test_days=_test_days(days, used), seal_day=seal_day,
        unsealed=unsealed and seal_day is not None,
        n_sealed=int(after.sum()) if seal_day is not None else 0,
        n_cut=int(reaches.sum()) if sealed else 0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Grid:
    days: Int32
    start_us: Int64

    def boundary(self, day: int, embargo: int) -> int:
        """Return the session open ``embargo`` trading days before ``day``, us UTC."""
        place = int(np.searchsorted(self.days, day)) - embargo
        return int(self.start_us[max(place, 0)])

    def range(self, first_month: int, n_months: int) -> tuple[int, int]:
        """Return the first and last trading date of a run of months."""
        low, high = month_start(first_month), month_start(first_month + n_months)
        inside = self.days[np.searchsorted(self.days, low) : np.searchsorted(self.days, high)]
        return (int(inside[0]), int(inside[-1])) if len(inside) else (low, high - 1)


def _check_grid(days: Int32, day_start_us: Int64, first_day: int, last_day: int) -> None:
    if len(days) != len(day_start_us):
        raise ValueError(f"{len(days)} days but {len(day_start_us)} session opens")
    if len(days) == 0 or first_day > last_day:
        raise SampleError(
            "the streams have no trading day in common",
            fix="bring data whose dates overlap, or widen --from and --to",
        )
    if (np.diff(days) <= 0).any() or (np.diff(day_start_us) <= 0).any():
        raise ValueError("the day grid must be strictly ascending")


def _last_day_before(days: Int32, last_day: int, seal_day: int | None) -> int:
    """Return the last trading date in the span that precedes the seal."""
    if seal_day is None or seal_day > last_day:
        return last_day
    place = int(np.searchsorted(days, seal_day)) - 1
    return int(days[place]) if place >= 0 else int(days[0]) - 1


def _seal_us(days: Int32, day_start_us: Int64, seal_day: int | None) -> int:
    if seal_day is None:
        return _NEVER
    place = int(np.searchsorted(days, seal_day))
    return int(day_start_us[place]) if place < len(days) else _NEVER


def _multiplier(month: Int32, months: tuple[int, ...], settings: FoldSettings) -> int:
    """Return the smallest factor that gives the median month enough decisions."""
    if not months:
        return 1
    inside = month[(month >= months[0]) & (month <= months[-1])] - months[0]
    median = float(np.median(np.bincount(inside, minlength=len(months))))
    if median <= 0:
        return len(months)  # no factor reaches it; the plan then has no fold
    return max(1, math.ceil(settings.min_month_decisions / median))


def _starts(months: tuple[int, ...], settings: FoldSettings, multiplier: int) -> list[int]:
    if not months:
        return []
    length = multiplier * (settings.train + settings.validation + settings.test)
    return list(range(months[0], months[-1] + 2 - length, multiplier * settings.stride))


def _lay(
    index: int,
    start: int,
    table: DecisionTable,
    usable: Bool,
    order: Int64,
    grid: _Grid,
    settings: FoldSettings,
    multiplier: int,
) -> Fold:
    """Build one fold beginning at month ``start``."""
    n_train, n_val, n_test = (
        multiplier * n for n in (settings.train, settings.validation, settings.test)
    )
    train_days = grid.range(start, n_train)
    validation_days = grid.range(start + n_train, n_val)
    test_days = grid.range(start + n_train + n_val, n_test)
    train, gone_train = _purged_rows(table, usable, order, start, n_train,
                              grid.boundary(validation_days[0], settings.embargo_days))  # fmt: skip
    validation, gone_val = _purged_rows(table, usable, order, start + n_train, n_val,
                                 grid.boundary(test_days[0], settings.embargo_days))  # fmt: skip
    test, _ = _purged_rows(table, usable, order, start + n_train + n_val, n_test, _NEVER)
    return Fold(
        index=index, train_days=train_days, validation_days=validation_days, test_days=test_days,
        train=train, validation=validation, test=test, n_purged=gone_train + gone_val,
        skipped=_why_skipped(
            table, usable, start, (train, validation, test), (n_train, n_val, n_test), settings
        ),
    )  # fmt: skip


def _purged_rows(
    table: DecisionTable,
    usable: Bool,
    order: Int64,
    first_month: int,
    n_months: int,
    boundary_us: int,
) -> tuple[Int64, int]:
    """Return usable rows of a run of months that end before the boundary, and how many did not."""
    inside = usable & (table.month >= first_month) & (table.month < first_month + n_months)
    keep = inside & (table.t_end_max < boundary_us)
    rows = order[keep[order]]
    rows.setflags(write=False)
    return rows, int(inside.sum() - keep.sum())


def _why_skipped(
    table: DecisionTable,
    usable: Bool,
    start: int,
    rows: tuple[Int64, ...],
    months: tuple[int, ...],
    settings: FoldSettings,
) -> str | None:
    """Return which part of a fold holds too few decisions, and what became of the others."""
    names, least = ("training", "validation", "test"), (
        settings.min_train, settings.min_validation, 1,
    )  # fmt: skip
    for name, found, length, needed in zip(names, rows, months, least, strict=True):
        if len(found) < needed:
            inside = (table.month >= start) & (table.month < start + length)
            few = f"{len(found)} {name} decisions, at least {needed} needed"
            few = "no test decision" if name == "test" else few
            return few + _lost(table, usable, inside, len(found))
        start += length
    return None


def _lost(table: DecisionTable, usable: Bool, inside: Bool, kept: int) -> str:
    """Say what became of the decisions of some months that a fold does not use."""
    told = [voids_told(table.void[inside])[0]]
    sealed = int((table.valid & ~usable & inside).sum())
    purged = int((usable & inside).sum()) - kept
    told.append(f"{sealed:,} reach into the sealed tail" if sealed else "")
    told.append(f"{purged:,} may still be open when the next part begins" if purged else "")
    causes = ", ".join(text for text in told if text)
    return f": of {int(inside.sum()):,} in these months {causes}" if causes else ""


def _test_days(days: Int32, folds: tuple[Fold, ...]) -> Int32:
    """Return every grid day inside a used test range; folds are in time order."""
    parts = [days[(days >= f.test_days[0]) & (days <= f.test_days[1])] for f in folds]
    chosen = np.concatenate(parts).astype(np.int32)
    chosen.setflags(write=False)
    return chosen


def _no_fold(
    void: Int8,
    months: tuple[int, ...],
    skipped: tuple[Fold, ...],
    settings: FoldSettings,
    multiplier: int,
    *,
    sealed: bool,
) -> SampleError:
    need = multiplier * (settings.train + settings.validation + settings.test)
    if skipped:
        first = skipped[0]
        what = (
            f"all {len(skipped)} folds were skipped; the first "
            f"(test from {date_name(first.test_days[0])}): {first.skipped}"
        )
    else:
        span = (
            f"{month_name(months[0])} to {month_name(months[-1])}" if months else "no whole month"
        )
        tail = " before the sealed tail" if sealed else ""
        few = f" ({multiplier} times the usual: months hold few decisions)"
        what = (
            f"one fold needs {need} whole months{few if multiplier > 1 else ''}, the data hold "
            f"{len(months)}{tail} ({span})"
        )
    causes, mend = voids_told(void)
    if 2 * np.count_nonzero(void) > len(void):
        what += f"; of {len(void):,} decisions in all {causes}"
        return SampleError(what, fix=f"{mend}; more months help only after that")
    few = " or a strategy that decides more often" if multiplier > 1 else ""
    return SampleError(what, fix=f"bring more months, more instruments{few}")
