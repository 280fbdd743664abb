"""Windows of a fine-tuning: their split by time, their cut-off, their units."""

from __future__ import annotations

import datetime as dt
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffm_backbone_training.finetune import (
    Settings,
    Split,
    arrays,
    check_adapter,
    default_until,
    finetune,
    split,
)

from ffm_core.bars import Bars
from ffm_core.bars.sessions import trading_days
from ffm_core.bars.simulate import market
from ffm_core.embed.cards import Card
from ffm_core.errors import ConfigError, ModelError, SampleError, UnknownNameError

HORIZON = 64
DAY = dt.date(1970, 1, 1)


@pytest.fixture(scope="module")
def bars() -> Bars:
    return market("A", seed=5, months=2)


def spans(split: Split, settings: Settings) -> tuple[list[int], list[int]]:
    """Return the first and last bar that training and validation touch."""
    return [
        [int(at[0]) - settings.context + 1, int(at[-1]) + HORIZON]
        for at in (split.training, split.validation)
    ]  # type: ignore[return-value]


def embargoed(split: Split, settings: Settings) -> bool:
    """Whether context + horizon bars lie between training and validation."""
    (_, end), (begin, _) = spans(split, settings)
    return begin - end - 1 >= settings.context + HORIZON


def test_training_and_validation_are_an_embargo_apart(bars: Bars) -> None:
    settings = Settings()
    found = split(bars, settings, HORIZON, int(trading_days(bars)[-1]))
    assert len(found.training) > 50
    assert len(found.validation) > 5
    assert embargoed(found, settings)
    assert (np.diff(found.validation) >= HORIZON).all()  # targets do not overlap either


def test_windows_cut_at_random_would_overlap(bars: Bars) -> None:
    settings = Settings()
    found = split(bars, settings, HORIZON, int(trading_days(bars)[-1]))
    mixed = np.random.default_rng(0).permutation(np.r_[found.training, found.validation])
    cut = len(found.training)
    parts = (np.sort(mixed[:cut]), np.sort(mixed[cut:]))
    assert not embargoed(Split(training=parts[0], validation=parts[1], last=0), settings)


def test_every_window_ends_before_the_date(bars: Bars) -> None:
    days = trading_days(bars)
    until = int(days[len(bars) // 2])
    found = split(bars, Settings(), HORIZON, until)
    assert found.last == found.validation[-1] + HORIZON
    assert days[found.last] < until
    later = split(bars, Settings(), HORIZON, until + 7)
    assert days[later.last] >= until  # red twin: a later date does reach in


def test_the_default_date_leaves_the_last_thirty_percent(bars: Bars) -> None:
    days = trading_days(bars)
    longer = market("B", seed=1, months=3)
    assert default_until([bars]) == days[int(0.7 * len(bars))]
    assert default_until([longer, bars]) == default_until([bars])  # the earliest stream decides


def test_no_window_crosses_a_roll() -> None:
    bars, settings = market("A", seed=5, months=4), Settings(stride=1)
    codes = bars.contract_codes
    assert codes is not None
    assert len(np.unique(codes)) > 1
    found = split(bars, settings, HORIZON, int(trading_days(bars)[-1]))
    for at in (found.training, found.validation):
        assert (codes[at - settings.context + 1] == codes[at + HORIZON]).all()


def test_targets_are_in_units_of_their_context(bars: Bars) -> None:
    at = split(bars, Settings(), HORIZON, int(trading_days(bars)[-1])).training[:5]
    context, target = arrays(bars, at, 128, HORIZON)
    assert context.dtype == target.dtype == np.float32
    assert target.shape == (5, HORIZON)
    for i, bar in enumerate(at):
        past = np.log(bars.close[bar - 127 : bar + 1])
        ahead = np.log(bars.close[bar + 1 : bar + 1 + HORIZON])
        np.testing.assert_allclose(target[i], (ahead - past.mean()) / past.std(), atol=1e-4)
        np.testing.assert_allclose(context[i], (past - past.mean()) / past.std(), atol=1e-4)
    empty = arrays(bars, at[:0], 128, HORIZON)
    assert [part.shape for part in empty] == [(0, 128), (0, HORIZON)]


def test_validation_windows_are_at_most_so_many(bars: Bars) -> None:
    settings = Settings(validation_windows=3)
    found = split(bars, settings, HORIZON, int(trading_days(bars)[-1]))
    assert len(found.validation) == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"targets": ("q", "x")}, "adapters cannot go on x"),
        ({"targets": ()}, "adapters cannot go on nothing"),
        ({"rank": 0}, "rank is 0"),
        ({"l2_to_init": -1.0}, "l2_to_init is -1.0"),
        ({"l2_to_init": float("nan")}, "l2_to_init is nan"),
        ({"steps": 0}, "steps is 0"),
        ({"learning_rate": 0.0}, "the learning rate is 0.0"),
    ],
)
def test_settings_out_of_range(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(**wrong)
    assert caught.value.problem == said


def test_every_weight_learns_more_slowly_than_adapters() -> None:
    assert (Settings().rate, Settings(lora=False).rate) == (1e-4, 1e-5)
    assert Settings(learning_rate=1e-3).plain()["learning_rate"] == 1e-3


def card(name: str, folder: Path) -> Card:
    """Write a card over model files that do not match it."""
    folder.mkdir(parents=True)
    files = {}
    for file in ("encoder.onnx", "decoder.onnx"):
        (folder / file).write_bytes(b"weights")
        files[file] = f"{name:0<64}"
    made = Card(
        name=name, architecture="chronos-bolt", d_model=8, patch=16, context_length=128,
        horizon=HORIZON, quantiles=(0.1, 0.5, 0.9), fit_cutoff="", released="", trained_on="",
        source="made by a test", files=files,
    )  # fmt: skip
    (folder / "card.json").write_bytes(made.to_json())
    return made


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    one, other = card("one", tmp_path / "one"), card("other", tmp_path / "other")
    told = {"base": one.weights_sha256, "name": "one", "fit_cutoff": "2023-05-04"}
    (tmp_path / "PROVENANCE.json").write_text(json.dumps(told))
    assert check_adapter(tmp_path, one) == "2023-05-04"
    with pytest.raises(ModelError, match="belongs to one"):
        check_adapter(tmp_path, other)
    (tmp_path / "PROVENANCE.json").write_text("{}")
    with pytest.raises(ModelError, match="is not an adapter"):
        check_adapter(tmp_path, one)


@pytest.mark.skipif(find_spec("peft") is None, reason="fine-tuning needs torch and peft")
def test_what_cannot_be_fine_tuned_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bars: Bars
) -> None:
    monkeypatch.setenv("FFM_HOME", str(tmp_path))
    card("one", tmp_path / "backbones" / "one")

    def attempt(base: str = "one", name: str = "new", **how: Any) -> None:
        more = {key: how.pop(key) for key in ("until", "adapter") if key in how}
        finetune(base, [bars], name, Settings(**how), hear=print, **more)

    with pytest.raises(UnknownNameError, match="there is no backbone named 'on'"):
        attempt(base="on")
    with pytest.raises(ConfigError, match="already"):
        attempt(name="one")
    for taken in ("stats", "ffm-bolt-synth", "chronos-2", "Mine", "../x"):
        with pytest.raises(ConfigError, match="cannot be the name"):
            attempt(name=taken)
    with pytest.raises(ConfigError, match="multiple of 16 bars up to 128, not 100"):
        attempt(context=100)
    with pytest.raises(ConfigError, match="goes on from no adapter"):
        attempt(lora=False, adapter=tmp_path)
    first = DAY + dt.timedelta(days=int(trading_days(bars)[0]))
    with pytest.raises(SampleError, match="hold 0 training and 0 validation windows"):
        attempt(until=first)
    with pytest.raises(ModelError, match="is not the file the card describes"):
        attempt()
    assert [path.name for path in (tmp_path / "backbones").iterdir()] == ["one"]
