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
    assert lease_from_token(dataclasses.replace(lease, boot="", start="").token()).boot == ""


@pytest.mark.parametrize("text", ["", "notes", "a.b.c.d", "a.b.1"])
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
    assert is_dead(dataclasses.replace(current_lease(), start="1"))


def test_another_boot_is_dead():
    assert is_dead(dataclasses.replace(current_lease(), boot="0123456789ab"))


def test_another_machine_cannot_be_judged():
    assert not is_dead(dataclasses.replace(current_lease(), machine="elsewhere", boot="other"))
