"""The package as FFM sees it: offered by name, switched on by naming it, and only then."""

from __future__ import annotations

import pytest
from ffm_legacy.ffm68.assembled import FFM68_LEGACY
from ffm_legacy.plugin import ffm_targets

from ffm_core.host.discovery import listed
from ffm_core.host.loading import open_host
from ffm_core.testing import check_target, load_features


@pytest.mark.parametrize("target", list(ffm_targets()), ids=lambda target: target.name)
def test_the_contract_of_targets(target):
    check_target(target)


def test_a_name_switches_the_package_on():
    assert load_features("ffm68-legacy") is FFM68_LEGACY
    for name in ("legacy", "legacy/regime", "context-legacy/structure", "barrier-legacy"):
        host = open_host(naming=[(name, ("ffm_targets",))])
        assert [item.name for item in host.extensions] == ["legacy"]
    assert open_host(naming=[("context", ("ffm_targets",))]).extensions == ()


def test_every_group_of_targets_is_listed():
    names = {name for name, found in listed("ffm_targets").items() if found[0].name == "legacy"}
    assert names == {target.group for target in ffm_targets()}
