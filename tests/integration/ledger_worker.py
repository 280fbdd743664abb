"""Jobs that the ledger tests run in processes of their own, killed or raced.

Usage: ``python ledger_worker.py JOB HOME ARGUMENTS...``; prints one JSON document.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from ffm_core.ruler.sharpe import effective_trials
from ffm_core.runs.cache import Cache
from ffm_core.runs.ledger import Ledger
from ffm_core.runs.lineage import DaysTested

# Forked where that can be done: starting anew takes a second each.
FORKS = "fork" in multiprocessing.get_all_start_methods()
PROCESSES = multiprocessing.get_context("fork" if FORKS else "spawn")
HEAD_START = 0.15 if FORKS else 3.0  # seconds
DAYS = tuple(range(19_800, 19_860))


def open_trial(ledger, name):
    return ledger.open_trial(
        hashlib.sha256(name.encode()).hexdigest(), strategy=name, claim="selection",
        tested=DaysTested(days={"ES": DAYS}), prereg_hash="p", effective=effective_trials,
    )  # fmt: skip


def close_trial(ledger, ticket, name):
    seed = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
    values = np.random.default_rng(seed).normal(size=len(DAYS)).tolist()
    ledger.close_trial(ticket, decision="FAIL", days=DAYS, daily_r=values, moments={},
                       result_hash=f"result of {name}")  # fmt: skip


def in_processes(work, home, *arguments, count):
    """Run ``work(number, home, …)`` in processes that start at once; return the answers."""
    start = time.monotonic() + HEAD_START
    readers, processes = [], []
    for number in range(count):
        reader, writer = PROCESSES.Pipe(duplex=False)
        words = (start, writer, work, number, home, *arguments)
        processes.append(PROCESSES.Process(target=_answer, args=words))
        processes[-1].start()
        writer.close()
        readers.append(reader)
    answers = [reader.recv() for reader in readers]
    for process in processes:
        process.join()
    return answers


def _answer(start, writer, work, *arguments):
    time.sleep(max(0.0, start - time.monotonic()))
    writer.send(work(*arguments))


def _same(_number, home):
    ledger = Ledger(home)
    ticket = open_trial(ledger, "same")
    close_trial(ledger, ticket, "same")
    return {"repeat": ticket.is_repeat, "n": ticket.context.n_trials}


def same(home, processes):
    """Several processes evaluate one and the same thing."""
    return in_processes(_same, home, count=int(processes))


def _different(number, home, trials):
    ledger, counts = Ledger(home), []
    for trial in range(trials):
        name = f"{number}-{trial}"
        ticket = open_trial(ledger, name)
        counts.append(ticket.context.n_trials)
        close_trial(ledger, ticket, name)
    return counts


def different(home, processes, trials):
    """Several processes evaluate many different things."""
    return in_processes(_different, home, int(trials), count=int(processes))


def _seal(number, home):
    return Ledger(home).seal_day("ES", 20_000 + number)


def seal(home, processes):
    """Several processes propose a seal day each."""
    return in_processes(_seal, home, count=int(processes))


def kill_at_random(rng, wait, busy, *arguments):
    """Start a process that never stops, and kill it; ``busy`` gets a pipe to say "done".

    With ``wait`` the moment is drawn after its first "done", else from its start, so that
    slow machines see both early and late kills.
    """
    reader, writer = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=busy, args=(writer, *arguments))
    child.start()
    writer.close()
    if wait:
        try:
            reader.recv_bytes()
        except EOFError:
            raise SystemExit("the process stopped by itself") from None
    time.sleep(rng.uniform(0.0, 0.04))
    child.kill()
    child.join()
    reader.close()


def _write_trials(done, home, number):
    for trial in range(1000):
        name = f"{number}-{trial}"
        ticket = open_trial(Ledger(home), name)
        _say(done)
        close_trial(Ledger(home), ticket, name)


def _say(done):
    with suppress(OSError):  # nobody listens any more
        done.send_bytes(b".")


def kill(home, rounds, seed):
    """Kill a process that writes trials without pause, again and again."""
    rng, found = random.Random(int(seed)), []
    for number in range(int(rounds)):
        kill_at_random(rng, number % 2 == 0, _write_trials, home, number)
        report = Ledger(home).verify()
        found.append({"ok": report.ok, "rows": report.rows, "trials": dict(report.trials)})
    return found


def leave(home, name):
    """Open a trial and die without a word."""
    open_trial(Ledger(home), name)
    psutil.Process().kill()


KEYS = [Cache.key("entry", n) for n in range(8)]


def _fill(done, home):
    mine = Cache(home)
    for _ in range(1000):
        for n, key in enumerate(KEYS):
            mine.put(key, {"x": np.full(50_000, float(n))})
            _say(done)


def cache(home, rounds, seed):
    """Kill a process that fills the cache; count entries that read back wrong."""
    rng, wrong, read = random.Random(int(seed)), 0, 0
    for number in range(int(rounds)):
        kill_at_random(rng, number % 2 == 0, _fill, home)
        for n, key in enumerate(KEYS):
            value = Cache(home).arrays(key)
            read += value is not None
            wrong += value is not None and not (value["x"] == n).all()
    return {"wrong": int(wrong), "read": int(read)}


if __name__ == "__main__":
    job = {f.__name__: f for f in (same, different, seal, kill, leave, cache)}[sys.argv[1]]
    print(json.dumps(job(Path(sys.argv[2]), *sys.argv[3:])))
