"""Content in, the same content out, or a miss."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ffm_core.errors import OutputError
from ffm_core.runs.cache import Cache, key

KEY = key("a")


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path)


def entries(cache):
    return sorted(path for path in cache.folder.rglob("*") if path.is_file())


ARRAYS = st.dictionaries(
    st.text(max_size=8),
    hnp.arrays(
        hnp.scalar_dtypes().filter(lambda d: d.kind in "biufcmMSU"),
        hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
    ),
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None,
          max_examples=60)  # fmt: skip
@given(ARRAYS)
def test_arrays_come_back_bit_for_bit(cache, arrays):
    cache.put(KEY, arrays)
    found = cache.arrays(KEY)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_bytes_come_back(cache):
    for data in (b"", b"x" * 1000, bytes(range(256))):
        cache.put(KEY, data)
        assert cache.get(KEY) == data
    assert cache.arrays(KEY) is None


def test_strided_and_big_endian_arrays(cache):
    arrays = {
        "t": np.arange(12.0).reshape(3, 4).T,
        "s": np.arange(9)[::2],
        "b": np.arange(3, dtype=">i4"),
    }
    cache.put(KEY, arrays)
    found = cache.arrays(KEY)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_what_comes_back_is_read_only(cache):
    cache.put(KEY, {"x": np.arange(3.0)})
    with pytest.raises(ValueError):
        cache.arrays(KEY)["x"][0] = 9.0


def test_absent_is_a_miss_and_both_are_counted(cache):
    assert cache.get(KEY) is None
    cache.put(KEY, b"x")
    cache.get(KEY)
    cache.get(KEY)
    assert (cache.hits, cache.misses) == (2, 1)


@pytest.mark.parametrize("place", [0, 12, 45, 60, 200, -1])
def test_one_flipped_bit_is_a_miss_and_the_entry_goes(cache, place):
    cache.put(KEY, {"x": np.arange(40.0), "y": np.arange(3)})
    (path,) = entries(cache)
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)
    assert cache.get(KEY) is None
    assert entries(cache) == []
    cache.put(KEY, b"mended")
    assert cache.get(KEY) == b"mended"


@pytest.mark.parametrize("length", [0, 5, 41, 50, 100, 300])
def test_a_torn_entry_is_a_miss(cache, length):
    cache.put(KEY, {"x": np.arange(40.0)})
    (path,) = entries(cache)
    path.write_bytes(path.read_bytes()[:length])
    assert cache.get(KEY) is None


def test_python_objects_are_refused(cache):
    with pytest.raises(TypeError):
        cache.put(KEY, {"x": np.array([object()])})
    with pytest.raises(TypeError):
        key(np.array(["a", None], dtype=object))
    assert not cache.folder.exists()


def test_a_word_is_no_key(cache):
    for bad in ("", "a", "../../etc/passwd", "g" * 64):
        with pytest.raises(ValueError):
            cache.get(bad)


def test_keys_tell_types_shapes_and_borders_apart():
    parts = [
        (1,), (1.0,), ("1",), (b"1",), ([1],), (True,), (None,), ("",), (), ("1", ""), ("", "1"),
        (np.array([1]),), (np.array([1.0]),), (np.array([[1]]),), (np.array(1),),
        (np.array([1], dtype=np.int32),), ("a", "bc"), ("ab", "c"), ("abc",), ({"a": 1},),
        (float("nan"),), (float("inf"),), (0.0,), (-0.0,),
    ]  # fmt: skip
    keys = [key(*part) for part in parts]
    assert len(set(keys)) == len(parts)
    assert all(len(k) == 64 for k in keys)


def test_keys_do_not_depend_on_memory_layout():
    array = np.arange(12.0).reshape(3, 4)
    assert key(array) == key(np.asfortranarray(array)) == Cache.key(array.copy())


def test_the_least_recently_used_go_first(tmp_path):
    cache = Cache(tmp_path, limit_bytes=12_000)
    keys = [key(n) for n in range(10)]
    for age, one in enumerate(keys):
        cache.put(one, bytes(1000))
        path = cache._path(one)
        os.utime(path, (age, age))
    cache.get(keys[0])
    cache.put(key("new"), bytes(1000))
    kept = [n for n, one in enumerate(keys) if cache._path(one).exists()]
    assert 0 in kept, "it was read just now"
    assert cache._path(key("new")).exists()
    assert sorted(set(range(10)) - set(kept)) == [1, 2]
    assert sum(path.stat().st_size for path in entries(cache)) <= 12_000


def test_below_the_limit_nothing_goes(tmp_path):
    cache = Cache(tmp_path, limit_bytes=100_000)
    for n in range(20):
        cache.put(key(n), bytes(1000))
    assert len(entries(cache)) == 20


def test_many_threads_write_and_read_the_same_entry(tmp_path):
    arrays = {"x": np.arange(2000.0)}
    wrong = []

    def work():
        mine = Cache(tmp_path)
        for _ in range(20):
            mine.put(KEY, arrays)
            found = mine.arrays(KEY)
            if found is None or found["x"].tobytes() != arrays["x"].tobytes():
                wrong.append(found)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(entries(Cache(tmp_path))) == 1


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "cache").write_text("a file")
    cache = Cache(tmp_path)
    assert cache.get(KEY) is None
    with pytest.raises(OutputError):
        cache.put(KEY, b"x")


def test_a_cache_travels_to_other_processes(cache):
    cache.put(KEY, b"x")
    assert pickle.loads(pickle.dumps(cache)).get(KEY) == b"x"


KILLED = """
import os, sys
from pathlib import Path
from ffm_core.runs import atomic
from ffm_core.runs.cache import Cache, key
real = atomic._write
def half(path, data, *, durable):
    real(path, data[:9], durable=durable)
    os.kill(os.getpid(), 9)
atomic._write = half
Cache(Path(sys.argv[1])).put(key("a"), b"value")
"""


def test_what_a_killed_writer_left_is_removed_by_the_next_one(cache, tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = entries(cache)
    assert left.name.startswith(".ffm-partial-")
    cache.put(key("b"), b"value")
    assert [path.suffix for path in entries(cache)] == [".ffmc"]
