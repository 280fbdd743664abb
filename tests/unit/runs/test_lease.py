"""Dead or alive, across crashes, reused process ids and other machines."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest

from ffm_core.runs.lease import current_lease, is_dead, lease_from, lease_from_token

PRINT = "from ffm_core.runs.lease import current_lease; print(current_lease().token(), flush=True)"


def test_this_process_is_alive():
    assert not is_dead(current_lease())


def test_a_lease_survives_storage():
    lease = current_lease()
    assert lease_from(dataclasses.asdict(lease)) == lease
    assert lease_from_token(lease.token()) == lease
    assert lease_from_token(dataclasses.replace(lease, started=0, boot=0).token()).started == 0


@pytest.mark.parametrize("text", ["", "notes", "a.b.c.d", "a.1.2", "a.1.²3.4"])
def test_other_words_are_no_lease(text):
    assert lease_from_token(text) is None


def test_a_finished_process_is_dead_and_a_running_one_is_not():
    code = f"{PRINT}; input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        lease = lease_from_token(child.stdout.readline().strip())
        assert not is_dead(lease)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(lease), "a zombie still has its id but does nothing any more"
    assert is_dead(lease)


def test_a_reused_process_id_is_dead():
    lease = current_lease()
    assert is_dead(dataclasses.replace(lease, started=lease.started - 5000))


def test_another_boot_is_dead():
    lease = current_lease()
    hour = 3_600_000
    before = dataclasses.replace(lease, started=lease.started - 2 * hour, boot=lease.boot - hour)
    assert is_dead(before)


def test_a_corrected_clock_kills_nobody():
    lease = current_lease()
    hour = 3_600_000
    start_and_boot_moved = dataclasses.replace(
        lease, started=lease.started - hour, boot=lease.boot - hour
    )
    boot_moved = dataclasses.replace(lease, boot=lease.boot - hour)
    assert not is_dead(start_and_boot_moved)
    assert not is_dead(boot_moved)


def test_a_lease_of_an_older_version_lives_as_long_as_its_process_id():
    stored = {"machine": current_lease().machine, "boot": "0123456789ab", "start": "77"}
    assert not is_dead(lease_from({**stored, "pid": os.getpid()}))
    assert is_dead(lease_from({**stored, "pid": 2**22 + 1}))


def test_another_machine_cannot_be_judged():
    elsewhere = dataclasses.replace(current_lease(), machine="elsewhere", started=1, boot=1)
    assert not is_dead(elsewhere)
