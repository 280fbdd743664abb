"""Kept machine code that was damaged is compiled anew, and nobody is blamed for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.loading import load_module

SOURCE = """
from ffm_core.jit import kernel


@kernel
def add(values):
    total = 0.0
    for value in values:
        total += value
    return total
"""


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.fixture
def kernel_of(tmp_path):
    """Load the same kernel anew, as another process would."""
    file = tmp_path / "kernels.py"
    file.write_text(SOURCE)
    return lambda: load_module("some_kernels", file).add


def kept(kernel, suffix):
    (found,) = Path(kernel._cache.cache_path).glob(f"kernels.add*{suffix}")
    return found


def test_what_is_whole_is_used_again(kernel_of):
    assert kernel_of()(np.ones(3)) == 3.0
    again = kernel_of()
    assert again(np.ones(3)) == 3.0
    assert again.stats.cache_hits


@pytest.mark.parametrize("damage", [cut, empty, flip, lambda path: path.write_bytes(b"junk" * 99)])
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_what_is_damaged_is_compiled_anew(kernel_of, damage, suffix):
    first = kernel_of()
    assert first(np.ones(3)) == 3.0
    damage(kept(first, suffix))
    again = kernel_of()
    assert again(np.ones(3)) == 3.0
    assert not again.stats.cache_hits
    mended = kernel_of()
    assert mended(np.ones(3)) == 3.0
    assert mended.stats.cache_hits


def test_code_that_cannot_be_kept_is_no_error(kernel_of, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    kernel = kernel_of()
    monkeypatch.setattr(kernel._cache._cache_file, "_open_for_write", full)
    assert kernel(np.ones(3)) == 3.0
