"""The certificate: whether context heads say what happens, on bars they never saw.

Deciles of what was said against what followed, the calibration error over ten groups of
equal mass, the reliability slope (logistic for classes, least squares for values), and
how often the 80 % interval held; for all rows, by year and by stream. "Calibrated" is
said only when the error is at most 0.03 and the slope lies between 0.8 and 1.25.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ffm_core.bars.sessions import to_stamp
from ffm_core.bars.table import Bars
from ffm_core.context.calibration import BAND_SHARE, logit
from ffm_core.context.heads import PREFIX, Head
from ffm_core.context.rows import ContextRows, rows_of, seen_warnings
from ffm_core.context.scoring import (
    MEASURE,
    ScoreEstimate,
    days_of,
    interval,
    or_usual,
    pearson,
    samples_of,
    score_of,
)
from ffm_core.context.serving import ContextHeads
from ffm_core.context.settings import ContextSettings
from ffm_core.errors import ConfigError, SampleError
from ffm_core.features.library import find_set
from ffm_core.statistics import (
    CALIBRATION_SLOPES,
    MAX_CALIBRATION_ERROR,
    Bin,
    bins_of_equal_mass,
    calibration_error,
    is_calibrated,
    logistic_line,
    ols_line,
)
from ffm_core.types import Float32, Float64, Int64
from ffm_core.wording import counted, digits_apart

BINS = 10
ALL = "all"
_FIGURES = ("head", "measure", "scope", "n", "n_days", "persistence", "ece", "ece_by_chance",
            "slope", "intercept", "brier", "coverage", "monotone", "weak", "calibrated",
            "verdict")  # fmt: skip
_SETTINGS = ("stride", "from_us", "resamples", "block_days", "seed", "min_later")
_NAMES = ("HEAD", "SCOPE", "ROWS", "DAYS", "SCORE", "95 %", "PERSIST", "ECE", "BY CHANCE", "SLOPE",
          "80 % BAND", "")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadFinding:
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
    score: ScoreEstimate
    persistence: float
    ece: float
    ece_by_chance: float
    slope: float
    intercept: float
    brier: float
    coverage: float
    monotone: float
    deciles: tuple[Bin, ...]
    weak: bool

    @property
    def calibrated(self) -> bool:
        """Whether the error and the slope are within their bounds."""
        return is_calibrated(self.ece, self.slope)

    @property
    def verdict(self) -> str:
        """Say "calibrated", or why not."""
        if self.calibrated:
            return "calibrated"
        why = []
        low, high = CALIBRATION_SLOPES
        if not self.ece <= MAX_CALIBRATION_ERROR:
            why.append(f"ECE {self.ece_text} > {MAX_CALIBRATION_ERROR}")
        if not low <= self.slope <= high:
            seen = self.slope_text if math.isfinite(self.slope) else "undefined"
            why.append(f"slope {seen} outside {low}…{high}")
        return f"not calibrated: {', '.join(why)}"

    @property
    def ece_text(self) -> str:
        """The error with digits that tell it from its limit."""
        return f"{self.ece:.{digits_apart([self.ece], [MAX_CALIBRATION_ERROR], 3)}f}"

    @property
    def slope_text(self) -> str:
        """The slope with digits that tell it from its limits."""
        return f"{self.slope:.{digits_apart([self.slope], CALIBRATION_SLOPES, 2)}f}"

    def record(self) -> dict[str, Any]:
        """Return the entry in a JSON document."""
        found = {name: getattr(self, name) for name in _FIGURES}
        return {
            **found, "effective_n": round(self.effective, 1), "score": self.score.record(),
            "deciles": [{"said": b.predicted, "seen": b.observed, "n": b.n} for b in self.deciles],
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadCertificate:
    """What was found on untouched rows."""

    name: str
    version: str
    embedder: str
    cutoff: str
    start: str
    end: str
    streams: tuple[str, ...]
    findings: tuple[HeadFinding, ...]
    left_out: Mapping[str, int]
    settings: ContextSettings
    warnings: tuple[str, ...] = ()

    def of(self, head: str, scope: str = ALL) -> HeadFinding:
        """Return the finding of a head."""
        return next(f for f in self.findings if (f.head, f.scope) == (head, scope))

    def record(self) -> dict[str, Any]:
        """Return the certificate as one document."""
        return {
            "name": self.name, "version": self.version, "embedder": self.embedder,
            "cutoff": self.cutoff, "start": self.start, "end": self.end, "streams": self.streams,
            "bounds": {"ece": MAX_CALIBRATION_ERROR, "slope": CALIBRATION_SLOPES,
                       "coverage": BAND_SHARE},
            "settings": self.settings.record(*_SETTINGS), "left_out": dict(self.left_out),
            "warnings": self.warnings,
            "findings": [finding.record() for finding in self.findings],
        }  # fmt: skip


def certify(
    heads: ContextHeads,
    streams: Sequence[Bars],
    *,
    settings: ContextSettings | None = None,
    home: Path | None = None,
    stage: Callable[[str, int], Callable[[int], None]] | None = None,
) -> HeadCertificate:
    """Hold what heads say against what followed, on bars after their cut-off.

    Parameters
    ----------
    heads : ContextHeads
        Every head is looked at, weak ones too.
    streams : sequence of Bars
        Bars at or before the cut-off serve as history and are not judged.
    settings : ContextSettings, optional
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
    how = settings or ContextSettings()
    start = heads.cutoff_us if how.from_us is None else how.from_us
    if start < heads.cutoff_us:
        raise ConfigError(
            f"the certificate would begin on {to_stamp(start)}, but these heads were fitted to "
            f"bars up to {to_stamp(heads.cutoff_us)}",
            fix="give a later --from-test, or refit the heads on earlier data with --until",
        )
    watch = stage or (lambda name, total: lambda steps: None)
    about = heads.manifest.about
    sets = [find_set(name) for name in about.sets]
    rows = rows_of(
        streams, {about.embedder: heads.embedder}, sets, stride=how.stride, home=home,
        advance=watch("rows", len(streams)),
    )  # fmt: skip
    fresh = np.flatnonzero(rows.t_us > start)
    if len(fresh) < how.min_later:
        raise SampleError(
            f"{counted(len(fresh), 'decision bar')} after {to_stamp(start)}; at least "
            f"{how.min_later} are needed",
            fix="give newer data, or refit the heads on earlier data with --until or --keep",
        )
    said = _said(heads, rows, fresh)
    findings: list[HeadFinding] = []
    advance = watch("heads", len(heads.heads))
    for head in heads.heads:
        findings += _findings(head, rows, fresh, said[head.name], how)
        advance(1)
    return HeadCertificate(
        name=heads.manifest.name, version=heads.manifest.version, embedder=about.embedder,
        cutoff=to_stamp(heads.cutoff_us), start=to_stamp(int(rows.t_us[fresh].min())),
        end=to_stamp(int(rows.t_us[fresh].max())), streams=rows.streams,
        findings=tuple(findings), left_out=rows.left_out, settings=how,
        warnings=seen_warnings(heads.embedder, start),
    )  # fmt: skip


def _said(heads: ContextHeads, rows: ContextRows, at: Int64) -> dict[str, Float64]:
    parts: list[Float32] = []
    for name, wanted in heads.manifest.about.blocks.items():
        place = {column: k for k, column in enumerate(rows.columns[name])}
        chosen = np.array([place[column] for column in wanted], dtype=np.int64)
        parts.append(rows.blocks[name][np.ix_(at, chosen)])
    return heads.predict(np.hstack(parts))


def _findings(
    head: Head, rows: ContextRows, fresh: Int64, said: Float64, how: ContextSettings
) -> list[HeadFinding]:
    known = np.isfinite(rows.value[head.name][fresh])
    at, said = fresh[known], said[known]
    place, counts = days_of(
        rows.day[at], resamples=how.resamples, block_days=how.block_days, seed=how.seed
    )
    years = rows.day[at].astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    scopes = {ALL: np.ones(len(at), dtype=np.bool_)}
    if len(np.unique(years)) > 1:
        scopes |= {str(year): years == year for year in np.unique(years).tolist()}
    scopes |= rows.by_stream(at)
    out = []
    for scope, mine in scopes.items():
        if mine.sum() >= how.min_later:
            one = _finding(head, rows, at[mine], said[mine], place[mine], counts, scope)
            out.append(one)
    return out


def _finding(
    head: Head, rows: ContextRows, at: Int64, said: Float64, day: Int64, counts: Any, scope: str
) -> HeadFinding:
    value = rows.value[head.name][at]
    tenths = bins_of_equal_mass(said, value, BINS)
    line = logistic_line(logit(said), value) if head.kind == "binary" else ols_line(said, value)
    coverage = math.nan
    if head.band is not None:
        low, high = head.band.apply(said)
        coverage = float(np.mean((value >= low) & (value <= high)))
    last = rows.persistence[head.name][at]
    order = np.arange(len(tenths), dtype=np.float64)
    return HeadFinding(
        head=head.name, measure=MEASURE[head.kind], scope=scope, n=len(value),
        n_days=len(np.unique(day)), effective=rows.effective(head.name, at),
        score=interval(
            score_of(head.kind, said, value), samples_of(head.kind, said, value, day, counts)
        ),
        persistence=score_of(head.kind, or_usual(last, last), value),
        ece=calibration_error(tenths),
        ece_by_chance=_by_chance(said, value, rows.effective(head.name, at)),
        slope=line[0], intercept=line[1], brier=float(np.mean((said - value) ** 2)),
        coverage=coverage, monotone=pearson(order, np.array([one.observed for one in tenths])),
        deciles=tenths, weak=head.weak,
    )  # fmt: skip


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


def certificate_lines(found: HeadCertificate) -> list[tuple[str, ...]]:
    """Return a table: a line of names, then a line per head and scope."""
    rows: list[tuple[str, ...]] = [_NAMES]
    for one in found.findings:
        held = f"{one.coverage:.0%}" if math.isfinite(one.coverage) else "-"
        slope = one.slope_text if math.isfinite(one.slope) else "-"
        rows.append(
            (
                PREFIX + one.head if one.scope == ALL else "",
                one.scope, f"{one.n:,}", str(one.n_days), f"{one.measure} {one.score.value:.3f}",
                f"{one.score.low:.3f}…{one.score.high:.3f}", f"{one.persistence:.3f}",
                one.ece_text, f"{one.ece_by_chance:.3f}", slope, held,
                one.verdict + ("; weak" if one.weak else ""),
            )
        )  # fmt: skip
    return rows
