from __future__ import annotations

import pytest

from ffm_core.errors import (
    ConfigError,
    PluginConflictError,
    StrategyError,
    UnavailableError,
    UnknownNameError,
)
from ffm_core.host.discovery import EXTENSIONS, Found
from ffm_core.host.loading import open_host
from ffm_core.host.registry import Host, Loaded
from ffm_core.records import Column, FeatureSet, Labeler, Param

HEAD = "from ffm_core import Labeler, FeatureSet, Column, hookimpl\nfrom ffm_core.errors import *\n"
LABELER = "Labeler(name={name!r}, decide=print, horizon_bars=1, warmup_bars=1)"
FEATURES = (
    "FeatureSet(name={name!r}, columns=(Column(name='a', unit='R'),), batch=print, "
    "warmup_bars=1, history_bars=2)"
)


def hook(name: str, body: str) -> str:
    return f"{HEAD}\n@hookimpl\ndef {name}():\n    {body}\n"


def features(name: str) -> str:
    return hook("ffm_feature_sets", f"return [{FEATURES.format(name=name)}]")


RAISING = {
    "at once": "raise KeyError('column')",
    "while yielding": "yield 1 / 0",
    "leaving": "raise SystemExit(3)",
}


@pytest.mark.parametrize("body", RAISING.values(), ids=RAISING)
def test_what_a_hook_raises_names_plugin_hook_and_line(install, body):
    module = install("bad", hook("ffm_labelers", body))
    host = open_host("bad")
    with pytest.raises(
        StrategyError, match=r"ffm-strategy-bad 1\.2: hook 'ffm_labelers'"
    ) as caught:
        host.labelers()
    assert f"({module}.py:6)" in caught.value.problem
    assert caught.value.exit_code == 3


def test_a_hook_may_say_that_settings_are_wrong(install):
    install("bad", hook("ffm_labelers", "raise ConfigError('no', fix='yes')"))
    with pytest.raises(ConfigError, match=r"ffm-strategy-bad 1\.2: .*no") as caught:
        open_host("bad").labelers()
    assert caught.value.fix == "yes"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "returned NoneType, expected a list"),
        ("return 'labeler'", "returned str, expected a list"),
        ("return {'a': 1}", "returned dict, expected a list"),
        ("return 7", "'int' object is not iterable"),
        ("return ['labeler']", "offers a str, expected a Labeler"),
        (f"return [{FEATURES.format(name='bad')}]", "offers a FeatureSet, expected a Labeler"),
        (f"return [{LABELER.format(name='')}]", "offers a labeler named ''"),
        (f"return [{LABELER.format(name='bad/x')}]", "offers a labeler named 'bad/x'"),
        (f"return [{LABELER.format(name='other')}]", "does not carry the entry point's name"),
        (f"return 2 * [{LABELER.format(name='bad')}]", "labeler 'bad' is provided twice"),
    ],
)
def test_an_offer_that_breaks_the_contract_is_refused(install, body, message):
    install("bad", hook("ffm_labelers", body))
    with pytest.raises((StrategyError, PluginConflictError), match=message) as caught:
        open_host("bad").labelers()
    assert caught.value.exit_code == 3
    assert "ffm-strategy-bad 1.2" in caught.value.problem


def test_hooks_are_called_once(install):
    code = (
        HEAD + "calls = []\n\n@hookimpl\ndef ffm_labelers():\n    calls.append(1)\n    return []\n"
    )
    module = install("good", code)
    host = open_host("good")
    for _ in range(3):
        host.labelers()
    import sys

    assert sys.modules[module].calls == [1]


def test_two_plugins_with_one_feature_set_are_both_named(install):
    install("one", features("shape"), group=EXTENSIONS)
    install("two", features("shape"), group=EXTENSIONS)
    assert open_host(None, ["one"]).feature_set("shape").origin.name == "one"
    with pytest.raises(PluginConflictError, match=r"ffm-strategy-one .* and by ffm-strategy-two"):
        open_host(None, ["one", "two"]).feature_sets()


def found(name: str, distribution: str = "dist", **more) -> Found:
    return Found(name=name, group="ffm.strategies", distribution=distribution, version="1",
                 module="m", **more)  # fmt: skip


def labeler(name: str, **more) -> Labeler:
    return Labeler(name=name, decide=print, horizon_bars=1, warmup_bars=1, **more)


def host_of(hooks, *, name="idea", default=None, distribution="dist", **more) -> Host:
    origin = found(name, distribution)
    return Host(
        loaded=(Loaded(origin=origin, hooks=hooks, hook_api=1),),
        unavailable=more.get("unavailable", {}),
        reopen=(open_host, (name, ())),
        strategy=origin,
        default_labeler=default,
    )


def test_the_default_labeler_is_the_one_under_judgement():
    hooks = {"ffm_labelers": lambda: [labeler("idea:fast"), labeler("idea")]}
    assert host_of(hooks).labeler().record.name == "idea"
    assert host_of(hooks, default="idea:fast").labeler().record.name == "idea:fast"
    assert host_of(hooks).labeler("idea:fast").record.name == "idea:fast"
    assert host_of(hooks).labeler("fast").record.name == "idea:fast"


def test_a_strategy_that_offers_no_labeler_of_its_name():
    with pytest.raises(UnknownNameError, match="no labeler named 'idea'") as caught:
        host_of({"ffm_labelers": lambda: [labeler("idea:fast")]}).labeler()
    assert "idea:fast" in caught.value.fix


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"columns": (Column(name="a", unit="R"), Column(name="a", unit="R"))}, "column 'a' twice"),
        (
            {"params": (Param(name="n", default=1), Param(name="n", default=2))},
            "parameter 'n' twice",
        ),
    ],
)
def test_names_inside_a_labeler_are_unique(more, message):
    with pytest.raises(StrategyError, match=message):
        host_of({"ffm_labelers": lambda: [labeler("idea", **more)]}).labelers()


def test_unknown_names_get_a_suggestion():
    sets = [
        FeatureSet(name=name, columns=(), batch=print, warmup_bars=0, history_bars=0)
        for name in ("trivial8", "shape")
    ]
    host = host_of({"ffm_feature_sets": lambda: sets})
    assert host.feature_set("shape").record is sets[1]
    with pytest.raises(UnknownNameError, match="no feature set named 'trivial9'") as caught:
        host.feature_set("trivial9")
    assert caught.value.fix == "did you mean 'trivial8'?"
    with pytest.raises(UnknownNameError) as caught:
        host.learner("nothing")
    assert caught.value.fix == "there are no learners here"


def lacking() -> list[object]:
    import library_nobody_has  # noqa: F401

    return []


def test_a_built_in_without_its_library_says_how_to_get_it():
    host = host_of({"ffm_learners": lacking}, name="xgb", distribution="ffm-core")
    assert host.learners() == []
    with pytest.raises(UnavailableError, match="library_nobody_has is not installed") as caught:
        host.learner("xgb")
    assert caught.value.fix == 'pip install "ffm-core[xgb]"'
    assert caught.value.exit_code == 7


def test_a_plugin_without_its_library_is_at_fault_itself():
    host = host_of({"ffm_learners": lacking}, name="mine")
    with pytest.raises(StrategyError, match="library_nobody_has"):
        host.learners()


def test_a_bug_of_a_built_in_is_not_taken_for_an_absent_library():
    def broken() -> list[object]:
        raise ValueError("a bug")

    host = host_of({"ffm_learners": broken}, name="xgb", distribution="ffm-core")
    with pytest.raises(StrategyError, match="a bug"):
        host.learners()


def test_the_list_of_offers_cannot_be_edited_from_outside():
    host = host_of({"ffm_labelers": lambda: [labeler("idea")]})
    host.labelers().clear()
    assert len(host.labelers()) == 1
