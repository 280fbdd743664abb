"""Defaults < file < environment < flags, and clear words for what is wrong."""

from __future__ import annotations

import pytest

from ffm_core.errors import ConfigError
from ffm_core.records import Param
from ffm_core.runs.resolve import check_params, parse_settings, resolve


@pytest.fixture
def write(tmp_path):
    def put(text):
        path = tmp_path / "ffm.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return put


def test_each_place_beats_the_one_before(write):
    file = write("seed = 1\njobs = 1\npermutations = 50\n[params]\nwindow = 5\nfactor = 1.5\n")
    config = resolve(
        {"strategy": "x", "jobs": 3, "params": {"window": 7}, "quiet": None},
        file=file, environ={"FFM_SEED": "2", "FFM_JOBS": "2"},
    )  # fmt: skip
    assert (config.seed, config.jobs, config.permutations, config.quiet) == (2, 3, 50, False)
    assert config.params == {"window": 7, "factor": 1.5}


def test_lists_in_the_environment_are_split_at_commas():
    config = resolve({"strategy": "x"}, environ={"FFM_FEATURES": "a, b", "FFM_DATA": "a,b.csv"})
    assert config.features == ("a", "b")
    assert config.data == ("a,b.csv",)


def test_values_keep_their_types(write):
    file = write('[params]\na = 1\nb = 1.0\nc = true\nd = "1"\n')
    params = resolve({"strategy": "x"}, file=file, environ={}).params
    assert [type(params[k]) for k in "abcd"] == [int, float, bool, str]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sede = 1", "ffm.toml: unknown setting 'sede'; did you mean 'seed'?"),
        ("seed = -1", "setting 'seed' (from file ffm.toml) is -1"),
        ('seed = "many"', "setting 'seed' (from file ffm.toml) is 'many'"),
        ("seed = 1.5", "setting 'seed' (from file ffm.toml) is 1.5"),
        ("top_share = 0.0", "'top_share'"),
        ("top_share = nan", "'top_share'"),
        ("slippage_ticks = inf", "'slippage_ticks'"),
        ('overlap = "all"', "'each', 'one_per_stream' or 'one_at_a_time'"),
        ("params = 3", "'params' must be a table"),
        ("[params]\nx = [1]", "params.x"),
        ("[params]\nx = nan", "params.x"),
        ("seed = ", "not valid TOML"),
        ('learner = "none"\nclaim = "selection"', "needs a learner"),
        ("date_from = 2024-02-01\ndate_to = 2024-01-01", "is after"),
        ('date_from = "yesterday"', "date_from"),
        ('features = ["a", "a"]', "twice"),
        ('executor = "ray"', "unknown setting 'executor'"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(write, text, words):
    with pytest.raises(ConfigError) as caught:
        resolve({"strategy": "x"}, file=write(text), environ={})
    assert words in caught.value.problem
    assert caught.value.fix
    assert "\n" not in caught.value.problem


def test_a_file_that_is_missing_or_no_text(tmp_path):
    junk = tmp_path / "junk.toml"
    junk.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "absent.toml", tmp_path, junk):
        with pytest.raises(ConfigError):
            resolve({"strategy": "x"}, file=path, environ={})


def test_a_near_miss_in_the_environment_is_an_error():
    with pytest.raises(ConfigError, match="did you mean 'FFM_PERMUTATIONS'"):
        resolve({"strategy": "x"}, environ={"FFM_PERMUTATION": "9"})


def test_other_variables_are_left_alone():
    environ = {"FFM_HOME": "h", "FFM_PLUGINS": "", "FFM_STRICT": "1", "FFM_TEST_DATA": "d",
               "FFM_SOMETHING_ELSE": "1", "SEED": "9", "FFM_PARAMS": "?"}  # fmt: skip
    assert resolve({"strategy": "x"}, environ=environ).seed == 0


def test_a_wrong_value_names_its_variable():
    with pytest.raises(ConfigError, match=r"\(from environment FFM_JOBS\) is '0'"):
        resolve({"strategy": "x"}, environ={"FFM_JOBS": "0"})


def test_without_a_strategy():
    with pytest.raises(ConfigError, match="'strategy' is missing"):
        resolve({}, environ={})


def test_settings_from_the_command_line():
    labeler, leaving = parse_settings(
        ["window=14", "factor=1.5", "exit.rr=2", "smooth=True", "mode=fast=er", "name="]
    )
    assert labeler == {"window": 14, "factor": 1.5, "smooth": True, "mode": "fast=er", "name": ""}
    assert leaving == {"rr": 2}
    assert type(labeler["window"]) is int


@pytest.mark.parametrize("items", [["window"], ["=3"], ["exit.=3"], ["a=1", "a=2"], [""]])
def test_settings_that_are_none(items):
    with pytest.raises(ConfigError):
        parse_settings(items)


DECLARED = (
    Param(name="window", default=10, minimum=2, maximum=100),
    Param(name="factor", default=3.0, minimum=0.1),
    Param(name="mode", default="slow", choices=("slow", "fast")),
    Param(name="smooth", default=False),
)


def test_parameters_come_back_whole_and_of_their_own_type():
    values = check_params(DECLARED, {"factor": 2, "window": 14}, owner="x")
    assert values == {"window": 14, "factor": 2.0, "mode": "slow", "smooth": False}
    assert type(values["factor"]) is float


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"windw": 3}, "did you mean 'window'"),
        ({"window": 1}, "window"),
        ({"window": 101}, "between 2 and 100"),
        ({"window": 14.5}, "type int"),
        ({"window": True}, "type int"),
        ({"factor": float("nan")}, "factor"),
        ({"factor": float("inf")}, "factor"),
        ({"factor": "wide"}, "type float"),
        ({"mode": "medium"}, "slow, fast"),
        ({"smooth": 1}, "type bool"),
    ],
)
def test_wrong_parameters_are_named(given, words):
    with pytest.raises(ConfigError) as caught:
        check_params(DECLARED, given, owner="mine")
    assert words in str(caught.value)
    assert "mine" in caught.value.problem
