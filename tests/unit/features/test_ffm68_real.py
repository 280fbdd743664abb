"""``ffm68`` on real bars: the stream at every bar, snapshots, declared histories."""

from __future__ import annotations

import numpy as np
import pytest

from ffm_core.bars.readers import load
from ffm_core.features.ffm68 import FFM68
from ffm_core.features.windowed import window_start

FILES = ("ES_5m", "CL_5m", "NQ_30m", "QQQ_15m", "BTCUSDT_1h")
FINITE = [k for k, column in enumerate(FFM68.columns) if column.memory == "finite"]


@pytest.fixture(scope="module", params=FILES)
def bars(request, data_dir):
    return load(data_dir / "real" / f"{request.param}.parquet").bars


@pytest.fixture(scope="module")
def whole(bars):
    return FFM68.batch(bars)


def rows_of(bars):
    columns = (bars.ts_us, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return zip(*(values.tolist() for values in columns), strict=True)


def test_streaming_equals_batch_at_every_bar_and_from_50_snapshots(bars, whole):
    stops = set(np.random.default_rng(0).choice(len(bars) - 30, 50, replace=False).tolist())
    stream, kept = FFM68.stream(bars.instrument, bars.timeframe), {}
    found = np.empty_like(whole)
    for t, row in enumerate(rows_of(bars)):
        if t in stops:
            kept[t] = stream.snapshot()
        found[t] = stream.update(*row)
    assert found.tobytes() == whole.tobytes()
    for stop, state in kept.items():
        stream.restore(state)
        again = [stream.update(*row) for row in rows_of(bars[stop : stop + 30])]
        assert np.array(again).tobytes() == whole[stop : stop + 30].tobytes()


def test_values_are_finite_after_warm_up(bars, whole):
    assert not np.isinf(whole).any()
    assert not np.isnan(whole[FFM68.warmup_bars :, FINITE]).any()
    around_the_clock = bars.instrument.calendar == "24/7"
    elapsed = whole[:, [column.name for column in FFM68.columns].index("sess_bars_elapsed")]
    assert np.isnan(elapsed).all() == around_the_clock


def test_declared_histories_reproduce_every_column(bars, whole):
    kinds: dict[tuple[int | None, int | None], list[int]] = {}
    for k, column in enumerate(FFM68.columns):
        kinds.setdefault((column.history_bars, column.history_days), []).append(k)
    kinds.pop((None, None))
    for t in np.random.default_rng(1).integers(0, len(bars), 5).tolist():
        for (n_bars, n_days), columns in kinds.items():
            start = window_start(bars[: t + 1], n_bars, n_days)
            found = FFM68.batch(bars[start : t + 1])[-1, columns]
            assert found.tobytes() == whole[t, columns].tobytes(), (t, n_bars, n_days)
