"""Outside tables of a run: declared by plug-ins, handed over by the user, part of the trial."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from ffm_core.errors import DataQualityError, StrategyError, UsageError
from ffm_core.evaluate import job_of
from ffm_core.evaluate.certify import _what
from ffm_core.evaluate.outside import declared_inputs, require_named
from ffm_core.evaluate.streams import decide, prepare_stream, tasks_of
from ffm_core.records import Column, FeatureSet, Input
from ffm_core.runs.config import EvalConfig
from ffm_core.runs.resolve import parse_inputs, resolve
from ffm_core.testing import make_bars
from ffm_core.testing.specimens import CLEAN_LABELER

VIX = Input(name="vix", columns=("close",), description="fear")
PLUGIN = """
import numpy as np
from ffm_core import Column, Decisions, FeatureSet, Input, Labeler, hookimpl
VIX = Input(name="vix", columns=("close",))
def decide(bars, params):
    vix = bars.inputs["vix"]["close"]
    at = np.arange(40, len(bars), 12)
    at = at[np.isfinite(vix[at])]
    return Decisions(bar=at, side=np.ones(len(at), np.int8), risk=np.full(len(at), 5.0))
def batch(bars):
    return bars.inputs["vix"]["close"].astype(np.float32)[:, None]
@hookimpl
def ffm_labelers():
    return [Labeler(name="calm", decide=decide, horizon_bars=12, warmup_bars=20, inputs=(VIX,))]
@hookimpl
def ffm_feature_sets():
    return [FeatureSet(name="fear", columns=(Column(name="level", unit="points"),), batch=batch,
                       warmup_bars=0, history_bars=1, inputs=(VIX,))]
"""


def parts(*inputs, sets=()):
    labeler = replace(CLEAN_LABELER, inputs=tuple(inputs))
    return SimpleNamespace(labeler=labeler, feature_sets=tuple(sets))


def fear(**more):
    return FeatureSet(name="fear", columns=(Column(name="level", unit="points"),),
                      batch=lambda bars: None, warmup_bars=0, history_bars=1, **more)  # fmt: skip


def test_one_input_of_two_plug_ins_is_one_table_with_the_columns_of_both():
    (found,) = declared_inputs(parts(VIX, sets=[fear(inputs=(replace(VIX, columns=("open",)),))]))
    assert found.columns == ("close", "open")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (parts(VIX, sets=[fear(inputs=(replace(VIX, lag=timedelta(hours=1)),))]), "two lags"),
        (parts(VIX, VIX), "declares input 'vix' twice"),
        (parts(replace(VIX, columns=())), "declares the columns"),
        (parts(replace(VIX, columns=("known_at",))), "declares the columns"),
        (parts(replace(VIX, columns=("a", "a"))), "declares column 'a' twice"),
        (parts(replace(VIX, lag=-timedelta(hours=1))), "a negative time"),
        (parts(sets=[fear(inputs=(VIX,), stream=lambda i, t: None)]), "offers a stream"),
    ],
)
def test_declarations_have_to_be_sound(made, said):
    with pytest.raises(StrategyError, match=said):
        declared_inputs(made)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, r"the input 'vix' \(fear\) was not handed over"),
        ({"vx": "a.csv"}, "no plug-in of this run reads an input 'vx'; did you mean 'vix'"),
        ({"vix": "a.csv", "cot": "b.csv"}, "reads an input 'cot'"),
    ],
)
def test_missing_misspelt_and_spare_tables_are_one_line_and_exit_2(given, said):
    with pytest.raises(UsageError, match=said) as raised:
        require_named([VIX], given)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("given", [["vix"], ["=a.csv"], ["vix="], ["vix=a", "vix=b"]])
def test_an_option_that_names_no_table_is_exit_2(given):
    with pytest.raises(UsageError) as raised:
        parse_inputs(given)
    assert raised.value.exit_code == 2


def test_flags_win_over_the_file_name_by_name(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('strategy = "x"\n[inputs]\nvix = "old.csv"\ncot = "cot.csv"\n')
    config = resolve({"inputs": {"vix": "new.csv"}}, file=file)
    assert config.inputs == {"vix": "new.csv", "cot": "cot.csv"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    (folder / "calm.py").write_text(PLUGIN)
    bars = make_bars("trend", rows=1_500, seed=3)
    bars.frame.rename({"ts": "datetime"}).write_parquet(folder / "ES_5m.parquet")
    days = pl.from_epoch(pl.Series(np.unique(bars.ts_us // 86_400_000_000) * 86_400), "s")
    table = pl.DataFrame({"known_at": days.dt.to_string("%F 21:15:00"),
                          "close": np.arange(len(days)) + 10.0})  # fmt: skip
    table.write_csv(folder / "vix.csv")
    table.with_columns(pl.col("close") + 1).write_csv(folder / "other.csv")
    table.with_columns(known_at=days.dt.to_string("%F")).write_csv(folder / "dates.csv")
    return folder


def job(place, name="vix.csv"):
    config = EvalConfig(strategy=str(place / "calm.py"), data=(str(place / "ES_5m.parquet"),),
                        inputs={"vix": str(place / name)}, tz="UTC", learner="none",
                        features=("fear",), jobs=1)  # fmt: skip
    return job_of(config, place / "home")


def test_a_run_serves_labeler_and_features_and_records_what_was_read(place):
    made = job(place)
    (task,) = tasks_of(made)
    decisions = decide(task)
    stream = prepare_stream((task, decisions))
    assert len(decisions) > 0
    level = task.bars.inputs["vix"]["close"][decisions.bar]
    np.testing.assert_array_equal(stream.features["fear"][:, 0], level.astype(np.float32))
    (fact,) = made.inputs
    assert fact["name"] == "vix"
    assert fact["path_name"] == "vix.csv"
    assert fact["sha256"] == made.bars[0].tables[0].sha256
    assert (fact["rows"], fact["first"][-9:]) == (len(made.bars[0].tables[0]), "03T21:15Z")


def test_another_table_is_another_proof(place):
    (one,), (two,) = (tasks_of(job(place, name)) for name in ("vix.csv", "other.csv"))
    assert one.bars.sha256 == two.bars.sha256
    assert _what(one) != _what(two)


def test_a_table_stamped_with_its_days_ends_the_run(place):
    with pytest.raises(DataQualityError, match="every known_at is 00:00"):
        job(place, "dates.csv")
