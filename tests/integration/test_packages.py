"""The packages of the project as wheels: installed, at work, and gone without a trace."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from ffm_core.bars.simulate import market
from helpers.environments import Environment, make_environment, wheel

pytestmark = pytest.mark.slow

PACKAGES = ("ffm-features-qe150", "ffm-legacy", "ffm-forecast", "ffm-backbone-training")
# What a user may type, what brings it, and what is then said.
NAMES = (
    (("features", "show", "qe150"), "ffm-features-qe150", "pa_ret_1"),
    (("features", "show", "ffm68-legacy"), "ffm-legacy", "bar_range_atr"),
    (("forecast", "--demo", "--backbone", "naive_last"), "ffm-forecast", "without weights"),
    (("backbone", "eval", "--help"), "ffm-forecast", "Score forecasts zero-shot"),
    (("backbone", "pretrain", "--help"), "ffm-backbone-training", "Pretrain a backbone"),
    (("backbone", "ab", "--help"), "ffm-backbone-training", "Compare two backbones"),
    (("data", "prepare", "SIMA1_30m.parquet", "--features", "trivial8", "--targets", "legacy",
      "--out", "tables"), "ffm-legacy", "SIMA1_30m.parquet"),
)  # fmt: skip
# What has moved out of the core; no file of its wheel may be called so.
MOVED = (
    "qe150", "legacy", "pretrain", "finetune", "embed/training", "synthetic", "hints", "rebuild",
    "backbone_ab", "backbone_eval", "forecast", "zoo", "classic",
)  # fmt: skip


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("wheels")
    found = {"ffm-core": wheel(repository, root / "core")}
    for name in (*PACKAGES, "ffm-strategy-supertrend"):
        found[name] = wheel(repository / "plugins" / name, root / name)
    return found


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> Environment:
    root = tmp_path_factory.mktemp("fresh")
    made = Environment(make_environment(root / "env"), root)
    made.install(wheels["ffm-core"], wheels["ffm-strategy-supertrend"])
    market("SIMA1", months=1, timeframe="30m").frame.write_parquet(root / "SIMA1_30m.parquet")
    return made


def test_the_wheel_of_the_core_holds_nothing_that_moved_out(wheels):
    names = zipfile.ZipFile(wheels["ffm-core"]).namelist()
    assert "ffm_core/embed/box/encoder.onnx" in names
    assert "ffm_core/testing/feature_specimens.py" in names
    # The card and pictures of the model in the box may say how it was made.
    code = [name for name in names if name.endswith(".py")]
    assert [name for name in code for part in MOVED if part in name] == []
    assert not [name for name in names if name.startswith(("tests/", "plugins/"))]


def test_a_wheel_holds_its_package_and_nothing_else(wheels):
    for name in PACKAGES:
        module = name.replace("-", "_")
        inside = {part.split("/")[0] for part in zipfile.ZipFile(wheels[name]).namelist()}
        assert inside == {module, f"{module}-0.1.0.dist-info"}, name


def test_they_come_work_and_go(fresh, wheels):
    before = sorted(fresh.packages.rglob("*"))
    for words, package, _ in NAMES:
        absent = fresh.ffm(*words)
        assert absent.returncode == 7, absent.stderr
        assert f"comes with {package}, which is not installed" in absent.stderr
        assert f"fix: pip install {package}" in absent.stderr
        assert len(absent.stderr.splitlines()) == 2
    fresh.install(*(wheels[name] for name in PACKAGES))
    states = json.loads(fresh.ffm("plugins", "list", "--json").stdout)["plugins"]
    assert {row["distribution"]: row["state"] for row in states if row["kind"] == "extension"} == {
        "ffm-core": "ok", **dict.fromkeys(PACKAGES, "ok"),
    }  # fmt: skip
    for words, _, said in NAMES:
        done = fresh.ffm(*words)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    fresh.pip("uninstall", "--yes", *PACKAGES)
    assert sorted(fresh.packages.rglob("*")) == before
    for words, package, _ in NAMES:
        gone = fresh.ffm(*words)
        assert (gone.returncode, package in gone.stderr) == (7, True)
    assert "Commands of" not in fresh.ffm("backbone", "--help").stdout
