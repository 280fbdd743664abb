"""Naming something switches on the installed package that brings it, and no other."""

from __future__ import annotations

import pickle
import sys

import pytest

from ffm_core.errors import (
    PluginConflictError,
    PluginLoadError,
    UnavailableError,
    UnknownNameError,
)
from ffm_core.features.facts import installed_sets
from ffm_core.host.discovery import EXTENSIONS, claimants, listed
from ffm_core.host.facts import survey
from ffm_core.host.loading import open_host

HOOK = "ffm_feature_sets"
SETS = """
    import numpy as np
    from ffm_core import Column, Decisions, FeatureSet, Labeler, hookimpl

    def batch(bars):
        return np.zeros((len(bars), 1), np.float32)

    @hookimpl
    def ffm_feature_sets():
        return [FeatureSet(name=name, columns=(Column(name="x", unit="1"),), batch=batch,
                           warmup_bars=0, history_bars=1, memory="finite")
                for name in {sets}]
"""
STRATEGY = """
    @hookimpl
    def ffm_labelers():
        return [Labeler(name="{name}", decide=lambda bars, params: Decisions(bar=[], side=[],
                        risk=[]), horizon_bars=5, warmup_bars=3)]
"""


@pytest.fixture
def package(install):
    """Install an extension: ``package("shapes", ["a", "b"], lists=["a"])``."""

    def make(name, sets, *, lists=(), group=EXTENSIONS, distribution=None, code=SETS, under=None):
        distribution = distribution or f"ffm-{name}"
        module = f"ffm_test_{distribution.replace('-', '_')}"
        rows = "".join(f"{one} = {under or module}\n" for one in lists)
        entries = f"[{group}]\n{name} = {module}\n[ffm.feature_sets]\n{rows}"
        install(
            name, code.replace("{sets}", repr(list(sets))), distribution=distribution,
            entries=entries,
        )  # fmt: skip
        return module

    return make


def naming(*names):
    return [(name, (HOOK, "ffm_embedders")) for name in names]


def on(host):
    return [item.name for item in host.extensions]


@pytest.mark.parametrize("name", ["shapes", "waves"], ids=["entry point", "listed"])
def test_a_name_switches_on_the_package_that_bears_or_lists_it(package, name):
    module = package("shapes", ["shapes", "waves"], lists=["waves"])
    other = package("idle", ["idle"])
    host = open_host(naming=naming(name))
    assert host.feature_set(name).origin.name == "shapes"
    assert on(host) == ["shapes"]
    assert module in sys.modules
    assert other not in sys.modules


def test_what_is_not_named_stays_unread(package):
    package("shapes", ["waves"], lists=["waves"], code="raise RuntimeError('imported')")
    host = open_host(naming=naming("ffm68", "trivial8"))
    assert on(host) == []


def test_two_names_of_one_package_load_it_once(package):
    package("shapes", ["shapes", "waves"], lists=["waves"])
    assert on(open_host(naming=naming("waves", "shapes"))) == ["shapes"]
    assert on(open_host(extensions=["shapes"], naming=naming("waves"))) == ["shapes"]


def test_a_strategy_package_lends_what_it_offers_beside_its_labeler(package):
    package("owl", ["night"], lists=["night"], group="ffm.strategies", code=SETS + STRATEGY)
    assert open_host(naming=naming("night")).feature_set("night").origin.kind == "strategy"
    assert open_host(extensions=["owl"]).feature_set("night").origin.name == "owl"
    own = open_host("owl", naming=naming("night"))
    assert own.feature_set("night").origin == own.strategy
    assert on(own) == []


@pytest.mark.parametrize("lists", [(), ("ffm68",)], ids=["entry point", "listed"])
def test_a_built_in_name_cannot_be_taken_over_by_installing(package, lists):
    name = "impostor" if lists else "ffm68"
    package(name, ["ffm68"], lists=lists, code="raise RuntimeError('imported')")
    host = open_host(naming=naming("ffm68"))
    assert on(host) == []
    assert host.feature_set("ffm68").origin.is_core


def test_two_packages_with_one_name_are_a_conflict_only_when_it_is_named(package):
    package("shapes", ["waves"], lists=["waves"])
    package("tides", ["waves"], lists=["waves"])
    assert on(open_host(naming=naming("shapes"))) == ["shapes"]
    with pytest.raises(PluginConflictError, match=r"'waves' is provided by ffm-.* and by ffm-"):
        open_host(naming=naming("waves"))


def test_a_hidden_package_says_what_hides_it(package, monkeypatch):
    package("shapes", ["waves"], lists=["waves"])
    monkeypatch.setenv("FFM_PLUGINS", "")
    assert on(open_host(naming=naming("ffm68"))) == []
    with pytest.raises(UnknownNameError, match=r"comes with ffm-shapes 1\.2, which FFM_PLUGINS=''"):
        open_host(naming=naming("waves"))
    monkeypatch.setenv("FFM_PLUGINS", "shapes")
    assert on(open_host(naming=naming("waves"))) == ["shapes"]


def test_a_list_that_leads_nowhere_is_a_problem_of_its_package(package):
    package("shapes", ["waves"], lists=["waves"], under="ffm_test_elsewhere")
    package("tides", ["tides"])
    assert on(open_host(naming=naming("tides"))) == ["tides"]
    with pytest.raises(PluginLoadError, match=r"lists 'waves' in ffm.feature_sets under") as caught:
        open_host(extensions=["shapes"])
    assert "ffm-shapes 1.2" in caught.value.problem


def test_a_listed_name_that_is_not_offered_is_unknown(package):
    package("shapes", ["circles"], lists=["waves"])
    host = open_host(naming=naming("waves"))
    with pytest.raises(UnknownNameError, match="no feature set named 'waves'"):
        host.feature_set("waves")


def test_a_listed_name_that_is_not_offered_is_a_broken_package(package):
    package("shapes", ["circles"], lists=["waves"])
    package("tides", ["tides"], lists=["tides"])
    states = {fact.name: fact for fact in survey()}
    assert states["shapes"].state == "broken"
    assert "list 'waves' for 'ffm_feature_sets', and it does not" in states["shapes"].reason
    assert states["tides"].state == "ok"


def test_lists_are_read_from_metadata_alone(package):
    module = package("shapes", ["waves"], lists=["waves"], code="raise RuntimeError('imported')")
    [found] = listed(HOOK)["waves"]
    assert (found.name, found.listed) == ("shapes", ((HOOK, "waves"),))
    assert claimants(HOOK, "waves:fast") == [found]
    assert claimants("ffm_learners", "waves") == []
    assert module not in sys.modules


def test_a_host_opens_the_same_packages_in_a_worker(package):
    package("shapes", ["waves"], lists=["waves"])
    host = open_host(naming=naming("waves"))
    again = pickle.loads(pickle.dumps(host))
    assert again.extensions == host.extensions
    assert again.feature_set("waves").record.name == "waves"
    assert again.code_hash() == host.code_hash() != open_host().code_hash()


def test_the_list_of_feature_sets_reaches_installed_packages(package):
    package("owl", ["night"], lists=["night"], group="ffm.strategies", code=SETS + STRATEGY)
    package("shapes", ["waves"], lists=["waves"], code="raise RuntimeError('broken')")
    found, broken = installed_sets()
    assert {"ffm68", "night"} <= {offer.record.name for offer in found}
    assert "RuntimeError: broken" in broken["waves"]
    assert "night" not in broken


def test_a_near_miss_of_a_listed_name_is_suggested(package):
    package("shapes", ["waves"], lists=["waves"])
    with pytest.raises(UnknownNameError) as caught:
        open_host().feature_set("wavs")
    assert caught.value.fix == "did you mean 'waves'?"


def test_a_package_of_the_project_that_is_absent_is_named(monkeypatch):
    monkeypatch.setattr("ffm_core.host.loading.claimants", lambda *_, **__: [])
    with pytest.raises(UnavailableError, match="comes with ffm-features-qe150") as caught:
        open_host(naming=naming("qe150")).feature_set("qe150")
    assert caught.value.fix == "pip install ffm-features-qe150"
    assert caught.value.exit_code == 7
