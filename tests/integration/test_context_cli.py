"""``ffm context`` from the command line, on small simulated markets."""

from __future__ import annotations

import json

import pytest

from ffm_core.bars.simulate import market
from ffm_core.bars.store import parquet_bytes

SMALL = ("--embedder", "stats", "--trees", "15", "--stride", "4", "--jobs", "1")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    bars = market("SIMA1", months=5, timeframe="15m")
    path = tmp_path_factory.mktemp("bars") / "SIMA1_15m.parquet"
    path.write_bytes(parquet_bytes(bars.frame))
    return path


def test_a_probe_says_what_the_embedding_adds(ffm, file):
    words = ("context", "probe", "--data", file, *SMALL, "--resamples", "100", "--shuffles", "1")
    code, out, _ = ffm(*words, "--targets", "range_bound")
    assert code == 0
    assert "The embedding alone against trivial8: " in out
    code, out, _ = ffm(*words, "--targets", "volatility", "--json")
    found = json.loads(out)
    assert (code, found["schema"]) == (0, "ffm-context-probe/1")
    (volatility,) = [r for r in found["results"] if r["target"] == "volatility"]
    assert volatility["scores"]["embedding"]["low"] > 0.3
    assert {"trivial8", "ffm68", "embedding+ffm68", "persistence", "shuffle", "noise"} <= set(
        volatility["scores"]
    )


def test_heads_are_trained_certified_used_and_refused(ffm, file, tmp_path):
    train = ("context", "train", "--data", file, *SMALL)
    code, out, _ = ffm(*train)
    assert code == 0
    assert "valid for later bars only" in out
    assert ffm(*train)[0] == 2  # there are heads already
    assert ffm(*train, "--force", "--quiet")[0] == 0
    page = tmp_path / "certificate.html"
    certify = ("context", "certify", "--data", file, "--stride", "4", "--resamples", "100")
    code, out, _ = ffm(*certify, "--out", page, "--json")
    found = json.loads(out)
    assert (code, found["schema"]) == (0, "ffm-context-certificate/1")
    assert found["start"] > found["cutoff"]
    assert page.read_text().startswith("<!doctype html>")
    code, _, err = ffm(*certify, "--from-test", "2000-01-01")
    assert code == 2
    assert "were fitted to bars up to" in err
    code, out, _ = ffm("features", "compute", file, "--features", "ctx7", "--out", tmp_path / "x",
                       "--json")  # fmt: skip
    assert code == 0
    assert json.loads(out)["tables"][0]["columns"] >= 2


@pytest.mark.parametrize(
    "words",
    [
        ("features", "show", "ctx7"),
        ("eval", "supertrend", "--demo", "--features", "ffm68,ctx7"),
        ("context", "certify", "--demo"),
    ],
)
def test_unfitted_heads_name_the_command(ffm, words):
    code, _, err = ffm(*words)
    assert code == 7
    assert "ffm context train" in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("probe",), 2, "no data given"),
        (("probe", "--demo", "--data", "x"), 2, "cannot be combined"),
        (("probe", "--demo", "--embedder", "stat"), 2, "stats"),
        (("probe", "--demo", "--embedder", "chronos-bolt-tiny"), 7, "ffm backbone add"),
        (("probe", "--demo", "--embedder", "stats", "--targets", "volatilty"), 2, "volatility"),
        (("probe", "--demo", "--from-test", "soon"), 2, "is not a date"),
        (("train", "--demo", "--name", "../x"), 2, "cannot be a name for context heads"),
        (
            ("train", "--demo", "--embedder", "stats", "--until", "1999-01-01"),
            4,
            "no bar has closed",
        ),
    ],
)
def test_bad_input_is_one_clear_line(ffm, words, code, said):
    left, _, err = ffm("context", *words, "--quiet")
    assert left == code
    assert said in err
    assert "fix:" in err
