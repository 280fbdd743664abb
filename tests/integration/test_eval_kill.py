"""``kill -9`` and Ctrl-C at any moment of an evaluation: nothing breaks, nothing counts twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ffm_core.runs.canonical import canonical_json

pytestmark = pytest.mark.slow  # whole evaluations

KILLS = 7  # in each of two chains that run side by side
ANSWERS = (0, 1, 5)
CERTIFICATES = 7  # labeler, features and exit of two streams, and the learner


def evaluation(market, *words):
    data = [word for path in market for word in ("--data", path)]
    return ["supertrend", *data, "--features", "trivial8", *words]


def attempts(desk):
    """Count how often the trial was opened, repeats included."""
    return sum(event.kind in ("opened", "repeated") for event in desk.ledger.events())


def kill_at_a_random_moment(desk, words, rng):
    """Start, wait for some progress and a little longer, and kill all of it.

    Return False when the evaluation came to its end before.
    """
    wanted = desk.entries() + rng.randrange(4)
    process = desk.start("eval", *words)
    desk.until(lambda: desk.entries() >= wanted or process.poll() is not None)
    time.sleep(rng.uniform(0.0, 1.0))
    if process.poll() is not None:
        assert process.returncode in ANSWERS, process.communicate()[1]
        return False
    desk.kill(process)
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


def assert_it_comes_through_and_counts_once(desk, words, undisturbed):
    stored = desk.entries()
    record = desk.record(*words)
    assert canonical_json(record["result"]) == canonical_json(undisturbed["result"])
    assert record["result"]["trials"]["n"] == record["envelope"]["trial_count_today"] == 1
    if stored > CERTIFICATES:  # all the others are fits, which count as hits
        assert record["envelope"]["cache"]["hits"] >= stored - CERTIFICATES
    assert desk.verified().trials == {"open": 0, "closed": 1, "aborted": 0}
    assert desk.unfinished() == []
    assert desk.run("runs", "verify").returncode == 0


def test_killed_again_and_again_it_comes_through_and_counts_once(
    new_desk, quiet_market, undisturbed
):
    words = evaluation(quiet_market, "--jobs", "1")
    desks = [new_desk(), new_desk()]
    with ThreadPoolExecutor(len(desks)) as threads:
        list(threads.map(kill_again_and_again, desks, [words] * 2, range(2)))
        list(
            threads.map(
                assert_it_comes_through_and_counts_once, desks, [words] * 2, [undisturbed[1]] * 2
            )
        )


@pytest.mark.skipif(os.name != "posix", reason="only a terminal interrupts a whole group there")
def test_interrupted_it_says_one_line_and_comes_through_later(desk, quiet_market, undisturbed):
    words = evaluation(quiet_market, "--jobs", "2")
    for moment in (
        lambda process, stored, tries: desk.home.exists(),
        lambda process, stored, tries: any("LokyProcess" in line for line in desk.living(process)),
        lambda process, stored, tries: desk.entries() > stored,
        lambda process, stored, tries: desk.entries() > stored + 3,
        lambda process, stored, tries: attempts(desk) > tries,
    ):
        before = desk.entries(), attempts(desk)
        process = desk.start("eval", *words, "--quiet")
        assert desk.until(lambda: moment(process, *before) or process.poll() is not None)  # noqa: B023
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process
        out, err = process.communicate()
        assert (process.returncode, out, err.split()) == (130, "", ["error:", "interrupted"])
        assert desk.until(lambda: not desk.living(process), seconds=20)  # noqa: B023
        assert desk.verified().trials["closed"] == 0
        assert desk.unfinished() == []
    assert desk.ledger.trials()[0].aborted
    assert_it_comes_through_and_counts_once(desk, words, undisturbed[1])


def test_workers_do_not_outlive_an_evaluation_that_was_killed(desk, quiet_market):
    process = desk.start("eval", *evaluation(quiet_market, "--jobs", "2"))
    desk.until(lambda: any("LokyProcess" in line for line in desk.living(process)))
    process.kill()  # this one process, as the kernel does when memory runs out
    process.wait()
    assert desk.until(lambda: not desk.living(process), seconds=30), desk.living(process)
