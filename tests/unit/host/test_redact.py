from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ffm_core.host.discovery import Found
from ffm_core.host.redact import PUBLIC_WORDS, Redactor, redact_labeler
from ffm_core.records import Column, Labeler, Param

COLUMNS = ("moon_phase", "moon_phase_lag", "score", "xz")
PARAMS = (
    Param(name="lunar_days", default=28, description="days of a moon"),
    Param(name="horizon", default=130),
    Param(name="mode", default="waxing_gibbous", choices=("waxing_gibbous", "waning")),
)


def labeler(*, private: bool = True, name: str = "moon:eclipse") -> Labeler:
    return Labeler(
        name=name,
        decide=print,
        horizon_bars=130,
        warmup_bars=50,
        params=PARAMS,
        columns=tuple(Column(name=column, unit="R", description="secret") for column in COLUMNS),
        private=private,
        summary="Trades the moon.",
    )


@pytest.fixture
def origin(tmp_path) -> Found:
    return Found(name="moon", group="ffm.strategies", distribution="moon.py", version="",
                 module="ffm_strategy_file_moon", path=tmp_path / "moon.py")  # fmt: skip


SECRETS = ("moon_phase", "lunar_days", "waxing_gibbous", "waning", "eclipse", "Trades the moon",
           "days of a moon")  # fmt: skip


def test_a_public_labeler_is_shown_in_full():
    view = redact_labeler(labeler(private=False))
    assert [column["name"] for column in view["columns"]] == list(COLUMNS)
    assert view["params"][0]["default"] == 28
    assert view["summary"] == "Trades the moon."


def test_a_private_labeler_keeps_counts_and_loses_names_and_values():
    view = redact_labeler(labeler())
    text = json.dumps(view)
    assert [secret for secret in SECRETS if secret in text] == []
    assert "28" not in text
    assert (len(view["columns"]), len(view["params"])) == (len(COLUMNS), len(PARAMS))
    assert len({column["name"] for column in view["columns"]}) == len(COLUMNS)
    assert view["horizon_bars"] == 130


def test_names_disappear_from_nested_structures(origin):
    redactor = Redactor.of([labeler()], origin=origin)
    result = {
        "strategy": {
            "labeler": "moon:eclipse",
            "summary": "Trades the moon.",
            "params": {"lunar_days": 28, "horizon": 7},
        },
        "columns": ["labeler/moon_phase", "labeler/score", "labeler/xz", "trivial8/return_1"],
        "failures": [{"column": "moon_phase_lag", "message": "column moon_phase_lag moves"}],
        "moon_phase": ({"lunar_days": 28},),
        "config": {"set": ["lunar_days=28", "mode = 'waning'"]},
        "score": 0.5,
        "horizon": 130,
    }
    clean = redactor.value(result)
    text = json.dumps(clean)
    assert [secret for secret in SECRETS if secret in text] == []
    assert "28" not in text
    assert set(clean["strategy"]["params"].values()) == {"private"}
    assert "trivial8/return_1" in clean["columns"]
    assert redactor.leaks(text) == []


def test_words_of_the_record_itself_survive(origin):
    redactor = Redactor.of([labeler()], origin=origin)
    assert redactor.value({"score": 0.5, "horizon": 130}) == {"score": 0.5, "horizon": 130}
    assert redactor.text("labeler/score score") == f"labeler/{redactor.name('score')} score"
    assert redactor.text("--set horizon=5") == f"--set {redactor.name('horizon')}=private"
    assert redactor.text("'horizon' is 5") == f"'{redactor.name('horizon')}' is private"
    assert redactor.text("the horizon is 5 bars") == "the horizon is 5 bars"


def test_the_same_name_always_becomes_the_same_replacement():
    redactor = Redactor(["b", "a", "b"])
    assert [redactor.name(name) for name in ("b", "a", "c")] == ["private_1", "private_2", "c"]


def test_a_longer_name_is_not_cut_by_a_shorter_one():
    redactor = Redactor(["moon", "moon_phase"])
    assert redactor.text("moon_phase, moon; moons") == "private_2, private_1; moons"


@pytest.mark.parametrize(
    "text",
    [
        "at {root}/moon.py:12 in decide",
        "File '{root}/moon.py', line 3",
        "ffm eval ./moon.py --demo",
        "moon.py",
    ],
)
def test_source_paths_disappear(origin, text):
    redactor = Redactor.of([labeler()], origin=origin)
    clean = redactor.text(text.format(root=origin.path.parent))
    assert "moon" not in clean
    assert str(origin.path.parent) not in clean
    assert "private" in clean


def test_a_packages_paths_disappear_but_the_strategys_name_stays(site, install):
    module = install("lunar", module="lunar")
    origin = Found(name="lunar", group="ffm.strategies", distribution="ffm-strategy-lunar",
                   version="1", module=module)  # fmt: skip
    redactor = Redactor.of([labeler(name="lunar")], origin=origin)
    text = redactor.text(f"ffm eval lunar: {site}/lunar.py:3 lunar/labeler.py, done with lunar.")
    assert text == "ffm eval lunar: private private done with lunar."


def test_a_public_labeler_hides_nothing(origin):
    redactor = Redactor.of([labeler(private=False)], origin=origin)
    record = {"moon_phase": f"{origin.path} lunar_days=28"}
    assert not redactor.is_active
    assert redactor.value(record) is record


def test_further_public_words_can_be_kept():
    assert Redactor(["ES_5m"], keep=["ES_5m"]).text("ES_5m labeler/ES_5m") == (
        "ES_5m labeler/private_1"
    )


def test_leaks_are_found():
    redactor = Redactor(["moon_phase"], sources=["ffm_strategy_moon"])
    assert redactor.leaks("a moon_phase b ffm_strategy_moon/x.py") == [
        "ffm_strategy_moon/x.py",
        "moon_phase",
    ]
    assert redactor.leaks("moon_phases") == []


NAMES = st.from_regex(r"[a-z][a-z0-9_]{2,12}", fullmatch=True).filter(
    lambda name: name not in PUBLIC_WORDS and not name.startswith("private")
)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.lists(NAMES, min_size=1, max_size=4, unique=True), JSONS, st.data())
def test_no_private_name_survives_wherever_it_stands(names, value, data):
    redactor = Redactor(names)
    name = data.draw(st.sampled_from(names))
    record = {name: value, "x": [f"before {name}, after", {f"labeler/{name}": name}]}
    assert redactor.leaks(json.dumps(redactor.value(record), ensure_ascii=False)) == []
    assert redactor.leaks(json.dumps(record)) != []


@given(JSONS)
def test_what_holds_no_private_name_comes_back_equal(value):
    redactor = Redactor(["zzzz_not_there"], sources=["zzzz_folder"])
    assert redactor.value(value) == value
