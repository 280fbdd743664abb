"""The contract of feature sets, one named check at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.cutting.series import edited, fingerprint, part
from ffm_core.features.windowed import open_stream
from ffm_core.records import FeatureStream, answers
from ffm_core.records.forms import first_infinite
from ffm_core.testing.checks import Check, answers_are_computed, require_no_failure
from ffm_core.testing.fresh import fresh_process
from ffm_core.testing.market import Kind
from ffm_core.testing.report import CheckFailed, CheckSkipped
from ffm_core.testing.require import require_sound
from ffm_core.testing.subject import FeatureSetUnderTest
from ffm_core.types import Float32

_STREAMED_ROWS = 600  # bars after the warm-up that are fed one by one
_RECOMPUTED_ROWS = 150  # the same, where every bar computes a whole history anew
_SNAPSHOTS = 5

# --- form -----------------------------------------------------------------------------------


def record_is_sound(subject: FeatureSetUnderTest) -> None:
    """Declare unique names, units, and a sensible warm-up, memory and history."""
    if not subject.feature_set.columns:
        raise CheckFailed("it declares no columns")
    require_sound(subject.feature_set)


def returns_a_row_per_bar(subject: FeatureSetUnderTest) -> None:
    """Return float32, one row per bar and one column per declared name."""
    _ = subject.full


def says_something(subject: FeatureSetUnderTest) -> None:
    """Give every column a value somewhere on the standard bars."""
    silent = ~np.isfinite(subject.full).any(axis=0)
    if silent.any():
        name = subject.feature_set.columns[int(np.argmax(silent))].name
        raise CheckFailed(
            f"{name} is NaN on all of {len(subject.bars)} bars, so nothing else means anything",
            fix="give check_feature_set bars long enough for the warm-up",
        )


# --- repeatable -----------------------------------------------------------------------------


def input_is_not_edited(subject: FeatureSetUnderTest) -> None:
    """Leave bars as they were given."""
    given = part(subject.bars, 0, len(subject.bars))
    before = fingerprint(given)
    subject.call(subject.feature_set.batch, given)
    column = edited(given, before)
    if column is not None:
        raise CheckFailed(f"it edits the bars it is given: {column}", fix="work on a copy")


def calls_agree(subject: FeatureSetUnderTest) -> None:
    """Answer the same bars twice in the same way."""
    _require_equal(
        subject,
        subject.matrix(subject.bars),
        subject.matrix(subject.bars),
        "two calls on the same bars disagree",
        fix="draw from a generator seeded inside the call; use no global random state",
    )


def keeps_no_state(subject: FeatureSetUnderTest) -> None:
    """Let no answer depend on which bars were shown before."""
    require_no_failure(subject, "purity")


def fresh_process_agrees(subject: FeatureSetUnderTest) -> None:
    """Answer the same in a new interpreter."""
    found = fresh_process(subject.feature_set, subject.bars)
    if found.error:
        raise CheckFailed(f"it fails in another process: {found.error}")
    _require_equal(
        subject,
        subject.full,
        found.answer,
        "another process returns different values",
        fix="use no hash(), no set order, no clock, no thread count, no global random state",
    )


def imports_are_light(subject: FeatureSetUnderTest) -> None:
    """Import no heavy library when the set is imported."""
    found = fresh_process(subject.feature_set, subject.bars)
    if found.heavy:
        raise CheckFailed(
            f"importing it pulls in {', '.join(found.heavy)}",
            fix="import heavy libraries inside the function that needs them",
        )


# --- values ---------------------------------------------------------------------------------


def nothing_is_infinite(subject: FeatureSetUnderTest) -> None:
    """Give no infinite value."""
    _require_no_infinity(subject, subject.full)


def warmup_is_honest(subject: FeatureSetUnderTest) -> None:
    """Give a value on every bar after the warm-up, or say when it is missing."""
    for j, column in enumerate(subject.feature_set.columns):
        warmup = subject.warmup_bars if column.warmup_bars is None else column.warmup_bars
        values = subject.full[warmup:, j]
        gaps = np.flatnonzero(np.isnan(values))
        if len(gaps) and (not column.missing or len(gaps) == len(values)):
            raise CheckFailed(
                f"{column.name} is NaN at bar {warmup + gaps[0]}, after its warm-up of "
                f"{warmup} bars",
                fix="declare the warm-up it needs, or say in Column.missing when it is undefined",
            )


# --- causal ---------------------------------------------------------------------------------


def past_ignores_removed_future(subject: FeatureSetUnderTest) -> None:
    """Keep rows as they are when later bars are removed."""
    require_no_failure(subject, "prefix")


def past_ignores_changed_future(subject: FeatureSetUnderTest) -> None:
    """Keep rows as they are when later bars are changed."""
    require_no_failure(subject, "mutation")


def history_is_sufficient(subject: FeatureSetUnderTest) -> None:
    """Reproduce rows from the declared history alone."""
    history = subject.feature_set.history_bars
    if history is not None and history + subject.warmup_bars >= len(subject.bars):
        raise CheckSkipped(f"{len(subject.bars)} bars are fewer than the declared history needs")
    require_no_failure(subject, "history")


# --- bar by bar -----------------------------------------------------------------------------


def stream_equals_batch(subject: FeatureSetUnderTest) -> None:
    """Give bar by bar what batch gives, bit for bit."""
    bars = _streamed_bars(subject)
    stream = _stream(subject)
    kept = [(_fed(subject, stream, bars, t)) for t in range(len(bars))]
    found = np.array(kept, dtype=np.float32).reshape(len(bars), -1)
    if len(kept) > 1 and np.shares_memory(kept[0], kept[-1]):
        raise CheckFailed(
            "update() hands out the same array for every bar, so earlier rows change",
            fix="return a new array from update()",
        )
    _require_equal(
        subject,
        subject.matrix(bars),
        found,
        "the stream disagrees with batch",
        fix="compute both by the same step; see ffm_core.features.steps",
        tolerant=subject.feature_set.stream is None,
    )


def snapshots_continue(subject: FeatureSetUnderTest) -> None:
    """Go on from a snapshot, in another stream, as if nothing had happened."""
    bars = _streamed_bars(subject)
    first = _stream(subject)
    places = set(np.linspace(1, len(bars) - 2, _SNAPSHOTS).astype(int).tolist())
    twins: list[FeatureStream] = []
    for t in range(len(bars)):
        row = _fed(subject, first, bars, t).copy()
        for twin in twins:
            if not _same(row, _fed(subject, twin, bars, t)).all():
                raise CheckFailed(
                    f"a stream restored from a snapshot returns different values at bar {t}",
                    fix="put every buffer, sum and counter into the snapshot",
                )
        if t in places:
            state = subject.call(first.snapshot)
            subject.call(answers.as_bytes, f"feature set {subject.name!r}", "snapshot", state)
            twins = [*twins[-1:], _stream(subject)]
            subject.call(twins[-1].restore, state)


def streams_are_apart(subject: FeatureSetUnderTest) -> None:
    """Let two streams of one process know nothing of each other."""
    bars = _streamed_bars(subject)[:200]
    other = subject.market("random")[:200]
    alone = _stream(subject)
    expected = [_fed(subject, alone, bars, t).copy() for t in range(len(bars))]
    one, two = _stream(subject), _stream(subject)
    for t in range(len(bars)):
        row = _fed(subject, one, bars, t).copy()
        _fed(subject, two, other, t)
        if not _same(row, expected[t]).all():
            raise CheckFailed(
                f"a second stream changes what the first one says at bar {t}",
                fix="keep the state in the stream, not in the class or the module",
            )


def _streamed_bars(subject: FeatureSetUnderTest) -> Bars:
    feature_set = subject.feature_set
    if feature_set.inputs:
        raise CheckSkipped("it reads inputs, and a stream is shown bars alone")
    if feature_set.stream is None and feature_set.history_bars is feature_set.history_days is None:
        raise CheckSkipped("it needs the whole past and offers no stream")
    fed = _STREAMED_ROWS if feature_set.stream is not None else _RECOMPUTED_ROWS
    return subject.bars[: subject.warmup_bars + fed]


def _stream(subject: FeatureSetUnderTest) -> FeatureStream:
    bars = subject.bars
    stream: FeatureStream = subject.call(
        open_stream, subject.feature_set, bars.instrument, bars.timeframe
    )
    return stream


def _fed(subject: FeatureSetUnderTest, stream: FeatureStream, bars: Bars, t: int) -> Float32:
    answer = subject.call(
        stream.update,
        int(bars.ts_us[t]),
        float(bars.open[t]),
        float(bars.high[t]),
        float(bars.low[t]),
        float(bars.close[t]),
        float(bars.volume[t]),
    )
    width = len(subject.feature_set.columns)
    row: Float32 = subject.call(answers.feature_row, subject.name, answer, width)
    return row


# --- market ---------------------------------------------------------------------------------


def few_bars(subject: FeatureSetUnderTest) -> None:
    """Accept no bar, one bar, and fewer bars than the warm-up."""
    for rows in (0, 1, 2, max(subject.warmup_bars // 2, 3)):
        _require_no_infinity(subject, subject.matrix(subject.bars[:rows]))


def _in_market(kind: Kind) -> Callable[[FeatureSetUnderTest], None]:
    def check(subject: FeatureSetUnderTest) -> None:
        answer = subject.matrix(subject.market(kind))
        _require_no_infinity(subject, answer)

    return check


def flat_prices(subject: FeatureSetUnderTest) -> None:
    """Survive one price for hours: no infinity, and no NaN that is not declared."""
    answer = subject.matrix(subject.market("flat"))
    _require_no_infinity(subject, answer)
    _require_declared_gaps(subject, answer, "flat prices")


def no_volume(subject: FeatureSetUnderTest) -> None:
    """Survive bars without volume: no infinity, and no NaN that is not declared."""
    answer = subject.matrix(subject.market("quiet"))
    _require_no_infinity(subject, answer)
    _require_declared_gaps(subject, answer, "bars without volume")


def _require_declared_gaps(subject: FeatureSetUnderTest, answer: Float32, where: str) -> None:
    for j, column in enumerate(subject.feature_set.columns):
        warmup = subject.warmup_bars if column.warmup_bars is None else column.warmup_bars
        if not column.missing and np.isnan(answer[warmup:, j]).any():
            raise CheckFailed(
                f"{column.name} is NaN on {where} after its warm-up",
                fix="guard the division, or say in Column.missing when it is undefined",
            )


def _require_no_infinity(subject: FeatureSetUnderTest, answer: Float32) -> None:
    found = first_infinite([column.name for column in subject.feature_set.columns], answer)
    if found is not None:
        raise CheckFailed(
            f"{found[0]} is infinite at bar {found[1]}",
            fix="guard the division that fails; give NaN where a value is undefined",
        )


def _same(a: Float32, b: Float32, *, tolerant: bool = False) -> np.ndarray:
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if tolerant:
        with np.errstate(invalid="ignore"):
            same |= np.abs(a - b) <= 2.0**-22 * np.maximum(np.abs(a), np.abs(b))
    return np.asarray(same)


def _require_equal(
    subject: FeatureSetUnderTest,
    a: Float32,
    b: Float32,
    problem: str,
    *,
    fix: str,
    tolerant: bool = False,
) -> None:
    if a.shape != b.shape:
        raise CheckFailed(f"{problem}: shape {a.shape} and {b.shape}", fix=fix)
    same = _same(a, b, tolerant=tolerant and subject.feature_set.memory == "recursive")
    if not same.all():
        row, column = np.unravel_index(int(np.argmin(same)), same.shape)
        name = subject.feature_set.columns[int(column)].name
        raise CheckFailed(
            f"{problem}: {name} at bar {row} is {a[row, column]:.9g} and {b[row, column]:.9g}",
            fix=fix,
        )


_FORM = ("returns_a_row_per_bar", "says_something")
_PURE = (*_FORM, "input_is_not_edited", "calls_agree")
_HONEST = (*_PURE, "keeps_no_state")
_TIDY = (*_PURE, "nothing_is_infinite", "warmup_is_honest")
_CAUSAL = (*_HONEST, "past_ignores_removed_future")
_STREAMS = (*_CAUSAL, "few_bars", "history_is_sufficient")

_LIST: tuple[tuple[Callable[[FeatureSetUnderTest], None], tuple[str, ...]], ...] = (
    (record_is_sound, ()),
    (returns_a_row_per_bar, ("record_is_sound",)),
    (says_something, ("returns_a_row_per_bar",)),
    (input_is_not_edited, _FORM),
    (calls_agree, (*_FORM, "input_is_not_edited")),
    (nothing_is_infinite, _PURE),
    (warmup_is_honest, _PURE),
    (keeps_no_state, _PURE),
    (fresh_process_agrees, _PURE),
    (imports_are_light, _PURE),
    (past_ignores_removed_future, _HONEST),
    (past_ignores_changed_future, _CAUSAL),
    (history_is_sufficient, _HONEST),
    (answers_are_computed, _CAUSAL),
    (few_bars, (*_PURE, "nothing_is_infinite")),
    (stream_equals_batch, _STREAMS),
    (streams_are_apart, _STREAMS),
    (snapshots_continue, (*_STREAMS, "stream_equals_batch", "streams_are_apart")),
    (flat_prices, _TIDY),
    (no_volume, _TIDY),
)
_MARKETS: tuple[tuple[str, Kind, str], ...] = (
    ("gaps", "gappy", "Survive missing bars, a hole of days and price gaps."),
    ("rolls", "rolls", "Survive several contracts with jumps between them."),
    ("clock_change", "clock", "Survive an hour of local time that happens twice."),
)

FEATURE_CHECKS: tuple[Check, ...] = (
    *(Check(run.__name__, run, needs, (run.__doc__ or "").strip()) for run, needs in _LIST),
    *(Check(name, _in_market(kind), _TIDY, summary) for name, kind, summary in _MARKETS),
)
