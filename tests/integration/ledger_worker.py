"""Jobs that the ledger tests run in processes of their own, killed or raced.

Usage: ``python ledger_worker.py JOB HOME ARGUMENTS...``; prints one JSON document.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from ffm_core.runs.cache import Cache
from ffm_core.runs.ledger import Ledger
from ffm_core.runs.lineage import DaysTested

DAYS = tuple(range(19_800, 19_860))


def open_trial(ledger, name):
    return ledger.open_trial(
        hashlib.sha256(name.encode()).hexdigest(), strategy=name, claim="selection",
        tested=DaysTested(days={"ES": DAYS}), prereg_hash="p", effective=lambda m: float(len(m)),
    )  # fmt: skip


def close_trial(ledger, ticket, name):
    seed = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
    values = np.random.default_rng(seed).normal(size=len(DAYS)).tolist()
    ledger.close_trial(ticket, decision="FAIL", days=DAYS, daily_r=values, moments={},
                       result_hash=f"result of {name}")  # fmt: skip


def in_processes(count, work):
    """Run ``work(number)`` in forked processes that start at once; return the answers."""
    start = time.monotonic() + 0.15
    readers = []
    for number in range(count):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(reader)
            time.sleep(max(0.0, start - time.monotonic()))
            os.write(writer, json.dumps(work(number)).encode())
            os._exit(0)
        os.close(writer)
        readers.append(reader)
    answers = []
    for reader in readers:
        with os.fdopen(reader) as stream:
            answers.append(json.loads(stream.read()))
    for _ in readers:
        os.wait()
    return answers


def same(home, processes):
    """Several processes evaluate one and the same thing."""

    def work(_number):
        ledger = Ledger(home)
        ticket = open_trial(ledger, "same")
        close_trial(ledger, ticket, "same")
        return {"repeat": ticket.is_repeat, "n": ticket.context.n_trials}

    return in_processes(int(processes), work)


def different(home, processes, trials):
    """Several processes evaluate many different things."""

    def work(number):
        ledger, counts = Ledger(home), []
        for trial in range(int(trials)):
            name = f"{number}-{trial}"
            ticket = open_trial(ledger, name)
            counts.append(ticket.context.n_trials)
            close_trial(ledger, ticket, name)
        return counts

    return in_processes(int(processes), work)


def seal(home, processes):
    """Several processes propose a seal day each."""
    return in_processes(int(processes), lambda number: Ledger(home).seal_day("ES", 20_000 + number))


def kill_at_random(rng, wait, busy):
    """Fork a process that never stops, and kill -9 it; ``busy`` gets a function to say "done".

    With ``wait`` the moment is drawn after its first "done", else from its start, so that
    slow machines see both early and late kills.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            busy(lambda: os.write(writer, b"."))
        finally:
            os._exit(1)
    os.close(writer)
    if wait and not os.read(reader, 1):
        raise SystemExit("the process stopped by itself")
    time.sleep(rng.uniform(0.0, 0.04))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)


def kill(home, rounds, seed):
    """Kill a process that writes trials without pause, again and again."""
    rng, found = random.Random(int(seed)), []
    for number in range(int(rounds)):

        def busy(done, number=number):
            for trial in range(1000):
                name = f"{number}-{trial}"
                ticket = open_trial(Ledger(home), name)
                done()
                close_trial(Ledger(home), ticket, name)

        kill_at_random(rng, number % 2 == 0, busy)
        report = Ledger(home).verify()
        found.append({"ok": report.ok, "rows": report.rows, "trials": dict(report.trials)})
    return found


def leave(home, name):
    """Open a trial and die without a word."""
    open_trial(Ledger(home), name)
    os.kill(os.getpid(), signal.SIGKILL)


def cache(home, rounds, seed):
    """Kill a process that fills the cache; count entries that read back wrong."""
    rng, wrong, read = random.Random(int(seed)), 0, 0
    keys = [Cache.key("entry", n) for n in range(8)]

    def busy(done):
        mine = Cache(home)
        for _ in range(1000):
            for n, key in enumerate(keys):
                mine.put(key, {"x": np.full(50_000, float(n))})
                done()

    for number in range(int(rounds)):
        kill_at_random(rng, number % 2 == 0, busy)
        for n, key in enumerate(keys):
            value = Cache(home).arrays(key)
            read += value is not None
            wrong += value is not None and not (value["x"] == n).all()
    return {"wrong": int(wrong), "read": int(read)}


if __name__ == "__main__":
    job = {f.__name__: f for f in (same, different, seal, kill, leave, cache)}[sys.argv[1]]
    print(json.dumps(job(Path(sys.argv[2]), *sys.argv[3:])))
