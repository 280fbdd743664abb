"""A small part of the ruler's validation: one world of each kind, judged for real.

The whole table stands in ``docs/reference/validation.md``; these seeds are part of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ffm_core.cli.ruler import group

pytestmark = pytest.mark.slow


def validate(
    tmp_path: Path, world: str, seeds: str, learner: str, features: str = "trivial8"
) -> list[dict[str, Any]]:
    """Judge worlds; the eight plain features take a third of the time of the default."""
    answer = CliRunner().invoke(
        group,
        ["validate", "--world", world, "--seeds", seeds, "--learner", learner, "--json",
         "--features", features, "--results", str(tmp_path)],
        catch_exceptions=False,
    )  # fmt: skip
    assert answer.exit_code == 0, answer.output
    rows: list[dict[str, Any]] = json.loads(answer.stdout)["worlds"]
    return rows


def test_planted_edge_passes(tmp_path: Path) -> None:
    (world,) = validate(tmp_path, "planted", "3", "xgb")
    assert world["decision"] == "PASS", world["headline"]


def test_no_edge_fails_and_a_second_call_judges_nothing_again(tmp_path: Path) -> None:
    first = validate(tmp_path, "null", "3", "xgb", "ffm68")
    assert [world["decision"] for world in first] == ["FAIL"], first[0]["headline"]
    stamp = next(tmp_path.glob("*.json")).stat().st_mtime_ns
    assert validate(tmp_path, "null", "3", "xgb", "ffm68") == first
    assert next(tmp_path.glob("*.json")).stat().st_mtime_ns == stamp


def test_an_edge_of_the_rule_is_not_credited_to_the_model(tmp_path: Path) -> None:
    worlds = validate(tmp_path, "trigger", "3", "both")
    by_learner = {world["learner"]: world for world in worlds}
    assert by_learner["none"]["decision"] == "PASS"
    assert by_learner["xgb"]["decision"] != "PASS"
    kinds = [reason["kind"] for reason in by_learner["xgb"]["reasons"]]
    assert "model_adds_nothing" in kinds


@pytest.mark.parametrize("kind", ["rare", "dependent"])
def test_nothing_passes_where_wins_are_rare_or_days_hang_together(
    tmp_path: Path, kind: str
) -> None:
    (world,) = validate(tmp_path, kind, "3", "none")
    assert world["decision"] in ("FAIL", "INCONCLUSIVE"), world["headline"]
