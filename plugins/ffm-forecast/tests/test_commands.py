"""``ffm forecast`` and ``ffm backbone eval`` as a user meets them.

The backbone is two real ONNX files made here: it expects the last value of its window,
with quantiles that fan out.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from ffm_forecast.commands.forecast import members_of

from ffm_core.bars.simulate import market
from ffm_core.cli import main
from ffm_core.embed.cards import Card, file_sha256

PATCH, LEVELS, HORIZON = 16, tuple(k / 10 for k in range(1, 10)), 24


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def ffm(capsys):
    """Run a command in this process."""

    def run(*words):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        got = capsys.readouterr()
        assert "Traceback" not in got.err
        return Answer(int(left.value.code or 0), got.out, got.err)

    return run


@pytest.fixture
def data(tmp_path):
    bars = market("SIMA1", months=2, timeframe="1h")
    path = tmp_path / "SIMA1_1h.parquet"
    bars.frame.write_parquet(path)
    return path


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Put a backbone called fan beside those that were added, and return its folder."""
    monkeypatch.setenv("FFM_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "backbones" / "fan"
    folder.mkdir(parents=True)
    write_fan(folder)
    (folder / "card.json").write_bytes(card_of(folder).to_json())
    return folder


def card_of(folder):
    files = {name: file_sha256(folder / name) for name in ("encoder.onnx", "decoder.onnx")}
    return Card(
        name="fan", architecture="chronos-bolt", d_model=PATCH, patch=PATCH, context_length=64,
        horizon=HORIZON, quantiles=LEVELS, fit_cutoff="2022-02-10", released="2026-01-01",
        trained_on="nothing at all", source="tests", files=files,
    )  # fmt: skip


def write_fan(folder):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    def model(nodes, inputs, output, shape, constants):
        given = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs]
        out = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
        made = [numpy_helper.from_array(value, name) for name, value in constants.items()]
        graph = helper.make_graph(nodes, "fan", given, [out], made)
        found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        found.ir_version = 8
        onnx.checker.check_model(found)
        return found.SerializeToString()

    sides = [("values", ["b", "l"]), ("mask", ["b", "l"])]
    nodes = [
        helper.make_node("Mul", ["values", "mask"], ["seen"]),
        helper.make_node("Reshape", ["seen", "by_patch"], ["patches"]),
        helper.make_node("Slice", ["patches", "end", "stop", "axis"], ["last"]),
        helper.make_node("Concat", ["patches", "last"], ["tokens"], axis=1),
    ]
    constants = {
        "by_patch": np.array([0, -1, PATCH]), "end": np.array([-1]),
        "stop": np.array([2**31]), "axis": np.array([1]),
    }  # fmt: skip
    (folder / "encoder.onnx").write_bytes(
        model(nodes, sides, "tokens", ["b", "p", PATCH], constants)
    )
    fan = np.linspace(-1.3, 1.3, 9)[:, None] * 0.3 * np.sqrt(np.arange(1, HORIZON + 1))
    nodes = [
        helper.make_node("Gather", ["tokens", "final"], ["token"], axis=1),
        helper.make_node("Gather", ["token", "final"], ["value"], axis=2),
        helper.make_node("Mul", ["mask", "zero"], ["nothing"]),  # the mask is an input
        helper.make_node("ReduceSum", ["nothing", "axis"], ["none"], keepdims=1),
        helper.make_node("Unsqueeze", ["none", "axis"], ["none3"]),
        helper.make_node("Add", ["value", "none3"], ["centre"]),
        helper.make_node("Add", ["centre", "fan"], ["quantiles"]),
    ]
    constants = {
        "final": np.array([-1]), "zero": np.zeros(1, np.float32), "axis": np.array([1]),
        "fan": fan[None].astype(np.float32),
    }  # fmt: skip
    sides = [("tokens", ["b", "p", PATCH]), ("mask", ["b", "l"])]
    (folder / "decoder.onnx").write_bytes(
        model(nodes, sides, "quantiles", ["b", 9, HORIZON], constants)
    )


def test_a_backbone_forecasts_the_price(ffm, data, planted):
    answer = ffm("forecast", "--data", data, "--backbone", "fan", "--horizon", 12, "--json")
    found = answer.json["forecasts"][0]
    close = pl.read_parquet(data)["close"].to_numpy()
    told = found["forecast"]
    logs = np.log(close[-64:])
    spread = logs.std() * 0.3 * np.sqrt(np.arange(1, 13)) * 1.3
    assert told["space"] == "price"
    assert told["median"] == pytest.approx([close[-1]] * 12, rel=1e-7)
    assert np.array(told["quantiles"])[:, 0] == pytest.approx(close[-1] * np.exp(-spread), rel=1e-6)
    assert found["price"] == close[-1]
    assert told["provenance"]["weights_sha256"] == card_of(planted).weights_sha256
    assert told["provenance"]["context"] == 64
    assert "nothing at all" in found["stamps"][0]
    assert "newest market bar 2022-02-10" in found["stamps"][0]
    assert {row["level"] for row in found["risk"]} == {0.1}
    assert all(row["es"] is None for row in found["risk"])


def test_a_tail_is_named_where_it_is_used(ffm, data, planted):
    plain = ffm("forecast", "--data", data, "--backbone", "fan").out
    assert "nothing is known beyond 10 %" in plain
    tailed = ffm("forecast", "--data", data, "--backbone", "fan", "--tail", "student_t")
    assert "assumed beyond the outermost levels: student_t" in tailed.out
    rows = ffm("forecast", "--data", data, "--backbone", "fan", "--tail", "student_t",
               "--json").json["forecasts"][0]["risk"]  # fmt: skip
    assert {row["level"] for row in rows} == {0.1, 0.05, 0.01}
    assert all(row["es"] >= row["var"] > 0 for row in rows)
    refused = ffm("forecast", "--data", data, "--backbone", "fan", "--levels", "0.05,0.95")
    assert refused.code == 4
    assert "choose a tail: student_t or normal" in refused.err


def test_no_later_bar_than_asked_is_known(ffm, data, planted, tmp_path):
    frame = pl.read_parquet(data)
    at = frame["ts"][300]
    stamp = f"{at:%Y-%m-%dT%H:%M}Z"
    words = ("forecast", "--backbone", "fan", "--json", "--at", stamp, "--data")
    whole = ffm(*words, data).json
    cut = tmp_path / "cut" / data.name
    cut.parent.mkdir()
    frame[:300].write_parquet(cut)  # the bar that opens at the stamp has not closed
    assert ffm(*words, cut).json == whole
    assert whole["forecasts"][0]["origin"] == stamp
    before = ffm("forecast", "--data", data, "--backbone", "drift", "--at", "2001-01-01T00:00Z")
    assert (before.code, "no bar has closed" in before.err) == (4, True)
    naive = ffm("forecast", "--data", data, "--backbone", "drift", "--at", "2022-01-20 12:00")
    assert (naive.code, "has no time zone" in naive.err) == (2, True)
    zoned = ffm("forecast", "--data", data, "--backbone", "drift", "--at", "2022-01-20 12:00",
                "--tz", "America/New_York", "--json")  # fmt: skip
    assert zoned.json["forecasts"][0]["origin"] == "2022-01-20T17:00Z"


def test_the_example_of_the_help_can_be_typed(ffm):
    shown = re.findall(r"--ensemble (\S+=\S+)$", ffm("forecast", "--help").out, re.MULTILINE)
    examples = [text for text in shown if "W]" not in text]
    assert examples
    for text in examples:
        assert len(members_of(text)) > 1


def test_an_ensemble_says_who_was_used(ffm, data, planted):
    answer = ffm("forecast", "--data", data, "--ensemble", "fan=3,naive_last=1")
    assert "used fan 75 %, naive_last 25 %" in answer.out
    absent = ffm("forecast", "--data", data, "--ensemble", "fan,chronos-bolt-tiny")
    assert (absent.code, "ffm backbone add chronos-bolt-tiny" in absent.err) == (7, True)
    partial = ffm("forecast", "--data", data, "--ensemble", "fan,chronos-bolt-tiny",
                  "--allow-partial", "--json")  # fmt: skip
    answered = partial.json["forecasts"][0]
    found = answered["ensemble"]
    assert found["used"] == {"fan": 1.0}
    middle = [row[len(row) // 2] for row in answered["forecast"]["quantiles"]]
    assert found["point"] == pytest.approx(middle, rel=1e-6)  # prices, as the rest
    low, high = found["normal_approx"]
    assert all(a < point < b for a, point, b in zip(low, found["point"], high, strict=True))
    assert max(found["std_log"]) < 0.5
    assert list(found["absent"]) == ["chronos-bolt-tiny"]
    long = ffm("forecast", "--data", data, "--ensemble", "fan,naive_last", "--horizon", 25,
               "--json").json["forecasts"][0]["ensemble"]  # fmt: skip
    assert "1 to 24 steps" in long["failed"]["fan"]
    assert long["used"] == {"naive_last": 1.0}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--backbone", "fan", "--horizon", 25), 2, "1 to 24 steps, got 25"),
        (("--backbone", "fen"), 2, "did you mean 'fan'"),
        (("--backbone", "chronos-bolt-tiny"), 7, "ffm backbone add"),
        (("--backbone", "fan", "--context", 8), 2, "too short"),
        (("--ensemble", "fan"), 2, "two or more members"),
        (("--ensemble", "fan=1,drift"), 2, "two or more members"),
        (("--ensemble", "fan=x,drift=1"), 2, "is not a weight"),
        (("--backbone", "fan", "--levels", "a"), 2, "write 0.1,0.5,0.9"),
        (("--backbone", "fan", "--levels", "0.5,0.1"), 4, "ascending"),
        (("--backbone", "fan", "--demo"), 2, "not both"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(ffm, data, planted, words, code, said):
    answer = ffm("forecast", "--data", data, *words)
    assert answer.code == code
    assert said in answer.err


def test_a_flaw_among_the_bars_is_said(ffm, data, tmp_path):
    def asked(frame):
        path = tmp_path / "flawed" / data.name
        path.parent.mkdir(exist_ok=True)
        frame.write_parquet(path)
        words = ("--backbone", "naive_last", "--context", 64, "--accept-quality")
        return ffm("forecast", "--data", path, *words).out

    frame = pl.read_parquet(data)
    plain = frame.drop("contract")
    assert "caution" not in asked(plain)
    assert "missing at least one session" in asked(pl.concat([plain[:-80], plain[-30:]]))
    late = pl.int_range(pl.len()) >= len(frame) - 20
    rolled = plain.with_columns(pl.when(late).then(pl.lit("SIMA1M2")).otherwise(pl.lit("SIMA1H2"))
                                .alias("contract"))  # fmt: skip
    assert "the contract rolls within the bars" in asked(rolled)


def test_a_changed_model_file_is_never_run(ffm, data, planted):
    """A red twin of the stamp: the card's hash is held to the bytes."""
    path = planted / "decoder.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    answer = ffm("forecast", "--data", data, "--backbone", "fan")
    assert answer.code == 7
    assert "not the file the card describes" in answer.err


def test_a_tuned_backbone_that_was_not_asked_is_named(ffm, data, planted):
    card = card_of(planted)
    (planted / "card.json").write_bytes(replace(card, base="ab" * 32).to_json())
    answer = ffm("forecast", "--data", data, "--backbone", "naive_last")
    assert "fine-tuned fan is available but not used; select it with --backbone fan" in answer.err
    assert "FINE-TUNED" in ffm("forecast", "--data", data, "--backbone", "fan").out


def test_eval_scores_a_backbone_beside_the_controls(ffm, data, planted):
    words = ("backbone", "eval", "fan", "--data", data, "--horizon", "4,12", "--step", 4)
    found = ffm(*words, "--json").json
    assert [row["stream"] for row in found["streams"]] == ["SIMA1/1h"] * 2
    scores = [row for row in found["scores"] if row["stream"] == "SIMA1/1h"]
    names = [row["forecaster"] for row in scores if row["horizon"] == 12]
    assert names == ["fan", "naive_last", "drift", "seasonal_naive:23", "ar", "ets"]
    fan, naive = scores[0], scores[1]
    assert fan["mase"] == pytest.approx(1.0, abs=1e-6)
    assert naive["mase"] == 1.0
    assert fan["possibly_seen"] > 0
    assert naive["possibly_seen"] == 0
    assert all(row["low_power"] for row in scores if row["horizon"] == 12)
    text = ffm(*words).out
    assert "fan: median no different from the last value" in text
    assert "origins are within data it may have seen" in text
    assert "too few origins" in text
    assert ffm(*words, "--json").json == ffm(*words, "--json").json


def test_eval_refuses_what_it_cannot_do(ffm, data, planted):
    for words, code, said in (
        (("--horizon", "x"), 2, "write 20 or 20,64"),
        (("--horizon", "30"), 2, "1 to 24 steps"),
        (("--share", "0"), 2, "out of range"),
        (("--context", "5000"), 4, "no origin has"),
    ):
        answer = ffm("backbone", "eval", "drift", "fan", "--data", data, *words)
        assert (answer.code, said in answer.err) == (code, True), answer.err
    assert ffm("backbone", "eval", "fan").code == 2
