"""What may be read while loading, and what may not: plug-ins written to files of their own.

They are judged as whole modules, because their faults are done before any function is called.
``{data}`` is a folder outside the package, ``{package}`` the package's name.
"""

from __future__ import annotations

from dataclasses import dataclass

MODULE = """
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A feature set as text.

    Parameters
    ----------
    loading, calling : str
        Code of the module, and of every call.
    told : str
        A pattern of what is said of it; empty where it is honest.
    packaged : bool
        Whether it lies in a package, beside a table.
    """

    name: str
    summary: str
    loading: str = ""
    calling: str = "pass"
    told: str = ""
    packaged: bool = False


WRITTEN_FAULTS = (
    Written(
        name="import-daily",
        summary="a daily table read at import, to be joined on its date",
        loading="DAYS = pl.read_csv('{data}/vix.csv')",
        told=r"vix.csv \(read_csv\) while it is loaded",
    ),
    Written(
        name="import-lazy",
        summary="a lazy scan at import that a call collects",
        loading="DAYS = pl.scan_parquet('{data}/vix.parquet')",
        calling="DAYS.collect()",
        told=r"scan_parquet",
    ),
    Written(
        name="import-events",
        summary="a list of days from a JSON beside the file",
        loading="""
import json
with open('{data}/days.json') as file:
    DAYS = json.load(file)
""",
        told=r"opens the file .*days.json while it is loaded",
    ),
    Written(
        name="import-array",
        summary="an array of numpy's read at import",
        loading="DAYS = np.load('{data}/days.npy')",
        told=r"days.npy while it is loaded",
    ),
    Written(
        name="import-arrow",
        summary="a Parquet table read at import through pyarrow",
        loading="""
import pyarrow.parquet as pq
DAYS = pq.read_table('{data}/vix.parquet')
""",
        told=r"vix.parquet \(read_table\) while",
    ),
    Written(
        name="import-late-arrow",
        summary="pyarrow imported and used inside the call",
        calling="import pyarrow.feather as f; f.read_table('{data}/vix.arrow')",
        told=r"vix.arrow \(read_table\)$",
    ),
    Written(
        name="import-database",
        summary="a database opened at import",
        loading="""
import sqlite3
sqlite3.connect('{data}/days.db').close()
""",
        told=r"opens the database .*days.db while",
    ),
    Written(
        name="import-helper",
        summary="a helper module that reads the table instead",
        loading="import zq_reads",
        told=r"vix.csv \(read_csv\) while it is loaded",
    ),
    Written(
        name="import-network",
        summary="a connection opened at import",
        loading="""
import socket
with socket.socket() as s:
    s.connect_ex(('localhost', 9))
""",
        told=r"connects to local\w+:9 while it is loaded",
    ),
    Written(
        name="import-writes",
        summary="a file written at import",
        loading="open('{data}/memo', 'w').close()",
        told=r"writes the file .*memo while it is loaded",
    ),
    Written(
        name="import-environment",
        summary="all variables of the environment, copied",
        loading="""
import os
KNOBS = dict(os.environ)
""",
        told=r"the whole environment while",
    ),
    Written(
        name="import-late-variable",
        summary="a variable whose name the call computes",
        loading="import os",
        calling="os.environ.get('zq'.upper())",
        told=r"variable ZQ, whose name it",
    ),
    Written(
        name="import-late-module",
        summary="a module whose name the call computes",
        loading="import importlib",
        calling="importlib.import_module('zq_' + 'late')",
        told=r"imports zq_late, whose name it computes",
    ),
)
WRITTEN_CLEAN = (
    Written(
        name="import-constants",
        summary="constants parsed from a text in the code",
        loading="""
import json
DAYS = json.loads('[1, 2]')
""",
    ),
    Written(
        name="import-variable",
        summary="a level of logging from the environment",
        loading="""
import os
LEVEL = os.environ.get('ZQ_LOG', 'info')
""",
        calling="os.getenv('ZQ_LOG')",
    ),
    Written(
        name="import-computed",
        summary="a variable whose name is computed at import, read again by name",
        loading="""
import os
LEVEL = os.environ.get('zq_log'.upper())
""",
        calling="os.environ.get('ZQ_LOG')",
    ),
    Written(
        name="import-helper-inside",
        summary="a helper module imported inside the call",
        calling="from zq_quiet import N",
    ),
    Written(
        name="import-library-data",
        summary="a time zone loaded at import",
        loading="""
import zoneinfo
NY = zoneinfo.ZoneInfo('America/New_York')
""",
    ),
    Written(
        name="import-home",
        summary="the home folder, which the library looks up",
        loading="""
import os
HOME = os.path.expanduser('~')
""",
    ),
    Written(
        name="import-memory",
        summary="a table parsed from bytes",
        loading="DAYS = pl.read_csv(b'a\\n1\\n')",
    ),
    Written(
        name="import-first-import",
        summary="a library imported first inside the call",
        calling="import sqlite3",
    ),
    Written(
        name="import-package-data",
        summary="a table of its own package, read at import",
        loading="DAYS = pl.read_csv(__file__.replace('plugin.py', 'days.csv'))",
        packaged=True,
    ),
    Written(
        name="import-resources",
        summary="the same through importlib.resources",
        loading="""
import importlib.resources

DAYS = importlib.resources.files("{package}").joinpath("days.csv").read_text()
""",
        packaged=True,
    ),
    Written(
        name="import-cached",
        summary="the same in a cached helper, read in the first call",
        loading="""
import functools

@functools.cache
def days():
    with open(__file__.replace("plugin.py", "days.csv")) as file:
        return file.read()
""",
        calling="days()",
        packaged=True,
    ),
)
