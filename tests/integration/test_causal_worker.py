"""The falsifier's worker outlives nobody: not an interrupt, not a kill, not a pool."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from ffm_core.causal import falsify_feature_set
from ffm_core.features.trivial8 import TRIVIAL8
from ffm_core.testing import make_bars
from helpers.processes import alive, until

_SLOW = """
import os
from pathlib import Path
from ffm_core.causal import falsify_feature_set
from ffm_core.records import Column, FeatureSet
from ffm_core.testing import make_bars

import numpy as np

def batch(bars):
    if len(bars) < 400:
        Path(os.environ["FFM_TEST_MARK"]).write_text(str(os.getpid()))
        while True:
            pass
    return np.zeros((len(bars), 1), np.float32)

SET = FeatureSet(name="slow", columns=(Column(name="x", unit="1"),), batch=batch,
                 warmup_bars=1, history_bars=None)
if __name__ == "__main__":
    falsify_feature_set(SET, make_bars(rows=500), decisions_bars=[], seed=0, max_cuts=20)
"""


SIGNALS = [signal.SIGTERM]  # what every system has
if os.name == "posix":
    SIGNALS += [signal.SIGINT, signal.SIGKILL]


@pytest.mark.parametrize("sign", SIGNALS)
def test_a_worker_ends_with_its_parent_even_in_an_endless_loop(tmp_path, sign):
    script, mark = tmp_path / "slow.py", tmp_path / "pid"
    script.write_text(_SLOW)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        env=os.environ | {"FFM_TEST_MARK": str(mark)},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert until(lambda: mark.is_file() and mark.read_text(), seconds=60)
        worker = int(mark.read_text())
        assert alive(worker)
        assert worker != parent.pid
        parent.send_signal(sign)
        parent.wait(timeout=30)
        assert until(lambda: not alive(worker), seconds=30)
    finally:
        parent.kill()
        parent.wait()


def _in_pool(seed):
    bars = make_bars("random", rows=300, seed=seed)
    return falsify_feature_set(TRIVIAL8, bars, decisions_bars=[], seed=seed, max_cuts=30)


def test_workers_of_a_pool_start_workers_of_their_own():
    from joblib import Parallel, delayed

    found = Parallel(n_jobs=2)(delayed(_in_pool)(seed) for seed in (1, 2))
    assert found == [_in_pool(1), _in_pool(2)]
