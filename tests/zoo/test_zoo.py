from __future__ import annotations

import inspect
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

from ffm_core.bars.sessions import wall_us
from ffm_core.bars.table import Bars
from ffm_core.errors import UnknownNameError
from ffm_core.records import ExitPolicy, FeatureSet, Labeler, Target
from zoo import CLEAN, FAULTS, KINDS, exhibit
from zoo.fault import MARK, Fault
from zoo.matrix import zoo_bars, zoo_entries, zoo_view

name = attrgetter("name")
TYPES = {"features": FeatureSet, "labeler": Labeler, "exit": ExitPolicy, "target": Target}


def test_the_zoo_is_large_and_has_every_kind():
    assert len(FAULTS) >= 40
    assert len(CLEAN) >= 12
    for kind in KINDS:
        assert any(fault.kind == kind for fault in FAULTS)
        assert any(honest.kind == kind for honest in CLEAN)


def test_names_are_unique_and_records_carry_them():
    names = [one.name for one in (*FAULTS, *CLEAN)]
    assert len(set(names)) == len(names)
    for one in (*FAULTS, *CLEAN):
        assert one.record.name == one.name
        assert one.summary


@pytest.mark.parametrize("kind", TYPES)
def test_records_are_what_their_kind_says(kind):
    for one in (*FAULTS, *CLEAN):
        assert isinstance(one.record, TYPES[kind]) == (one.kind == kind), one.name


def test_every_fault_has_a_marked_line_and_every_mark_a_fault():
    marked = set()
    for fault in FAULTS:
        text = Path(fault.source).read_text(encoding="utf-8").splitlines()
        for line in fault.lines():
            assert fault.name in text[line - 1]
            assert text[line - 1].split("#")[0].strip(" )]}"), f"an empty line bears {fault.name}"
            marked.add((fault.source, line))
    for source in {fault.source for fault in FAULTS}:
        lines = Path(source).read_text(encoding="utf-8").splitlines()
        assert {(source, i) for i, line in enumerate(lines, 1) if MARK in line} == {
            place for place in marked if place[0] == source
        }


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.source.endswith("keeping.py")], ids=name)
def test_what_keeps_something_between_calls_forgets_it_when_it_is_made(fault):
    bars = zoo_bars()
    few = Bars(bars.frame.head(300), bars.instrument, bars.timeframe)
    said = []
    for given in (few, bars, few):
        record = fault.make()
        assert isinstance(record, FeatureSet)
        said.append(record.batch(Bars(given.frame.clone(), given.instrument, given.timeframe)))
    fault.make()
    assert said[0].tobytes() == said[2].tobytes()


def test_a_fault_without_a_marked_line_says_so():
    record = exhibit("next-close").record
    fault = Fault(name="nowhere", kind="features", summary="", record=record, source=__file__)
    with pytest.raises(LookupError, match="nowhere"):
        fault.lines()


def test_an_unknown_exhibit_is_named_as_such():
    assert exhibit("hourly-flag").kind == "features"
    with pytest.raises(UnknownNameError, match="unicorn"):
        exhibit("unicorn")


def test_making_an_exhibit_clears_what_it_kept():
    bars = zoo_bars()[:50]
    fault = exhibit("global-state")
    first = fault.make().batch(bars)
    later = fault.record.batch(bars[:20])
    again = fault.make().batch(bars)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(later, exhibit("global-state").make().batch(bars[:20]))
    fault.make()


def test_the_bars_hold_what_sparse_faults_need():
    bars = zoo_bars()
    assert len(np.unique(bars.contract_codes)) == 2
    assert len(np.unique(wall_us(bars) - bars.ts_us)) == 2  # clocks change
    gaps = np.diff(bars.ts_us) / 3.6e9
    assert (gaps > 24).sum() >= 1  # a weekend
    assert ((gaps > 0.5) & (gaps < 24)).sum() >= 4  # sessions


def test_entries_and_views_are_sound():
    entries = zoo_entries()
    assert len(entries) > 100
    assert entries.bar.max() < len(zoo_bars()) - 80
    train, test = zoo_view("train", 30), zoo_view("test", 30)
    assert 0 < train.known.label.mean() < 1
    assert test.outcomes is None
    assert train.t_us.max() < test.t_us.min()


def test_the_rare_faults_are_rare():
    bars = zoo_bars()
    for name, most in (("hourly-flag", 0.09), ("weekly-flag", 0.003), ("roll-flag", 0.001)):
        values = exhibit(name).make().batch(bars)
        assert 0 < np.count_nonzero(np.nan_to_num(values)) <= most * len(bars), name


def test_every_module_of_the_zoo_can_be_read_alone():
    for source in {fault.source for fault in FAULTS}:
        text = Path(source).read_text(encoding="utf-8")
        assert "from ." not in text
    assert inspect.getdoc(inspect.getmodule(Fault))
