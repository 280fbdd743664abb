"""Distributions made on the spot: a dist-info folder and a module on sys.path."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

GOOD = """
    from ffm_core import Decisions, Labeler, hookimpl

    def decide(bars, params):
        return Decisions(bar=[], side=[], risk=[])

    @hookimpl
    def ffm_labelers():
        return [Labeler(name="{name}", decide=decide, horizon_bars=5, warmup_bars=3)]
"""

Install = Callable[..., str]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path; what is imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in str(getattr(module, "__file__", "") or ""):
            del sys.modules[name]


@pytest.fixture
def install(site: Path) -> Install:
    """Install a strategy: ``install("name", code)``; returns its module's name."""

    def make(
        name: str,
        code: str = GOOD,
        *,
        distribution: str | None = None,
        version: str = "1.2",
        group: str = "ffm.strategies",
        module: str | None = None,
        entries: str | None = None,
    ) -> str:
        distribution = distribution or f"ffm-strategy-{name}"
        module = module or f"ffm_test_{distribution.replace('-', '_')}"
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata)
        entries = entries or f"[{group}]\n{name} = {module}\n"
        (info / "entry_points.txt").write_text(entries)
        body = textwrap.dedent(code).replace("{name}", name)
        (site / f"{module}.py").write_text(body)
        importlib.invalidate_caches()
        return module

    return make
