"""Loading is watched like calls: what a plug-in reads there, and what of it is its own."""

from __future__ import annotations

import re
import sys
import textwrap

import numpy as np
import polars as pl
import pytest

from ffm_core.causal import falsify
from ffm_core.causal.subjects.base import FeatureSubject
from ffm_core.records.proofs import told
from ffm_core.testing import make_bars
from helpers.loading import load_module

pytestmark = pytest.mark.slow  # a process that proves cuts

BARS = make_bars("trend", rows=300, seed=7)
SET = """
import numpy as np
import polars as pl
from ffm_core.records import Column, FeatureSet

{loading}

def batch(bars):
    {calling}
    return (bars.close / 100.0).astype(np.float32)[:, None]

SET = FeatureSet(name="{name}", columns=(Column(name="value", unit="1"),), batch=batch,
                 warmup_bars=1, history_bars=1)
"""
# name -> code that is run while loading, code that is run in every call, what is said of it
FAULTS = {
    "daily": ("DAYS = pl.read_csv('{data}/vix.csv')", "",
              r"vix.csv \(read_csv\) while it is loaded"),
    "lazy": ("DAYS = pl.scan_parquet('{data}/vix.parquet')", "DAYS.collect()", r"scan_parquet"),
    "events": ("import json\nwith open('{data}/days.json') as file:\n    DAYS = json.load(file)",
               "", r"opens the file .*days.json while it is loaded"),
    "array": ("DAYS = np.load('{data}/days.npy')", "", r"days.npy while it is loaded"),
    "arrow": ("import pyarrow.parquet as pq\nDAYS = pq.read_table('{data}/vix.parquet')", "",
              r"vix.parquet \(read_table\) while"),
    "late-arrow": ("", "import pyarrow.feather as f; f.read_table('{data}/vix.arrow')",
                   r"vix.arrow \(read_table\)$"),
    "database": ("import sqlite3\nsqlite3.connect('{data}/days.db').close()", "",
                 r"opens the database .*days.db while"),
    "helper": ("import zq_reads", "", r"vix.csv \(read_csv\) while it is loaded"),
    "network": ("import socket\nwith socket.socket() as s:\n    s.connect_ex(('localhost', 9))",
                "", r"connects to localhost:9 while it is loaded"),
    "writes": ("open('{data}/memo', 'w').close()", "",
               r"writes the file .*memo while it is loaded"),
    "environment": ("import os\nKNOBS = dict(os.environ)", "", r"the whole environment while"),
    "late-variable": ("import os", "os.environ.get('zq'.upper())", r"variable ZQ, whose name it"),
    "late-module": ("import importlib", "importlib.import_module('zq_' + 'late')",
                    r"imports zq_late, whose name it computes"),
}  # fmt: skip
HONEST = {
    "constants": ("import json\nDAYS = json.loads('[1, 2]')", ""),
    "variable": ("import os\nLEVEL = os.environ.get('ZQ_LOG', 'info')", "os.getenv('ZQ_LOG')"),
    "computed": ("import os\nLEVEL = os.environ.get('zq_log'.upper())", "os.environ.get('ZQ_LOG')"),
    "helper-inside": ("", "from zq_quiet import N"),
    "library-data": ("import zoneinfo\nNY = zoneinfo.ZoneInfo('America/New_York')", ""),
    "home": ("import os\nHOME = os.path.expanduser('~')", ""),
    "memory": ("DAYS = pl.read_csv(b'a\\n1\\n')", ""),
    "first-import": ("", "import sqlite3"),
}
CACHED = """
import functools

@functools.cache
def days():
    with open(__file__.replace("plugin.py", "days.csv")) as file:
        return file.read()
"""
RESOURCES = """
import importlib.resources

DAYS = importlib.resources.files("{package}").joinpath("days.csv").read_text()
"""
PACKAGE = {
    "package-data": ("DAYS = pl.read_csv(__file__.replace('plugin.py', 'days.csv'))", ""),
    "resources": (RESOURCES, ""),
    "cached": (CACHED, "days()"),
}


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
    for name, (loading, calling, *_) in {**FAULTS, **HONEST, **PACKAGE}.items():
        place, module = folder / f"zq_{name.replace('-', '_')}.py", f"zq_{name.replace('-', '_')}"
        if name in PACKAGE:
            package = folder / f"{module}_kit"
            package.mkdir()
            (package / "__init__.py").write_text("")
            (package / "days.csv").write_text("day\n1\n")
            place, module = package / "plugin.py", f"{module}_kit.plugin"
        known = {"data": data, "package": module.partition(".")[0]}
        text = textwrap.dedent(SET).format(
            name=name, loading=loading.format(**known), calling=calling.format(**known) or "pass"
        )
        place.write_text(text)
        if name in PACKAGE:
            __import__(module)
            sets[name] = sys.modules[module].SET
        else:
            sets[name] = load_module(module, place).SET
    sys.modules.pop("zq_late", None)
    try:
        subjects = [FeatureSubject(one, None) for one in sets.values()]
        proofs = falsify(subjects, BARS, seed=0, max_cuts=20, decision_bars=[60])
        yield dict(zip(sets, proofs, strict=True))
    finally:
        patch.undo()
        for name in [name for name in sys.modules if name.startswith("zq_")]:
            del sys.modules[name]


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_read_from_outside_is_refused(found, name):
    failures = found[name].failures
    assert {failure.check for failure in failures} == {"access"}, name
    assert any(re.search(FAULTS[name][2], told(failure.reason)) for failure in failures), [
        told(failure.reason) for failure in failures
    ]


def test_the_line_is_named_and_the_way_to_declare_a_table(found):
    (failure,) = found["daily"].failures
    assert failure.line.startswith("zq_daily.py:6: DAYS = pl.read_csv")
    assert "--input NAME=FILE" in told(failure.repair)
    (failure,) = found["helper"].failures
    assert failure.line.startswith("zq_reads.py:2")


@pytest.mark.parametrize("name", [*HONEST, *PACKAGE])
def test_what_is_its_own_is_left_alone(found, name):
    assert [told(failure.reason) for failure in found[name].failures] == []


@pytest.mark.parametrize("name", PACKAGE)
def test_files_of_its_package_that_were_read_are_listed(found, name):
    assert "the file days.csv of its package" in [told(one) for one in found[name].carries]
    assert not found["constants"].carries
