"""Loading is watched like calls: what a plug-in reads there, and what of it is its own."""

from __future__ import annotations

import importlib
import re
import sys
from operator import attrgetter

import numpy as np
import polars as pl
import pytest
from zoo.outside import MODULE, WRITTEN_CLEAN, WRITTEN_FAULTS

from ffm_core.causal import falsify
from ffm_core.causal.subjects.base import FeatureSubject
from ffm_core.records.proofs import told
from ffm_core.testing import make_bars
from helpers.loading import load_module

pytestmark = pytest.mark.slow  # a process that proves cuts

BARS = make_bars("trend", rows=300, seed=7)
name = attrgetter("name")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Certificates by name, all from one worker."""
    folder = tmp_path_factory.mktemp("code")
    data = tmp_path_factory.mktemp("data")
    (data / "vix.csv").write_text("day,close\n2024-01-02,13.0\n")
    (data / "days.json").write_text("[]")
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(folder))
    (folder / "zq_reads.py").write_text(f"import polars as pl\npl.read_csv('{data}/vix.csv')\n")
    (folder / "zq_late.py").write_text("N = 1\n")
    (folder / "zq_quiet.py").write_text("N = 1\n")
    np.save(data / "days.npy", np.arange(3))
    frame = pl.DataFrame({"day": [1]})
    frame.write_parquet(data / "vix.parquet")
    frame.write_ipc(data / "vix.arrow", compression="uncompressed")
    sets = {}
    for one in (*WRITTEN_FAULTS, *WRITTEN_CLEAN):
        module = f"zq_{one.name.replace('-', '_')}"
        place = folder / f"{module}.py"
        if one.packaged:
            package = folder / f"{module}_kit"
            package.mkdir()
            (package / "__init__.py").write_text("")
            (package / "days.csv").write_text("day\n1\n")
            place, module = package / "plugin.py", f"{module}_kit.plugin"
        known = {"data": data, "package": module.partition(".")[0]}
        parts = {"loading": one.loading.format(**known), "calling": one.calling.format(**known)}
        place.write_text(MODULE.format(name=one.name, **parts))
        if one.packaged:
            importlib.invalidate_caches()
            sets[one.name] = importlib.import_module(module).SET
        else:
            sets[one.name] = load_module(module, place).SET
    sys.modules.pop("zq_late", None)
    try:
        subjects = [FeatureSubject(one, None) for one in sets.values()]
        proofs = falsify(subjects, BARS, seed=0, max_cuts=20, decision_bars=[60])
        yield dict(zip(sets, proofs, strict=True))
    finally:
        patch.undo()
        for name in [name for name in sys.modules if name.startswith("zq_")]:
            del sys.modules[name]


@pytest.mark.parametrize("fault", WRITTEN_FAULTS, ids=name)
def test_what_is_read_from_outside_is_refused(found, fault):
    failures = found[fault.name].failures
    assert {failure.check for failure in failures} == {"access"}
    said = [told(failure.reason) for failure in failures]
    assert any(re.search(fault.told, text) for text in said), said


def test_the_line_is_named_and_the_way_to_declare_a_table(found):
    (failure,) = found["import-daily"].failures
    assert failure.line.startswith("zq_import_daily.py:6: DAYS = pl.read_csv")
    assert "--input NAME=FILE" in told(failure.repair)
    (failure,) = found["import-helper"].failures
    assert failure.line.startswith("zq_reads.py:2")


@pytest.mark.parametrize("honest", WRITTEN_CLEAN, ids=name)
def test_what_is_its_own_is_left_alone(found, honest):
    assert [told(failure.reason) for failure in found[honest.name].failures] == []
    listed = [told(one) for one in found[honest.name].carries]
    assert listed == (["the file days.csv of its package"] if honest.packaged else [])
