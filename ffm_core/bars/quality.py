"""The plausibility audit says whether bars are what they claim, and whole.

The schema (:mod:`ffm_core.bars.validate`) says whether rows can be bars at all;
the audit says whether the series can be traded history of its instrument. It
changes nothing. ``refuse`` is kept for what would make any verdict worthless;
everything a careful person would want to know is ``warn`` or ``info``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ffm_core.bars._profile import SeriesProfile, profile
from ffm_core.bars.sessions import to_stamp
from ffm_core.bars.table import Bars
from ffm_core.types import Bool, Float64, Int64
from ffm_core.wording import counted

Level: TypeAlias = Literal["info", "warn", "refuse"]
LEVELS: tuple[Level, ...] = ("info", "warn", "refuse")

# Shares and sizes that separate plausible from suspect from worthless. They were
# set on real files, clean and broken, with room on both sides.
GRID_TOLERANCE = 1e-3  # of a tick; adjusted prices carry float noise far below it
FINE_STEP = 0.3  # ticks; prices that move in finer steps belong to another instrument
STEP_SIGMA = 8.0  # daily standard deviations a single step may measure
STEP_LEAST = 0.05  # log points below which no step is refused
ROLL_SIGMA = 3.0  # daily standard deviations that make an overnight step a suspected roll
DEAD_SHARE = 0.60  # of bars without volume
DEAD_SESSIONS = 60  # consecutive sessions at under 1 % of the usual volume
ABSENT_SHARE = 0.20  # of sessions without a bar
OUTSIDE_SHARE = 0.03  # of bars when the market is closed
CLOCK_SLACK_US = 86_400_000_000
_YEAR_US = 365.25 * 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFinding:
    """One thing the audit noticed.

    Parameters
    ----------
    level : {"info", "warn", "refuse"}
        How grave it is.
    code : str
        Stable short name.
    message : str
        What was found, in words.
    count : int
        How many bars, sessions or steps it concerns.
    first : str
        UTC stamp of the first of them, empty when there is none.
    """

    level: Level
    code: str
    message: str
    count: int = 0
    first: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the audit found; ``level`` is the worst of its findings."""

    level: Level
    findings: tuple[QualityFinding, ...] = ()

    @property
    def refusal(self) -> str:
        """The reasons for a refusal, in words; empty without one."""
        return "; ".join(f.message for f in self.findings if f.level == "refuse")

    def codes(self, level: Level | None = None) -> tuple[str, ...]:
        """Return the codes found, of one level or of all."""
        return tuple(f.code for f in self.findings if level in (None, f.level))


def audit(bars: Bars, *, now_us: int | None = None) -> Audit:
    """Judge how plausible bars are.

    Parameters
    ----------
    bars : Bars
        Validated bars, at least two.
    now_us : int, optional
        The present, microseconds since 1970 UTC; default the clock. Bars of a
        simulated market may lie anywhere in time.

    Returns
    -------
    Audit
        Findings, gravest first.
    """
    now = time.time_ns() // 1000 if now_us is None else now_us
    facts = profile(bars)
    found: list[QualityFinding] = []
    for check in (_grid, _steps, _rolls, _volume, _dead, _absent, _holes, _outside, _stamps):
        found += check(bars, facts)
    found += _future(bars, now)
    found.sort(key=lambda f: -LEVELS.index(f.level))
    return Audit(level=found[0].level if found else "info", findings=tuple(found))


def _finding(
    bars: Bars, level: Level, code: str, message: str, rows: Int64 | Bool | None = None
) -> Iterator[QualityFinding]:
    """Yield a finding; with ``rows``, only where there are some."""
    where = np.zeros(0, np.int64) if rows is None else rows
    where = np.flatnonzero(where) if where.dtype == np.bool_ else where
    if rows is None or len(where):
        first = to_stamp(int(bars.ts_us[where[0]])) if len(where) else ""
        yield QualityFinding(level=level, code=code, message=message, count=len(where), first=first)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"


def _grid(bars: Bars, facts: SeriesProfile) -> Iterator[QualityFinding]:
    tick = bars.instrument.tick_size
    distance = _off_grid(bars, tick)
    off = distance > GRID_TOLERANCE
    share = float(off.mean())
    if share <= 0.001:
        noise = "prices carry floating-point noise, as left by additive back-adjustment"
        yield from _finding(bars, "info", "float_noise", noise, distance > 1e-6)
        return
    recent = float(off[-max(len(off) // 5, 1) :].mean())
    fine = _finest_step(bars, tick)
    what = f"{_percent(share)} of bars are off the {tick:g} tick grid of {bars.instrument.symbol}"
    if fine < FINE_STEP and recent > 0.2 and bars.instrument.kind != "proxy":
        why = "wrong instrument, wrong unit or synthetic prices"
        what += f", in steps as fine as {fine * tick:.3g}: {why}"
        yield from _finding(bars, "refuse", "tick_grid", what, off)
        return
    why = "an older tick" if recent < 0.001 else "mid prices or ratio back-adjustment"
    yield from _finding(bars, "warn", "tick_grid", f"{what} ({why})", off)


def _off_grid(bars: Bars, tick: float) -> Float64:
    # The largest distance of a bar's four prices from the grid, in ticks.
    worst = np.zeros(len(bars))
    for values in (bars.open, bars.high, bars.low, bars.close):
        scaled = values / tick
        np.maximum(worst, np.abs(scaled - np.rint(scaled)), out=worst)
    return worst


def _finest_step(bars: Bars, tick: float) -> float:
    # 5 % quantile of the distances between neighbouring distinct closes at the end.
    levels = np.unique(np.round(bars.close[-20_000:], 9))
    steps = np.diff(levels)
    steps = steps[steps > 1e-9]
    return float(np.quantile(steps, 0.05)) / tick if len(steps) else 1.0


def _steps(bars: Bars, facts: SeriesProfile) -> Iterator[QualityFinding]:
    size = facts.gap
    # A step across n missing days may be √n times as large.
    scaled = size / (facts.sigma * np.sqrt(facts.days_between))
    wild = np.flatnonzero((scaled > STEP_SIGMA) & (size > STEP_LEAST)) + 1
    if len(wild):
        worst = int(wild[np.argmax(size[wild - 1])])
        move = 100 * (bars.open[worst] / bars.close[worst - 1] - 1)
        jumps = counted(len(wild), "implausible jump")
        what = (
            f"{jumps} between bars, the largest {move:+.1f} % at {to_stamp(int(bars.ts_us[worst]))}"
            f" ({scaled[worst - 1]:.0f} daily standard deviations)"
        )
        yield from _finding(bars, "refuse", "steps", what, wild)
    bad = _spikes(bars, max(STEP_SIGMA * facts.sigma, STEP_LEAST))
    what = f"spiked out and back by more than {STEP_SIGMA:.0f} daily standard deviations"
    yield from _finding(bars, "warn", "spikes", f"{counted(len(bad), 'bar')} {what}", bad)


def _spikes(bars: Bars, least: float) -> Int64:
    # Bars whose range is that large, in log points, and comes to nothing.
    wide = np.flatnonzero(bars.high > bars.low * np.exp(least))
    body = np.abs(np.log(bars.close[wide] / bars.open[wide]))
    back = body < 0.2 * np.log(bars.high[wide] / bars.low[wide])
    return np.asarray(wide[back], dtype=np.int64)


def _rolls(bars: Bars, facts: SeriesProfile) -> Iterator[QualityFinding]:
    if not bars.instrument.months:
        return
    codes = bars.contract_codes
    if codes is not None:
        yield from _known_rolls(bars, codes)
        return
    opens = np.flatnonzero(facts.new_day)
    scaled = facts.gap[opens] / (facts.sigma * np.sqrt(facts.days_between[opens]))
    jumps = opens[scaled > ROLL_SIGMA] + 1
    # Longer than one contract can be held, the series must have rolled.
    held = _YEAR_US * 1.2 / len(bars.instrument.months)
    if len(jumps):
        what = f"{counted(len(jumps), 'overnight jump')} may be rolls; "
        what += "without a contract column they count as price moves"
        yield from _finding(bars, "warn", "suspected_rolls", what, jumps)
    elif int(bars.ts_us[-1]) - int(bars.ts_us[0]) > held:
        what = "no contract column: the series must have rolled, but it is unknown where"
        yield from _finding(bars, "warn", "unknown_rolls", what)
    else:
        yield from _finding(bars, "info", "no_contract", "no contract column")


def _known_rolls(bars: Bars, codes: np.ndarray) -> Iterator[QualityFinding]:
    changes = np.flatnonzero(np.diff(bars.rolls)) + 1
    known = f"{counted(len(changes), 'roll')} known from the contract column"
    yield from _finding(bars, "info", "rolls", known, changes)
    if len(changes) >= len(np.unique(codes)):
        again = "a contract returns after the series had rolled out of it"
        yield from _finding(bars, "warn", "roll_flip_flop", again, changes)
    lengths = {len(name) for name in bars.frame["contract"].unique().to_list()}
    if len(lengths) > 1:
        mixed = "contract names change their format (NGM5, then NGU25)"
        yield from _finding(bars, "warn", "contract_names", mixed)


def _volume(bars: Bars, facts: SeriesProfile) -> Iterator[QualityFinding]:
    empty = bars.volume <= 0
    share = float(empty.mean())
    what = f"{_percent(share)} of bars had no trades"
    if share == 1.0:
        level: Level = "warn" if bars.instrument.kind == "future" else "info"
        yield from _finding(bars, level, "no_volume", "the source has no volume")
    elif share > DEAD_SHARE and bars.instrument.kind != "proxy":
        what += ": this contract is not traded"
        yield from _finding(bars, "refuse", "dead_volume", what, empty)
    elif share > 0.001:
        level = "warn" if share > 0.01 else "info"
        yield from _finding(bars, level, "zero_volume", what, empty)


def _dead(bars: Bars, facts: SeriesProfile) -> Iterator[QualityFinding]:
    level: Level = "refuse" if len(facts.dead_run) >= DEAD_SESSIONS else "warn"
    rows = facts.first_row[facts.dead_run]
    what = (
        f"{counted(len(rows), 'session')} in a row traded less than 1 % of the volume around "
        "them: a back month or the wrong feed"
    )
    yield from _finding(bars, level, "dead_segment", what, rows)


def _absent(bars: Bars, facts: SeriesProfile) -> Iterator[QualityFinding]:
    count = len(facts.absent_us)
    if count:
        share = count / facts.n_expected
        level: Level = "refuse" if share > ABSENT_SHARE else "warn" if share > 0.01 else "info"
        message = f"{count} of {counted(facts.n_expected, 'session')} have no bars"
        first = to_stamp(int(facts.absent_us[0]))
        yield QualityFinding(
            level=level, code="missing_sessions", message=message, count=count, first=first
        )


def _holes(bars: Bars, facts: SeriesProfile) -> Iterator[QualityFinding]:
    missing = facts.n_missing_bars
    if missing:
        share = missing / (missing + len(bars))
        what = f"{counted(missing, 'bar')} missing inside sessions ({_percent(share)})"
        level: Level = "warn" if share > 0.02 else "info"
        yield from _finding(bars, level, "holes", what, facts.hole_rows)
    for name in facts.thin_weekdays:
        what = f"{name} sessions have far fewer bars than the others"
        yield from _finding(bars, "warn", "weekday_hole", what)


def _outside(bars: Bars, facts: SeriesProfile) -> Iterator[QualityFinding]:
    soft = bars.instrument.kind == "proxy"  # each venue of a proxy keeps its own hours
    for code, rows, what in (
        ("weekend_bars", facts.weekend, "fall on a Saturday"),
        ("closed_market", facts.outside & ~facts.weekend, "fall when the exchange is closed"),
    ):
        share = float(rows.mean())
        level: Level = "info" if share < 0.002 else "warn"
        hint = ""
        if share > OUTSIDE_SHARE and not soft:
            level, hint = "refuse", ": check the time zone, --stamps and the day-month order"
        yield from _finding(bars, level, code, f"{_percent(share)} of bars {what}{hint}", rows)


def _stamps(bars: Bars, facts: SeriesProfile) -> Iterator[QualityFinding]:
    short = np.flatnonzero(np.diff(bars.ts_us) < bars.timeframe.us) + 1
    level: Level = "warn" if len(short) > 0.001 * len(bars) else "info"
    what = f"{counted(len(short), 'bar')} opened before the previous bar had closed"
    yield from _finding(bars, level, "overlap", what, short)
    if bars.timeframe.us < 3_600_000_000:
        crooked = bars.ts_us % bars.timeframe.us != 0
        level = "warn" if crooked.mean() > 0.001 else "info"
        off = counted(int(crooked.sum()), "timestamp")
        what = f"{off} not on a multiple of {bars.timeframe}"
        yield from _finding(bars, level, "crooked_stamps", what, crooked)


def _future(bars: Bars, now_us: int) -> Iterator[QualityFinding]:
    late = bars.ts_us > now_us + CLOCK_SLACK_US
    if bars.instrument.kind != "simulated":
        what = f"{counted(int(late.sum()), 'bar')} dated in the future"
        yield from _finding(bars, "refuse", "future_bars", what, late)
