"""``tests/unit`` mirrors the rooms: who knows a module finds its tests, and the other way round."""

from __future__ import annotations

import pytest

# Tests of published values, and of commands over a room's records.
OTHERS = {"golden", "command", "graph"}


def modules(docs, room):
    """Return the names of a room's modules and wings."""
    place = docs.ROOT / (room if room.startswith("ffm_xgb") else f"ffm_core/{room}")
    found = [path for path in place.glob("*") if path.is_dir() or path.suffix == ".py"]
    return {path.stem.lstrip("_") for path in found if path.stem.strip("_")}


def strays(docs, unit):
    """Return the test files whose name begins with no module of their room."""
    lost = []
    for path in sorted(unit.rglob("test_*.py")):
        room = path.parent.relative_to(unit).as_posix()
        if room == ".":
            continue  # modules beside the rooms, and what holds for all of them
        stem = path.stem.removeprefix("test_")
        known = modules(docs, room) | OTHERS
        if not any(stem == name or stem.startswith(f"{name}_") for name in known):
            lost.append(f"{room}/{path.name}")
    return lost


def test_every_test_file_bears_the_name_of_a_module_of_its_room(docs):
    assert strays(docs, docs.ROOT / "tests" / "unit") == []


@pytest.mark.parametrize("name", ["ruler/test_checks.py", "causal/cutting/test_cuts.py"])
def test_a_file_at_its_place_is_taken(docs, tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    assert strays(docs, tmp_path) == []


def test_a_file_in_the_wrong_room_is_noticed(docs, tmp_path):
    (tmp_path / "bars").mkdir()
    (tmp_path / "bars" / "test_verdict.py").touch()
    assert strays(docs, tmp_path) == ["bars/test_verdict.py"]
