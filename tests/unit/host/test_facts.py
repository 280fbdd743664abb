from __future__ import annotations

import json
import sys

import pytest

from ffm_core.errors import PluginConflictError, PluginLoadError, StrategyError, UnknownNameError
from ffm_core.host.discovery import EXTENSIONS
from ffm_core.host.facts import details, survey

RAISES = "raise ValueError('no luck')"
HOOK_RAISES = "from ffm_core import hookimpl\n@hookimpl\ndef ffm_labelers():\n    return 1 / 0\n"
PRIVATE = """
    from ffm_core import Column, Labeler, Param, hookimpl

    @hookimpl
    def ffm_labelers():
        return [Labeler(name="{name}", decide=print, horizon_bars=5, warmup_bars=3, private=True,
                        columns=(Column(name="moon_phase", unit="R"),),
                        params=(Param(name="lunar_days", default=28),))]
"""


@pytest.fixture
def _only(monkeypatch):
    monkeypatch.setenv("FFM_PLUGINS", "good,raises,hook,twice,extra")


def states(**options) -> dict[str, str]:
    facts = survey(**options)
    return {f"{fact.name}/{fact.distribution}": f"{fact.state} {fact.reason}" for fact in facts}


@pytest.mark.usefixtures("_only")
def test_each_plugin_has_a_state_and_a_broken_one_stops_nothing(install):
    install("good")
    install("raises", RAISES)
    install("hook", HOOK_RAISES)
    install("twice", distribution="one")
    install("twice", distribution="two")
    install("away")
    got = states()
    assert got["good/ffm-strategy-good"] == "ok "
    assert got["raises/ffm-strategy-raises"].startswith(
        "broken failed to load: ValueError: no luck"
    )
    assert "ZeroDivisionError" in got["hook/ffm-strategy-hook"]
    assert got["twice/one"] == "broken the name is also claimed by two 1.2"
    assert got["twice/two"] == "broken the name is also claimed by one 1.2"
    assert got["away/ffm-strategy-away"] == "not loaded hidden by FFM_PLUGINS"
    assert got["xgb/ffm-core"].startswith("ok")


@pytest.mark.usefixtures("_only")
def test_without_loading_nothing_is_imported(install):
    module = install("raises", RAISES)
    assert states(load=False)["raises/ffm-strategy-raises"] == "not loaded "
    assert module not in sys.modules


@pytest.mark.usefixtures("_only")
def test_a_strategy_without_its_own_labeler_is_broken(install):
    code = "from ffm_core import hookimpl\n@hookimpl\ndef ffm_controls():\n    return []\n"
    install("good", code)
    assert "no labeler named 'good'" in states()["good/ffm-strategy-good"]
    install("extra", code, group=EXTENSIONS)
    assert states()["extra/ffm-strategy-extra"] == "ok "


def test_an_absent_library_of_a_built_in_is_not_broken(monkeypatch):
    monkeypatch.setitem(sys.modules, "ffm_xgb.plugin", None)
    assert states()["xgb/ffm-core"].startswith("not loaded ")


def test_strict_mode_does_not_stop_the_list(install, monkeypatch):
    install("raises", RAISES)
    monkeypatch.setenv("FFM_STRICT", "1")
    assert "broken" in states()["raises/ffm-strategy-raises"]


def test_details_describe_what_is_offered(install):
    install("good")
    facts = details("good")
    assert (facts["distribution"], facts["version"], facts["state"]) == (
        "ffm-strategy-good",
        "1.2",
        "ok",
    )
    assert facts["hooks"] == ["ffm_labelers"]
    [labeler] = facts["records"]["labelers"]
    assert (labeler["name"], labeler["horizon_bars"], labeler["warmup_bars"]) == ("good", 5, 3)
    assert json.loads(json.dumps(facts)) == facts


def test_details_of_a_private_strategy_hide_its_names(install):
    module = install("secretive", PRIVATE)
    text = json.dumps(details("secretive"))
    assert [word for word in ("moon_phase", "lunar_days", "28", module) if word in text] == []
    assert '"private": true' in text


def test_details_of_a_file(tmp_path, site):
    path = tmp_path / "idea.py"
    path.write_text(
        "from ffm_core import Labeler\n"
        "LABELER = Labeler(name='idea', decide=print, horizon_bars=5, warmup_bars=3)\n"
    )
    facts = details(str(path))
    assert (facts["name"], facts["distribution"]) == ("idea", "idea.py")
    assert str(tmp_path) not in json.dumps(facts)


def test_details_choose_between_two_kinds(install):
    install("good")
    install("good", "from ffm_core import hookimpl\n@hookimpl\ndef ffm_controls(): return []\n",
            group=EXTENSIONS, distribution="ffm-limits-good")  # fmt: skip
    assert details("good")["kind"] == "strategy"
    assert details("good", kind="extension")["hooks"] == ["ffm_controls"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("raises", PluginLoadError),
        ("hook", StrategyError),
        ("twice", PluginConflictError),
        ("nowhere", UnknownNameError),
    ],
)
def test_details_of_what_cannot_be_used_raise(install, name, error):
    install("raises", RAISES)
    install("hook", HOOK_RAISES)
    install("twice", distribution="one")
    install("twice", distribution="two")
    with pytest.raises(error):
        details(name)


def test_a_survey_reads_the_metadata_of_all_packages_once(monkeypatch):
    from ffm_core.host import discovery, facts

    reads = []
    scan = discovery._scan
    monkeypatch.setattr(discovery, "_scan", lambda: reads.append(1) or scan())
    found = facts.survey()
    assert len([fact for fact in found if not fact.builtin]) > 2
    assert len(reads) == 1
    discovery.discover()
    assert len(reads) == 2, "outside of the survey they are read anew"
