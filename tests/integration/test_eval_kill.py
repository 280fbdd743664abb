"""``kill -9`` and Ctrl-C at any moment of an evaluation: nothing breaks, nothing counts twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

KILLS = 10  # in each of two chains
DONE = (0, 1, 5)
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def evaluation(market, *words):
    return ["eval", "supertrend", "--data", market[0], "--data", market[1], *words]


def timeless(record):
    """Return the result without the moment the ledger began."""
    result = record["result"]
    return {**result, "trials": {**result["trials"], "ledger_since": None}}


@pytest.fixture(scope="module")
def undisturbed(new_desk, quiet_market):
    return new_desk().record(*evaluation(quiet_market, "--jobs", "1")[1:])


def kill_at_a_random_moment(desk, words, rng):
    """Start, wait for some progress and a little longer, and kill all of it.

    Return False when the evaluation came to its end before.
    """
    wanted = desk.entries() + rng.randrange(4)
    process = desk.start(*words)
    desk.until(lambda: desk.entries() >= wanted or process.poll() is not None)
    time.sleep(rng.uniform(0.0, 1.5))
    if process.poll() is not None:
        assert process.returncode in DONE, process.communicate()[1]
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return True


def kill_again_and_again(desk, words, seed):
    """Kill one evaluation many times; whenever it comes through, all is computed anew."""
    rng, killed = random.Random(seed), 0
    while killed < KILLS:
        if kill_at_a_random_moment(desk, words, rng):
            killed += 1
        else:
            shutil.rmtree(desk.home / "cache")
        report = desk.verified()
        assert sum(report.trials.values()) <= 1, report


def test_killed_twenty_times_it_comes_through_and_counts_once(new_desk, quiet_market, undisturbed):
    words = evaluation(quiet_market, "--jobs", "1")
    desks = [new_desk(), new_desk()]
    with ThreadPoolExecutor(len(desks)) as threads:
        list(threads.map(kill_again_and_again, desks, [words] * 2, range(2)))
    for desk in desks:
        record = desk.record(*words[1:])
        assert record["result"]["trials"]["n"] == 1
        assert timeless(record) == timeless(undisturbed)
        assert record["envelope"]["trial_count_today"] == 1
        assert desk.verified().trials == {"open": 0, "closed": 1, "aborted": 0}
        assert desk.unfinished() == []
        assert desk.run("runs", "verify").returncode == 0
