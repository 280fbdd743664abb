"""Every detector keeps the kills that are written down; honest plug-ins raise no alarm."""

from __future__ import annotations

import pytest
from zoo import CLEAN, FAULTS
from zoo.kills import KILLS
from zoo.matrix import (
    DETECTORS,
    ROWS,
    SERIES_DETECTORS,
    certificates,
    failures,
    in_worker,
)

from ffm_core.records import ExitPolicy

SERIES = [fault for fault in FAULTS if in_worker(fault)]
OTHERS = [fault for fault in FAULTS if not in_worker(fault)]
CLEAN_SERIES = [one for one in CLEAN if in_worker(one)]
CLEAN_OTHERS = [one for one in CLEAN if not in_worker(one)]


def blind(record):
    """Whether a record is an exit whose Python is shown no bars: its step is proven apart."""
    return isinstance(record, ExitPolicy) and record.batch is None


def test_every_fault_is_killed_by_a_named_detector():
    assert set(KILLS) == {fault.name for fault in FAULTS}
    for fault in FAULTS:
        assert fault.kills, fault.name
        assert set(fault.kills) <= set(DETECTORS), fault.name


def test_every_detector_has_a_fault_that_it_kills():
    assert {detector for fault in FAULTS for detector in fault.kills} == set(DETECTORS)


@pytest.mark.parametrize("detector", sorted(SERIES_DETECTORS))
def test_a_detector_alone_keeps_its_kills(detector):
    its = [fault for fault in SERIES if detector in fault.kills]
    found = certificates(its, (detector,))
    lost = [
        fault.name
        for fault in its
        if detector not in {failure.check for failure in found[fault.name].failures}
    ]
    assert lost == []


@pytest.mark.parametrize("fault", OTHERS, ids=lambda fault: fault.name)
def test_what_judges_exits_targets_and_learners_keeps_its_kills(fault):
    assert set(fault.kills) <= {failure.check for failure in failures(fault)}


def test_no_detector_objects_to_honest_features_labelers_and_exits():
    found = certificates(CLEAN_SERIES)
    alarms = {name: c.failures for name, c in found.items() if c.status != "clean"}
    assert alarms == {}
    few = {name for name, c in found.items() if c.cuts < 100 and c.proven_bars != ROWS}
    shown_no_bars = {one.name for one in CLEAN_SERIES if blind(one.record)}
    assert few <= shown_no_bars
    assert all(c.cuts >= 40 for c in found.values())


@pytest.mark.parametrize("honest", CLEAN_OTHERS, ids=lambda honest: honest.name)
def test_nothing_objects_to_honest_exits_targets_and_learners(honest):
    assert failures(honest) == ()
