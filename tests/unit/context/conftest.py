from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ffm_core.bars import Bars
from ffm_core.bars.simulate import market
from ffm_core.context.heads import save
from ffm_core.context.serving import ContextHeads, bundle_folder
from ffm_core.context.settings import ContextSettings
from ffm_core.context.training import fit
from ffm_core.embed.stats import STATS
from ffm_xgb.learner import LEARNERS

QUICK = ContextSettings(
    stride=4, rounds=30, min_train=200, min_later=80,
    targets=("fwd_return", "volatility", "vol_expansion", "range_bound"),
)  # fmt: skip


@pytest.fixture(scope="session")
def streams() -> list[Bars]:
    """Two simulated markets of four months; volatility in them can be told, direction cannot."""
    return [market(name, months=4, timeframe="15m") for name in ("SIMA1", "SIMB2")]


@pytest.fixture(scope="session")
def learner():
    return LEARNERS[0]


@pytest.fixture(scope="session")
def quick() -> ContextSettings:
    return QUICK


@pytest.fixture(scope="session")
def fitted(streams, learner):
    return fit(streams, STATS, learner, settings=QUICK)


@pytest.fixture(scope="session")
def bundle(fitted, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("context") / "ctx7"
    save(folder, "ctx7", fitted.about, fitted.heads, replace=False)
    return folder


@pytest.fixture
def heads(bundle) -> ContextHeads:
    return ContextHeads.load(bundle)


@pytest.fixture
def at_home(bundle) -> Path:
    """Put the bundle where the feature set of its name looks for it."""
    return Path(shutil.copytree(bundle, bundle_folder("ctx7")))
