"""Workers start, answer, are waited for and end; also where a system offers less."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from ffm_core.processes import Worker, alarm, memory_held

OTHER_SYSTEM = Path(__file__).parent.parent / "other_system"
ECHO = """
from ffm_core.processes import messages, read_message, write_message
with messages() as (source, sink):
    while True:
        told = read_message(source)
        print("a plug-in prints")
        if told == b"wait":
            import time
            time.sleep(60)
        if told == b"leave":
            raise SystemExit(3)
        write_message(sink, told[::-1])
"""
PARENT = """
import os, subprocess, sys
code = "from ffm_core.processes import end_with; import sys, time; end_with(int(sys.argv[1]));" \\
    "print('ready', flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code, str(os.getpid())], stdout=subprocess.PIPE)
assert child.stdout.readline() == b"ready" + os.linesep.encode()
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["this system", "another system"])
def environment(request):
    """The environment of a process here, and of one that lacks what only Linux has."""
    if request.param == "this system":
        return dict(os.environ)
    path = os.pathsep.join([str(OTHER_SYSTEM), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def run(code, environment):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def echo():
    worker = Worker(["-c", ECHO], os.environ)
    yield worker
    worker.stop()


def test_a_worker_answers_whole_messages_and_nothing_it_prints(echo):
    for message in (b"", b"abc", bytes(range(256)) * 40_000):
        echo.send(message)
        assert echo.receive(30.0) == message[::-1]


def test_a_worker_that_is_silent_can_be_given_up(echo):
    echo.send(b"wait")
    with pytest.raises(TimeoutError):
        echo.receive(0.05)
    assert echo.stop() != 0


def test_a_worker_that_ends_is_told_from_one_that_is_silent(echo):
    echo.send(b"leave")
    for _ in range(2):
        with pytest.raises(EOFError):
            echo.receive(30.0)
    assert echo.ended() == 3
    with pytest.raises(EOFError):
        echo.send(b"x" * 1_000_000)


def test_a_process_ends_with_the_one_it_works_for(environment):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], env=environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
        # Not reaped yet: a parent that is a zombie is gone, too.
        deadline = time.monotonic() + 30
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "it outlives its parent"
            time.sleep(0.05)


def test_a_process_whose_parent_is_gone_already_ends_at_once():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    code = f"from ffm_core.processes import end_with; end_with({gone.pid}); print('still here')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


def test_a_pool_answers_in_order(environment):
    code = """
        from ffm_core.evaluate.executor import Executor
        if __name__ == "__main__":
            print(*Executor(jobs=2).run(len, ["a", "bb", "ccc"]))
    """
    assert run(code, environment) == ["1", "2", "3"]


def test_a_lease_is_told_dead_from_alive(environment):
    code = """
        from ffm_core.runs.lease import current_lease, is_dead
        print(current_lease().token(), is_dead(current_lease()))
    """
    token, dead = run(code, environment)
    assert (len(token.split(".")), dead) == (4, "False")


def test_a_call_that_takes_too_long_is_interrupted(environment):
    code = """
        from ffm_core.causal.process.budget import OverBudget, limited
        try:
            with limited(0.2, 2**32):
                while True:
                    pass
        except OverBudget as over:
            print(str(over).replace(" ", "_"))
    """
    assert run(code, environment) == ["it_ran_longer_than_0.2_s"]


def test_an_alarm_that_is_over_does_not_ring():
    with alarm(0.05, lambda *_: pytest.fail("it rang")):
        pass
    time.sleep(0.1)


def test_the_falsifier_finds_the_same_on_another_system(environment):
    code = """
        from ffm_core.causal import falsify_feature_set
        from ffm_core.features.trivial8 import TRIVIAL8
        from ffm_core.testing import make_bars
        bars = make_bars("random", rows=300, seed=1)
        found = falsify_feature_set(TRIVIAL8, bars, decisions_bars=[], seed=1, max_cuts=20)
        print(found.status, found.cuts, found.rows_compared)
    """
    assert run(code, environment)[0] == "clean"
    assert run(code, environment) == run(code, dict(os.environ))


def test_a_plug_in_that_takes_all_memory_is_stopped(environment):
    code = """
        import numpy as np
        from ffm_core.causal import falsify_feature_set
        from ffm_core.causal.process.budget import Budget
        from ffm_core.records import Column, FeatureSet
        from ffm_core.records.proofs import told
        from ffm_core.testing import make_bars

        def batch(bars):
            if len(bars) < 300:
                hoard = [np.ones(2**22) for _ in range(1000)]
            return np.zeros((len(bars), 1), np.float32)

        greedy = FeatureSet(name="greedy", columns=(Column(name="x", unit="1"),), batch=batch,
                            warmup_bars=1, history_bars=None)
        budget = Budget(memory_bytes=2**29)
        found = falsify_feature_set(greedy, make_bars("random", rows=300, seed=1), budget=budget,
                                    decisions_bars=[], seed=1, max_cuts=5)
        print(told(found.failures[0].reason).replace(" ", "_"))
    """
    assert "it_needed_more_than_0.5_GiB_of_memory" in run(code, environment)[0]


def test_memory_of_a_process_that_is_gone_is_none():
    assert memory_held(os.getpid()) > 0
    assert memory_held(2**22 + 1) == 0
