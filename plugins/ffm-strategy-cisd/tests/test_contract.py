"""The shared contract: what every strategy package must do, and not do."""

from __future__ import annotations

from ffm_strategy_cisd.labeler import LABELER

from ffm_core.testing import load_installed, parametrize_with_checks


@parametrize_with_checks([LABELER])
def test_contract(strategy, check):
    check(strategy)


def test_the_package_is_installed_and_visible():
    assert load_installed("cisd") is LABELER
