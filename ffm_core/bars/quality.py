"""The plausibility audit says whether bars are what they claim, and whole.

The schema (:mod:`ffm_core.bars.validate`) says whether rows can be bars at all;
the audit says whether the series can be traded history of its instrument. It
changes nothing. ``refuse`` is kept for what would make any verdict worthless;
everything a careful person would want to know is ``warn`` or ``info``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ffm_core.bars._profile import SeriesProfile, profile
from ffm_core.bars.sessions import to_stamp
from ffm_core.bars.table import Bars
from ffm_core.types import Bool, Float64, Int64

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
) -> QualityFinding:
    if rows is None:
        return QualityFinding(level=level, code=code, message=message)
    where = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
    first = to_stamp(int(bars.ts_us[where[0]])) if len(where) else ""
    return QualityFinding(level=level, code=code, message=message, count=len(where), first=first)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"


def _grid(bars: Bars, facts: SeriesProfile) -> list[QualityFinding]:
    tick = bars.instrument.tick_size
    distance = _off_grid(bars, tick)
    off = distance > GRID_TOLERANCE
    share = float(off.mean())
    if share <= 0.001:
        noisy = distance > 1e-6
        if noisy.any():
            return [
                _finding(
                    bars,
                    "info",
                    "float_noise",
                    "prices carry float noise, as additive back-adjustment leaves",
                    noisy,
                )
            ]
        return []
    recent = float(off[-max(len(off) // 5, 1) :].mean())
    fine = _finest_step(bars, tick)
    what = f"{_percent(share)} of bars lie off the {tick:g} tick grid of {bars.instrument.symbol}"
    if fine < FINE_STEP and recent > 0.2 and bars.instrument.kind != "proxy":
        return [
            _finding(
                bars,
                "refuse",
                "tick_grid",
                f"{what}, in steps as fine as {fine * tick:.3g}: another instrument, "
                "another unit or made-up prices",
                off,
            )
        ]
    why = "an older tick" if recent < 0.001 else "mid prices or ratio back-adjustment"
    return [_finding(bars, "warn", "tick_grid", f"{what} ({why})", off)]


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


def _steps(bars: Bars, facts: SeriesProfile) -> list[QualityFinding]:
    found = []
    size = facts.gap
    # A step across n missing days may be √n times as large.
    scaled = size / (facts.sigma * np.sqrt(facts.days_between))
    wild = np.flatnonzero((scaled > STEP_SIGMA) & (size > STEP_LEAST)) + 1
    if len(wild):
        worst = int(wild[np.argmax(size[wild - 1])])
        move = 100 * (bars.open[worst] / bars.close[worst - 1] - 1)
        found.append(
            _finding(
                bars,
                "refuse",
                "steps",
                f"{len(wild)} steps between bars that no market makes, the largest {move:+.1f} % "
                f"at {to_stamp(int(bars.ts_us[worst]))} ({scaled[worst - 1]:.0f} daily standard "
                "deviations)",
                wild,
            )
        )
    bad = _spikes(bars, max(STEP_SIGMA * facts.sigma, STEP_LEAST))
    if len(bad):
        found.append(
            _finding(
                bars,
                "warn",
                "spikes",
                f"{len(bad)} bars spike out and back by more than "
                f"{STEP_SIGMA:.0f} daily standard deviations",
                bad,
            )
        )
    return found


def _spikes(bars: Bars, least: float) -> Int64:
    # Bars whose range is that large, in log points, and comes to nothing.
    wide = np.flatnonzero(bars.high > bars.low * np.exp(least))
    body = np.abs(np.log(bars.close[wide] / bars.open[wide]))
    back = body < 0.2 * np.log(bars.high[wide] / bars.low[wide])
    return np.asarray(wide[back], dtype=np.int64)


def _rolls(bars: Bars, facts: SeriesProfile) -> list[QualityFinding]:
    if not bars.instrument.months:
        return []
    codes = bars.contract_codes
    if codes is not None:
        return _known_rolls(bars, codes)
    opens = np.flatnonzero(facts.new_day)
    scaled = facts.gap[opens] / (facts.sigma * np.sqrt(facts.days_between[opens]))
    jumps = opens[scaled > ROLL_SIGMA] + 1
    if len(jumps):
        return [
            _finding(
                bars,
                "warn",
                "suspected_rolls",
                f"{len(jumps)} overnight steps may be rolls; without a contract column "
                "they are kept as price moves",
                jumps,
            )
        ]
    return [_unknown_rolls(bars)]


def _unknown_rolls(bars: Bars) -> QualityFinding:
    # Longer than one contract can be held, the series must have rolled.
    held = _YEAR_US * 1.2 / len(bars.instrument.months)
    if int(bars.ts_us[-1]) - int(bars.ts_us[0]) > held:
        return _finding(
            bars,
            "warn",
            "unknown_rolls",
            "no contract column: the series must have rolled, nobody knows where",
        )
    return _finding(bars, "info", "no_contract", "no contract column")


def _known_rolls(bars: Bars, codes: np.ndarray) -> list[QualityFinding]:
    changes = np.flatnonzero(np.diff(bars.rolls)) + 1
    found = []
    if len(changes):
        found.append(
            _finding(
                bars,
                "info",
                "rolls",
                f"{len(changes)} rolls known from the contract column",
                changes,
            )
        )
    if len(changes) >= len(np.unique(codes)):
        found.append(
            _finding(
                bars, "warn", "roll_flip_flop", "a contract comes back after it was left", changes
            )
        )
    lengths = {len(name) for name in bars.frame["contract"].unique().to_list()}
    if len(lengths) > 1:
        found.append(
            _finding(
                bars,
                "warn",
                "contract_names",
                "contract names change their style (NGM5, then NGU25)",
            )
        )
    return found


def _volume(bars: Bars, facts: SeriesProfile) -> list[QualityFinding]:
    empty = bars.volume <= 0
    share = float(empty.mean())
    if share == 1.0:
        level: Level = "warn" if bars.instrument.kind == "future" else "info"
        return [_finding(bars, level, "no_volume", "the source has no volume")]
    if share > DEAD_SHARE and bars.instrument.kind != "proxy":
        return [
            _finding(
                bars,
                "refuse",
                "dead_volume",
                f"{_percent(share)} of bars had no trade: nobody trades this contract",
                empty,
            )
        ]
    if share > 0.001:
        level = "warn" if share > 0.01 else "info"
        return [
            _finding(bars, level, "zero_volume", f"{_percent(share)} of bars had no trade", empty)
        ]
    return []


def _dead(bars: Bars, facts: SeriesProfile) -> list[QualityFinding]:
    if not len(facts.dead_run):
        return []
    level: Level = "refuse" if len(facts.dead_run) >= DEAD_SESSIONS else "warn"
    rows = facts.first_row[facts.dead_run]
    return [
        _finding(
            bars,
            level,
            "dead_segment",
            f"{len(rows)} sessions in a row trade under 1 % of the volume around them: "
            "a far contract month or the wrong feed",
            rows,
        )
    ]


def _absent(bars: Bars, facts: SeriesProfile) -> list[QualityFinding]:
    if not len(facts.absent_us):
        return []
    share = len(facts.absent_us) / facts.n_expected
    level: Level = "refuse" if share > ABSENT_SHARE else "warn" if share > 0.01 else "info"
    message = f"{len(facts.absent_us)} of {facts.n_expected} sessions have no bar"
    return [
        QualityFinding(
            level=level,
            code="missing_sessions",
            message=message,
            count=len(facts.absent_us),
            first=to_stamp(int(facts.absent_us[0])),
        )
    ]


def _holes(bars: Bars, facts: SeriesProfile) -> list[QualityFinding]:
    found = []
    if facts.n_missing_bars:
        share = facts.n_missing_bars / (facts.n_missing_bars + len(bars))
        level: Level = "warn" if share > 0.02 else "info"
        found.append(
            _finding(
                bars,
                level,
                "holes",
                f"{facts.n_missing_bars} bars ({_percent(share)}) are missing inside sessions",
                facts.hole_rows,
            )
        )
    found += [
        _finding(bars, "warn", "weekday_hole", f"{name} sessions hold far fewer bars than others")
        for name in facts.thin_weekdays
    ]
    return found


def _outside(bars: Bars, facts: SeriesProfile) -> list[QualityFinding]:
    found = []
    soft = bars.instrument.kind == "proxy"  # each venue of a proxy keeps its own hours
    for code, rows, what in (
        ("weekend_bars", facts.weekend, "fall on a Saturday"),
        ("closed_market", facts.outside & ~facts.weekend, "fall when the exchange is closed"),
    ):
        if not rows.any():
            continue
        share = float(rows.mean())
        level: Level = "info" if share < 0.002 else "warn"
        if share > OUTSIDE_SHARE and not soft:
            level = "refuse"
        wrong = ": the time zone, --stamps or the day-month order is wrong"
        hint = wrong if level == "refuse" else ""
        found.append(_finding(bars, level, code, f"{_percent(share)} of bars {what}{hint}", rows))
    return found


def _stamps(bars: Bars, facts: SeriesProfile) -> list[QualityFinding]:
    found = []
    step = np.diff(bars.ts_us)
    short = np.flatnonzero(step < bars.timeframe.us) + 1
    if len(short):
        level: Level = "warn" if len(short) > 0.001 * len(bars) else "info"
        found.append(
            _finding(
                bars,
                level,
                "overlap",
                f"{len(short)} bars open before the one above has ended",
                short,
            )
        )
    if bars.timeframe.us < 3_600_000_000:
        crooked = bars.ts_us % bars.timeframe.us != 0
        if crooked.any():
            level = "warn" if crooked.mean() > 0.001 else "info"
            found.append(
                _finding(
                    bars,
                    level,
                    "crooked_stamps",
                    f"{int(crooked.sum())} stamps are no multiple of {bars.timeframe}",
                    crooked,
                )
            )
    return found


def _future(bars: Bars, now_us: int) -> list[QualityFinding]:
    late = bars.ts_us > now_us + CLOCK_SLACK_US
    if bars.instrument.kind == "simulated" or not late.any():
        return []
    return [
        _finding(
            bars, "refuse", "future_bars", f"{int(late.sum())} bars are dated in the future", late
        )
    ]
