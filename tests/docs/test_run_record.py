"""The page about ``run.json`` against a real record, both ways."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from helpers.store import lend_cache

ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
COLUMNS = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \|", re.MULTILINE)
TYPES = {
    "text": str, "date": str, "time": str, "integer": int, "number": (int, float),
    "boolean": bool, "list": list, "object": dict, "null": type(None),
    "value": (str, int, float, bool, list, dict, type(None)),
}  # fmt: skip


@pytest.fixture(scope="module")
def written(docs):
    page = (docs.ROOT / "docs" / "reference" / "run-record.md").read_text(encoding="utf-8")
    return page, {path: (kind.strip(), when.strip()) for path, kind, when in ROW.findall(page)}


@pytest.fixture(scope="module")
def run(docs, tmp_path_factory, shared_cache):
    """Judge the rule of the tutorial; return the folder of its run."""
    folder = tmp_path_factory.mktemp("record")
    lend_cache(docs.home(folder), shared_cache)  # the tutorial's own page judges the same
    tutorial = docs.ROOT / "docs" / "tutorials" / "your-first-strategy.md"
    rule = next(block for block in docs.blocks(tutorial) if block.title == "idea.py")
    (folder / "idea.py").write_text(rule.text)
    for words in (
        ("data", "simulate", "SIMA7", "--months", "12", "--timeframe", "30m"),
        ("eval", "idea.py", "--data", "SIMA7_30m.parquet", "--jobs", "2"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ffm_core", *words], cwd=folder,
            env=docs.environment(folder), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in docs.VERDICTS, done.stderr
    return next((folder / "ffm-runs").glob("*/run.json")).parent


@pytest.fixture(scope="module")
def record(run):
    return json.loads((run / "run.json").read_text(encoding="utf-8"))


def flatten(value, names, path="", found=None):
    """Collect the types under each path; names the page gives as ``*`` are merged."""
    found = {} if found is None else found
    if path in names or not isinstance(value, dict | list):
        found.setdefault(path, []).append(value)
    if isinstance(value, dict):
        is_open = any(name.startswith(f"{path}.*") for name in names)
        for key, item in value.items():
            flatten(item, names, f"{path}.{'*' if is_open else key}".lstrip("."), found)
    elif isinstance(value, list):
        for item in value:
            flatten(item, names, f"{path}[]", found)
    return found


def undescribed(record, rows):
    """Return the paths no row names; a row of type ``value`` covers what lies below it."""
    covers = tuple(path for path, (kind, _) in rows.items() if kind == "value")
    found = flatten(record, rows)
    return sorted(p for p in found if p not in rows and not p.startswith(covers))


def test_every_path_of_a_record_is_described(written, record):
    _, rows = written
    assert undescribed(record, rows) == []


def test_every_path_that_is_always_there_is_there(written, record):
    _, rows = written
    found = flatten(record, rows)
    always = {path for path, (_, when) in rows.items() if when == "always"}
    assert sorted(always - set(found)) == []


def test_values_are_of_the_types_described(written, record):
    _, rows = written
    for path, values in flatten(record, rows).items():
        if path not in rows:
            continue
        kinds = [TYPES[word.strip()] for word in rows[path][0].split(" or ")]
        for value in values:
            assert any(isinstance(value, kind) for kind in kinds), (path, value)


@pytest.mark.parametrize("table", ["decisions", "trades"])
def test_the_tables_have_the_columns_described(written, run, table):
    import polars as pl

    page, _ = written
    part = page.split(f"## {table}.parquet")[1].split("\n## ")[0]
    named = {name for row in COLUMNS.findall(part) for name in re.findall(r"`(\w+)`", row)}
    assert set(pl.read_parquet(run / f"{table}.parquet").columns) == named


def test_an_undescribed_path_is_noticed(written, record):
    _, rows = written
    odd = {**record, "result": {**record["result"], "luck": {"n": 1}}}
    assert undescribed(odd, rows) == ["result.luck.n"]
