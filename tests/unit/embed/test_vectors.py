"""The cache of vectors: equal to computing, whatever happens to its files."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from ffm_core.embed import vectors
from ffm_core.embed.vectors import VectorCache, VectorCacheWarning, checksums, window_keys
from helpers.limits import small_files
from helpers.processes import start, until

DIM, CONTEXT = 6, 16
MIX = np.random.default_rng(0).standard_normal((CONTEXT, DIM)).astype(np.float32)


def windows(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, CONTEXT)).astype(np.float32)


def compute(given: np.ndarray) -> np.ndarray:
    return np.stack([row @ MIX for row in given]).astype(np.float32)


class Counting:
    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, given: np.ndarray) -> np.ndarray:
        self.rows += len(given)
        return compute(given)


def never(given: np.ndarray) -> np.ndarray:
    raise AssertionError("it should have come from the cache")


def files(home: Path) -> list[Path]:
    return sorted(home.rglob("*.ffmv"))


@pytest.mark.parametrize("stored", ["float32", "float16"])
def test_a_hit_equals_a_miss(tmp_path, stored):
    given = windows(300)
    first = VectorCache(tmp_path, stored=stored).vectors("ab" * 32, given, DIM, compute)
    again = VectorCache(tmp_path, stored=stored)
    assert np.array_equal(again.vectors("ab" * 32, given[::-1], DIM, never), first[::-1])
    assert (again.hits, again.misses) == (300, 0)
    exact = compute(given)
    assert np.array_equal(first, exact) == (stored == "float32")
    np.testing.assert_allclose(first, exact, rtol=2e-3, atol=1e-3)


def test_equal_windows_are_computed_once_and_appended_ones_alone(tmp_path):
    counting, cache = Counting(), VectorCache(tmp_path)
    given = windows(50)
    cache.vectors("ab" * 32, np.vstack([given, given]), DIM, counting)
    assert counting.rows == 50
    cache.vectors("ab" * 32, np.vstack([given, windows(10, seed=2)]), DIM, counting)
    assert counting.rows == 60


def test_shifted_data_never_find_old_rows(tmp_path):
    given, counting = windows(40), Counting()
    cache = VectorCache(tmp_path)
    cache.vectors("ab" * 32, given, DIM, counting)
    shifted = given + np.float32(1e-6)
    found = cache.vectors("ab" * 32, shifted, DIM, counting)
    assert counting.rows == 80
    assert np.array_equal(found, compute(shifted))


def test_other_weights_never_find_old_rows(tmp_path):
    given = windows(10)
    VectorCache(tmp_path).vectors("ab" * 32, given, DIM, compute)
    with pytest.raises(AssertionError, match="from the cache"):
        VectorCache(tmp_path).vectors("cd" * 32, given, DIM, never)


@pytest.mark.parametrize("harm", ["cut off", "row changed", "index changed", "empty", "other"])
def test_a_harmed_file_is_named_and_computed_again(tmp_path, harm):
    given = windows(100)
    VectorCache(tmp_path).vectors("ab" * 32, given, DIM, compute)
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    if harm == "cut off":
        data = data[:-7]
    elif harm == "row changed":
        data[-5] ^= 1
    elif harm == "index changed":
        data[90] ^= 1
    elif harm == "empty":
        data = bytearray()
    else:
        data[:8] = b"SOMETHIN"
    path.write_bytes(data)
    counting = Counting()
    with pytest.warns(VectorCacheWarning, match=path.name):
        found = VectorCache(tmp_path).vectors("ab" * 32, given, DIM, counting)
    assert np.array_equal(found, compute(given))
    assert counting.rows == 100
    assert np.array_equal(VectorCache(tmp_path).vectors("ab" * 32, given, DIM, never), found)


def test_a_checksum_sees_every_bit():
    row = windows(1)
    sums = set()
    for bit in range(row.nbytes * 8):
        changed = bytearray(row.tobytes())
        changed[bit // 8] ^= 1 << bit % 8
        sums.add(int(checksums(np.frombuffer(changed, dtype=np.float32).reshape(1, -1))[0]))
    assert len(sums) == row.nbytes * 8
    assert int(checksums(row)[0]) not in sums
    assert len(np.unique(window_keys(windows(2_000)))) == 2_000


def test_a_full_disk_costs_time_and_nothing_else(tmp_path):
    given = windows(2_000)
    with small_files(4_096), pytest.warns(VectorCacheWarning, match="computed again next time"):
        found = VectorCache(tmp_path).vectors("ab" * 32, given, DIM, compute)
    assert np.array_equal(found, compute(given))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_segments_are_merged_and_the_oldest_leave(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "_MERGE_ABOVE", 3)
    cache = VectorCache(tmp_path)
    parts = [windows(20, seed=k) for k in range(6)]
    for part in parts:
        cache.vectors("ab" * 32, part, DIM, compute)
    assert len(files(tmp_path)) <= 4
    given = np.vstack(parts)
    assert np.array_equal(cache.vectors("ab" * 32, given, DIM, never), compute(given))
    small = VectorCache(tmp_path, limit_bytes=1_000)
    small.vectors("cd" * 32, windows(5, seed=9), DIM, compute)
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 1_000


def _work(home: str, seed: int, chunks: int) -> None:
    """Fill the cache in chunks of 20 windows; after so many of them, hang."""
    calls = iter(range(chunks))

    def careful(given: np.ndarray) -> np.ndarray:
        time.sleep(0.02 if next(calls, None) is not None else 600.0)
        return compute(given)

    vectors.CHUNK_ROWS = 20
    given = np.vstack([windows(100, seed=5), windows(100, seed=seed)])
    found = VectorCache(Path(home)).vectors("ab" * 32, given, DIM, careful)
    assert np.array_equal(found, compute(given))


def test_two_processes_share_one_cache(tmp_path):
    both = [start(__file__, "_work", str(tmp_path), k, 10) for k in (6, 7)]
    assert [process.wait(60) for process in both] == [0, 0]
    given = np.vstack([windows(100, seed=k) for k in (5, 6, 7)])
    found = VectorCache(tmp_path).vectors("ab" * 32, given, DIM, never)
    assert np.array_equal(found, compute(given))


def test_what_a_killed_process_had_done_is_kept(tmp_path):
    with start(__file__, "_work", str(tmp_path), 6, 4) as process:
        until(lambda: len(files(tmp_path)) >= 4, seconds=30)
        process.kill()
    counting = Counting()
    given = np.vstack([windows(100, seed=5), windows(100, seed=6)])
    found = VectorCache(tmp_path).vectors("ab" * 32, given, DIM, counting)
    assert np.array_equal(found, compute(given))
    assert counting.rows == 120
