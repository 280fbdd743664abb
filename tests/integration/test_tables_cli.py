"""``ffm features`` and ``ffm data prepare`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ffm_core.bars.readers import load_many
from ffm_core.bars.simulate import market
from ffm_core.features.trivial8 import TRIVIAL8


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    for symbol in ("SIMA1", "SIMB1"):
        bars = market(symbol, months=1, timeframe="1h")
        bars.frame.write_parquet(place / f"{symbol}_1h.parquet")
    return place


def snapshot(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(place.iterdir())}


def test_list_names_every_set_with_its_streaming(ffm):
    found = {row["name"]: row for row in ffm("features", "list", "--json").json["features"]}
    assert found["trivial8"]["n_columns"] == 8
    assert found["trivial8"]["streaming"] == "step"
    assert found["ffm68"]["n_columns"] == 68
    assert found["ffm68"]["streaming"] == "step"
    text = ffm("features", "list").out
    assert all(name in text for name in found)


def test_show_prints_a_set_or_one_column(ffm):
    page = ffm("features", "show", "trivial8").out
    assert all(column.name in page for column in TRIVIAL8.columns)
    one = ffm("features", "show", "trivial8/zscore_100")
    assert "(C - mean100(C)) / SD100(C)" in one.out
    facts = ffm("features", "show", "trivial8/zscore_100", "--json").json["feature"]
    assert facts["history_bars"] == 100
    assert facts["memory"] == "finite"


@pytest.mark.parametrize(
    ("name", "fix"), [("trivial9", "trivial8"), ("trivial8/zscore_10", "zscore_100")]
)
def test_show_suggests_a_name(ffm, name, fix):
    answer = ffm("features", "show", name)
    assert answer.code == 2
    assert f"did you mean {fix!r}" in answer.err


def test_compute_writes_what_the_set_gives(ffm, folder, tmp_path):
    out = tmp_path / "out"
    answer = ffm("features", "compute", folder, "--features", "trivial8", "--out", out, "--quiet")
    assert answer.code == 0
    bars = load_many([str(folder / "SIMA1_1h.parquet")], accept_quality=True)[0].bars
    table = pl.read_parquet(out / "SIMA1_1h.parquet")
    assert table.columns == ["ts", *(f"trivial8/{c.name}" for c in TRIVIAL8.columns)]
    assert (table["ts"] == bars.frame["ts"]).all()
    values = table.drop("ts").to_numpy()
    assert values.dtype == np.float32
    assert np.array_equal(values, TRIVIAL8.batch(bars), equal_nan=True)


def test_tables_do_not_depend_on_the_number_of_workers(ffm, folder, tmp_path):
    made = []
    for jobs in (1, 2):
        out = tmp_path / f"out{jobs}"
        words = ("--features", "trivial8", "--out", out, "--jobs", jobs, "--quiet")
        assert ffm("features", "compute", folder, *words).code == 0
        made.append(snapshot(out))
    assert made[0] == made[1]


def test_a_second_run_leaves_finished_tables_and_mends_the_others(ffm, folder, tmp_path):
    out = tmp_path / "out"
    words = ("features", "compute", folder, "--features", "trivial8", "--out", out, "--json")
    first = ffm(*words).json["tables"]
    assert [row["state"] for row in first] == ["written", "written"]
    whole = snapshot(out)
    (out / "SIMB1_1h.parquet").write_bytes(b"cut short")
    again = ffm(*words).json["tables"]
    assert [row["state"] for row in again] == ["present", "written"]
    assert snapshot(out) == whole
    changed = market("SIMA1", months=1, timeframe="1h").frame.head(300)
    changed.write_parquet(folder / "SIMA1_1h.parquet")
    third = ffm(*words).json["tables"]
    assert [row["state"] for row in third] == ["written", "present"]
    assert len(json.loads((out / "manifest.json").read_text())["sources"]) == 2


def test_prepare_puts_targets_and_when_they_are_known_beside_features(ffm, folder, tmp_path):
    out = tmp_path / "out"
    words = ("--features", "trivial8", "--targets", "context", "--out", out, "--quiet")
    assert ffm("data", "prepare", folder / "SIMA1_1h.parquet", *words).code == 0
    table = pl.read_parquet(out / "SIMA1_1h.parquet")
    targets = [name for name in table.columns if name.startswith("target/")]
    assert "target/context/trendiness" in targets
    value, end = table["target/context/trendiness"], table["target/context/trendiness/end"]
    assert (value.is_nan() == end.is_null()).all()
    known = table.filter(end.is_not_null())
    waited = (known["target/context/trendiness/end"] - known["ts"]).dt.total_hours()
    assert waited.min() >= 21  # twenty bars of an hour after the bar's own close
    manifest = json.loads((out / "manifest.json").read_text())
    (entry,) = manifest["sources"].values()
    assert {"name": "context/trendiness", "horizon_bars": 20} in entry["targets"]
    assert entry["tables"][0]["stream"] == "SIMA1/1h"


def test_a_file_that_fails_is_named_and_the_others_are_kept(ffm, folder, tmp_path):
    out = tmp_path / "out"
    (folder / "SIMC1_1h.csv").write_text("datetime,open\n2024-01-01 00:00,1\n")
    answer = ffm("features", "compute", folder, "--features", "trivial8", "--out", out, "--quiet")
    assert answer.code == 4
    assert sorted(path.name for path in out.iterdir()) == [
        "SIMA1_1h.parquet", "SIMB1_1h.parquet", "manifest.json",
    ]  # fmt: skip


def test_two_files_of_one_stream_are_refused_and_the_first_is_kept(ffm, folder, tmp_path):
    out = tmp_path / "out"
    words = ("--features", "trivial8", "--out", out, "--quiet")
    twin = tmp_path / "SIMA1_more.parquet"
    market("SIMA1", months=1, timeframe="1h").frame.head(200).write_parquet(twin)
    first = folder / "SIMA1_1h.parquet"
    answer = ffm("features", "compute", first, twin, *words)
    assert answer.code == 4
    assert pl.read_parquet(out / "SIMA1_1h.parquet").height > 200
    assert len(list(out.iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--features", "trivial8,trivial8"), 2, "each name once"),
        (("--features", "nothing"), 2, "no feature set named 'nothing'"),
    ],
)
def test_names_are_checked_before_anything_is_read(ffm, folder, tmp_path, words, code, said):
    out = tmp_path / "out"
    answer = ffm("features", "compute", folder, *words, "--out", out)
    assert answer.code == code
    assert said in answer.err
    assert not out.exists()


def test_a_group_of_targets_gets_a_suggestion(ffm, folder, tmp_path):
    answer = ffm("data", "prepare", folder, "--targets", "contxt", "--out", tmp_path / "out")
    assert answer.code == 2
    assert "did you mean 'context'" in answer.err


def test_a_folder_that_holds_another_manifest_is_left_alone(ffm, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text('{"schema": "ffm-store/1", "streams": {}}')
    answer = ffm("features", "compute", folder, "--features", "trivial8", "--out", out)
    assert answer.code == 2
    assert "not a manifest of tables" in answer.err
    assert [path.name for path in out.iterdir()] == ["manifest.json"]
