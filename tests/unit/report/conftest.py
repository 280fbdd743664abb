"""Simulated run records for the tests of the report."""

from __future__ import annotations

from types import ModuleType

import pytest

from helpers import simulated_runs


@pytest.fixture(scope="session")
def runs() -> ModuleType:
    return simulated_runs
