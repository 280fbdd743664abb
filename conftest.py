"""Shared fixtures; the only place that knows where real test data live."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent
os.environ.setdefault("NUMBA_CACHE_DIR", str(REPOSITORY / ".numba-cache"))


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test a ledger and cache of its own."""
    monkeypatch.setenv("FFM_HOME", str(tmp_path / "ffm-home"))
    for name in ("FFM_PLUGINS", "FFM_STRICT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real market data, or skip with the reason."""
    place = os.environ.get("FFM_TEST_DATA")
    if not place:
        pytest.skip("real market data absent: FFM_TEST_DATA is not set")
    path = Path(place)
    path = path if path.is_absolute() else REPOSITORY / path
    if not path.is_dir():
        pytest.skip(f"real market data absent: FFM_TEST_DATA={place} is no folder")
    return path


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of proofs and fits that all tests and workers of this run may lend."""
    from helpers.store import shared_folder

    return shared_folder(tmp_path_factory, "ffm-cache")


# Files that take longest, the longest first. Side by side they are begun in this order, so
# that no worker sits alone with one of them at the end.
_LONG = (
    "test_samples", "test_ruler_worlds", "test_eval_kill", "test_zoo_refused", "test_falsify",
    "test_run", "test_eval_determinism", "test_plugins_private", "test_eval_plugins",
    "test_report_browser", "test_kit", "test_worker", "test_eval_exit_codes", "test_feature_kit",
    "test_kill_matrix", "test_outputs", "test_arms", "test_real_files", "test_qe150",
    "test_random_features", "test_run_record", "test_worlds",
)  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the long files first when several workers share the files."""
    if hasattr(config, "workerinput"):
        place = {name: at for at, name in enumerate(_LONG)}
        items.sort(key=lambda item: place.get(item.path.stem, len(_LONG)))  # keeps files whole
