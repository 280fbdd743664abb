"""The certificate: whether context heads say what happens, on bars they never saw.

Deciles of what was said against what followed, the calibration error over ten groups of
equal mass, the reliability slope (logistic for classes, least squares for values), and
how often the 80 % interval held; for all rows, by year and by stream. "Calibrated" is
said only when the error is at most 0.03 and the slope lies between 0.8 and 1.25.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ffm_core.bars.sessions import to_stamp
from ffm_core.bars.table import Bars
from ffm_core.context.calibration import BAND_SHARE, logistic_line, logit, ols_line
from ffm_core.context.heads import PREFIX, Head
from ffm_core.context.rows import STRIDE, Rows, rows_of, seen_warnings
from ffm_core.context.scoring import (
    BLOCK_DAYS,
    MEASURE,
    RESAMPLES,
    Score,
    day_counts,
    interval,
    pearson,
    samples_of,
    score_of,
)
from ffm_core.context.serving import ContextHeads
from ffm_core.errors import ConfigError, SampleError
from ffm_core.features.library import find_set
from ffm_core.types import Float32, Float64, Int64

MAX_ERROR = 0.03
SLOPES = (0.8, 1.25)
BINS = 10
MIN_ROWS = 100
ALL = "all"
_FIGURES = ("head", "measure", "scope", "n", "n_days", "persistence", "ece", "ece_by_chance",
            "slope", "intercept", "brier", "coverage", "monotone", "emitted", "calibrated",
            "verdict")  # fmt: skip
_NAMES = ("HEAD", "SCOPE", "ROWS", "DAYS", "SCORE", "95 %", "PERSIST", "ECE", "BY CHANCE", "SLOPE",
          "80 % BAND", "")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a certificate is made.

    Parameters
    ----------
    stride : int
        Bars between two decision bars.
    from_us : int, optional
        Begin, microseconds UTC; default everything after the cut-off of the heads.
    resamples, block_days, seed
        Of the intervals.
    min_rows : int
        A scope with fewer rows is left out.
    """

    stride: int = STRIDE
    from_us: int | None = None
    resamples: int = RESAMPLES
    block_days: float = BLOCK_DAYS
    seed: int = 0
    min_rows: int = MIN_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Decile:
    """One tenth of the rows, by what was said."""

    said: float
    seen: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One head on one scope.

    ``coverage`` is the share of values inside the 80 % interval, NaN for classes;
    ``brier`` the mean squared error; ``monotone`` the correlation of the deciles'
    number with what was seen in them; ``persistence`` the score of the present alone.
    ``ece_by_chance`` is the error that a perfect head would show with so many rows that
    overlap as these do: where it is not well below 0.03, only more rows can say the word.
    """

    head: str
    measure: str
    scope: str
    n: int
    n_days: int
    effective: float
    score: Score
    persistence: float
    ece: float
    ece_by_chance: float
    slope: float
    intercept: float
    brier: float
    coverage: float
    monotone: float
    deciles: tuple[Decile, ...]
    emitted: bool

    @property
    def calibrated(self) -> bool:
        """Whether the error and the slope are within their bounds."""
        return self.ece <= MAX_ERROR and SLOPES[0] <= self.slope <= SLOPES[1]

    @property
    def verdict(self) -> str:
        """Say "calibrated", or why not."""
        if self.calibrated:
            return "calibrated"
        why = []
        if not self.ece <= MAX_ERROR:
            why.append(f"ECE {self.ece:.3f} > {MAX_ERROR}")
        if not SLOPES[0] <= self.slope <= SLOPES[1]:
            seen = f"{self.slope:.2f}" if math.isfinite(self.slope) else "undefined"
            why.append(f"slope {seen} outside {SLOPES[0]}…{SLOPES[1]}")
        return f"not calibrated: {', '.join(why)}"

    def record(self) -> dict[str, Any]:
        """Return the entry in a JSON document."""
        found = {name: getattr(self, name) for name in _FIGURES}
        return {
            **found, "effective_n": round(self.effective, 1), "score": self.score.record(),
            "deciles": [asdict(one) for one in self.deciles],
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What was found on untouched rows."""

    name: str
    version: str
    embedder: str
    cutoff: str
    start: str
    end: str
    streams: tuple[str, ...]
    findings: tuple[Finding, ...]
    left_out: Mapping[str, int]
    settings: Settings
    warnings: tuple[str, ...] = ()

    def of(self, head: str, scope: str = ALL) -> Finding:
        """Return the finding of a head."""
        return next(f for f in self.findings if (f.head, f.scope) == (head, scope))

    def record(self) -> dict[str, Any]:
        """Return the certificate as one document."""
        return {
            "name": self.name, "version": self.version, "embedder": self.embedder,
            "cutoff": self.cutoff, "start": self.start, "end": self.end, "streams": self.streams,
            "bounds": {"ece": MAX_ERROR, "slope": SLOPES, "coverage": BAND_SHARE},
            "settings": asdict(self.settings), "left_out": dict(self.left_out),
            "warnings": self.warnings,
            "findings": [finding.record() for finding in self.findings],
        }  # fmt: skip


def certify(
    heads: ContextHeads,
    streams: Sequence[Bars],
    *,
    settings: Settings | None = None,
    home: Path | None = None,
    stage: Callable[[str, int], Callable[[int], None]] | None = None,
) -> Certificate:
    """Hold what heads say against what followed, on bars after their cut-off.

    Parameters
    ----------
    heads : ContextHeads
        Every head is looked at, those that are not emitted too.
    streams : sequence of Bars
        Bars at or before the cut-off serve as history and are not judged.
    settings : Settings, optional
        How.
    home : pathlib.Path, optional
        ``FFM_HOME``, whose cache of vectors is used.
    stage : callable, optional
        ``(name, total) -> advance`` to follow the work.

    Raises
    ------
    ConfigError
        When it is to begin at or before the cut-off.
    SampleError
        When too few rows lie after it.
    """
    how = settings or Settings()
    start = heads.cutoff_us if how.from_us is None else how.from_us
    if start < heads.cutoff_us:
        raise ConfigError(
            f"the certificate is to begin on {to_stamp(start)}, but these heads were fitted on "
            f"bars up to {to_stamp(heads.cutoff_us)}",
            fix="give a later --from-test, or fit heads that stop earlier with --until",
        )
    watch = stage or (lambda name, total: lambda steps: None)
    about = heads.manifest.about
    sets = [find_set(name) for name in about.sets]
    rows = rows_of(
        streams, {about.embedder: heads.embedder}, sets, stride=how.stride, home=home,
        advance=watch("rows", len(streams)),
    )  # fmt: skip
    fresh = np.flatnonzero(rows.t_us > start)
    if len(fresh) < how.min_rows:
        raise SampleError(
            f"{len(fresh)} decision bars lie after {to_stamp(start)}, needs {how.min_rows}",
            fix="give newer data, or fit heads that stop earlier with --until or --keep",
        )
    said = _said(heads, rows, fresh)
    findings: list[Finding] = []
    advance = watch("heads", len(heads.heads))
    for head in heads.heads:
        findings += _findings(head, rows, fresh, said[head.name], how)
        advance(1)
    return Certificate(
        name=heads.manifest.name, version=heads.manifest.version, embedder=about.embedder,
        cutoff=to_stamp(heads.cutoff_us), start=to_stamp(int(rows.t_us[fresh].min())),
        end=to_stamp(int(rows.t_us[fresh].max())), streams=rows.streams,
        findings=tuple(findings), left_out=rows.left_out, settings=how,
        warnings=seen_warnings(heads.embedder, start),
    )  # fmt: skip


def _said(heads: ContextHeads, rows: Rows, at: Int64) -> dict[str, Float64]:
    parts: list[Float32] = []
    for name, wanted in heads.manifest.about.blocks.items():
        place = {column: k for k, column in enumerate(rows.columns[name])}
        chosen = np.array([place[column] for column in wanted], dtype=np.int64)
        parts.append(rows.blocks[name][np.ix_(at, chosen)])
    return heads.predict(np.hstack(parts), every=True)


def _findings(head: Head, rows: Rows, fresh: Int64, said: Float64, how: Settings) -> list[Finding]:
    known = np.isfinite(rows.value[head.name][fresh])
    at, said = fresh[known], said[known]
    days, place = np.unique(rows.day[at], return_inverse=True)
    counts = day_counts(
        len(days), resamples=how.resamples, block_days=how.block_days, seed=how.seed
    )
    years = rows.day[at].astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    scopes = {ALL: np.ones(len(at), dtype=np.bool_)}
    if len(np.unique(years)) > 1:
        scopes |= {str(year): years == year for year in np.unique(years).tolist()}
    if len(rows.streams) > 1:
        scopes |= {name: rows.stream[at] == k for k, name in enumerate(rows.streams)}
    out = []
    for scope, mine in scopes.items():
        if mine.sum() >= how.min_rows:
            one = _finding(head, rows, at[mine], said[mine], place[mine], counts, scope)
            out.append(one)
    return out


def _finding(
    head: Head, rows: Rows, at: Int64, said: Float64, day: Int64, counts: Any, scope: str
) -> Finding:
    value = rows.value[head.name][at]
    tenths = deciles(said, value)
    line = logistic_line(logit(said), value) if head.kind == "binary" else ols_line(said, value)
    coverage = math.nan
    if head.band is not None:
        low, high = head.band.apply(said)
        coverage = float(np.mean((value >= low) & (value <= high)))
    last = rows.persistence[head.name][at]
    usual = float(np.nanmean(last)) if np.isfinite(last).any() else 0.0
    order = np.arange(len(tenths), dtype=np.float64)
    return Finding(
        head=head.name, measure=MEASURE[head.kind], scope=scope, n=len(value),
        n_days=len(np.unique(day)), effective=rows.effective(head.name, at),
        score=interval(
            score_of(head.kind, said, value), samples_of(head.kind, said, value, day, counts)
        ),
        persistence=score_of(head.kind, np.where(np.isfinite(last), last, usual), value),
        ece=sum(one.n * abs(one.said - one.seen) for one in tenths) / len(value),
        ece_by_chance=_by_chance(said, value, rows.effective(head.name, at)),
        slope=line[0], intercept=line[1], brier=float(np.mean((said - value) ** 2)),
        coverage=coverage, monotone=pearson(order, np.array([one.seen for one in tenths])),
        deciles=tenths, emitted=head.emitted,
    )  # fmt: skip


def deciles(said: Float64, value: Float64) -> tuple[Decile, ...]:
    """Cut rows, sorted by what was said, into ten groups of equal size."""
    order = np.argsort(said, kind="stable")
    return tuple(
        Decile(said=float(said[rows].mean()), seen=float(value[rows].mean()), n=len(rows))
        for rows in np.array_split(order, min(BINS, len(order)))
    )


def _by_chance(said: Float64, value: Float64, effective: float) -> float:
    """Return the calibration error that a perfect head would be expected to show.

    A mean of ``n`` values of variance ``v`` misses by √(2 v / π n) in the mean; overlap
    leaves ``effective`` of the rows.
    """
    order = np.argsort(said, kind="stable")
    groups = [value[rows] for rows in np.array_split(order, min(BINS, len(order)))]
    share = max(effective, 1.0) / len(value)
    off = [math.sqrt(2.0 * float(g.var()) / (math.pi * len(g) * share)) for g in groups]
    return float(np.average(off, weights=[len(g) for g in groups]))


def certificate_lines(found: Certificate) -> list[tuple[str, ...]]:
    """Return a table: a line of names, then a line per head and scope."""
    rows: list[tuple[str, ...]] = [_NAMES]
    for one in found.findings:
        held = f"{one.coverage:.0%}" if math.isfinite(one.coverage) else "-"
        slope = f"{one.slope:.2f}" if math.isfinite(one.slope) else "-"
        rows.append(
            (
                PREFIX + one.head if one.scope == ALL else "",
                one.scope, f"{one.n:,}", str(one.n_days), f"{one.measure} {one.score.value:.3f}",
                f"{one.score.low:.3f}…{one.score.high:.3f}", f"{one.persistence:.3f}",
                f"{one.ece:.3f}", f"{one.ece_by_chance:.3f}", slope, held,
                one.verdict + ("" if one.emitted else "; not emitted"),
            )
        )  # fmt: skip
    return rows
