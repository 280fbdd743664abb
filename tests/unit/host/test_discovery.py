from __future__ import annotations

import sys

import importlib_metadata
import pytest

from ffm_core.errors import PluginConflictError, PluginLoadError, UnknownNameError
from ffm_core.host.discovery import EXTENSIONS, GROUPS, STRATEGIES, discover, normalize, pick


def test_discovery_reads_metadata_and_imports_nothing(install):
    module = install("alpha", "raise RuntimeError('imported')")
    [found] = discover(STRATEGIES)["alpha"]
    assert (found.distribution, found.version, found.module) == (
        "ffm-strategy-alpha",
        "1.2",
        module,
    )
    assert found.who == "ffm-strategy-alpha 1.2"
    assert module not in sys.modules


@pytest.mark.parametrize("group", GROUPS)
def test_discovery_agrees_with_importlib_metadata(install, group):
    install("alpha", entries="[ffm.strategies]\nalpha = pkg.mod:obj.sub [extra]\n# no\n\nb=c\n")
    install("beta", group=EXTENSIONS)
    ours = {
        (found.name, found.module, found.attribute)
        for entries in discover(group).values()
        for found in entries
    }
    theirs = {
        (entry.name, entry.module, entry.attr or "")
        for entry in importlib_metadata.entry_points(group=group)
    }
    assert ours == theirs
    assert any(name in {"alpha", "beta"} for name, _, _ in ours)


def test_names_come_sorted(install):
    for name in ("zeta", "alpha", "mid"):
        install(name)
    names = list(discover(STRATEGIES))
    assert names == sorted(names)
    assert {"zeta", "alpha", "mid"} <= set(names)


@pytest.mark.parametrize(
    ("value", "visible"), [("", set()), ("alpha", {"alpha"}), (" beta , alpha", {"alpha", "beta"})]
)
def test_ffm_plugins_hides_the_others(install, monkeypatch, value, visible):
    install("alpha")
    install("beta")
    monkeypatch.setenv("FFM_PLUGINS", value)
    assert set(discover(STRATEGIES)) == visible
    assert {"alpha", "beta"} <= set(discover(STRATEGIES, everything=True))


def test_ffm_plugins_never_hides_what_ffm_core_brings(monkeypatch):
    monkeypatch.setenv("FFM_PLUGINS", "")
    assert {name for name, found in discover(EXTENSIONS).items() if found[0].is_core} == {
        "core",
        "xgb",
    }


def test_an_unknown_name_suggests_the_nearest(install):
    install("breakout")
    with pytest.raises(UnknownNameError, match="no strategy named 'braekout'") as caught:
        pick("braekout")
    assert caught.value.fix == "did you mean 'breakout'?"
    assert caught.value.exit_code == 2


def test_an_unknown_name_far_from_all_lists_what_there_is(install, monkeypatch):
    install("breakout")
    monkeypatch.setenv("FFM_PLUGINS", "breakout")
    with pytest.raises(UnknownNameError) as caught:
        pick("zzz")
    assert caught.value.fix == "installed strategies: breakout"


def test_without_any_strategy_the_error_says_how_to_get_one(monkeypatch):
    monkeypatch.setenv("FFM_PLUGINS", "")
    with pytest.raises(UnknownNameError, match="no strategy named 'zzz'") as caught:
        pick("zzz")
    assert "ffm new strategy" in caught.value.fix


def test_a_hidden_name_says_what_hides_it(install, monkeypatch):
    install("alpha")
    monkeypatch.setenv("FFM_PLUGINS", "beta")
    with pytest.raises(UnknownNameError, match="FFM_PLUGINS='beta' hides it"):
        pick("alpha")


def test_an_extension_asked_for_as_a_strategy_says_so(install):
    install("limits", group=EXTENSIONS)
    with pytest.raises(UnknownNameError, match="not a strategy, it is an extension") as caught:
        pick("limits")
    assert caught.value.fix == "use it as --with limits"
    assert pick("limits", group=EXTENSIONS).kind == "extension"


def test_two_distributions_with_one_name_are_both_named(install):
    install("alpha", distribution="first-alpha", version="1.0")
    install("alpha", distribution="second-alpha", version="2.0")
    install("beta")
    assert pick("beta").name == "beta"
    with pytest.raises(PluginConflictError, match=r"first-alpha 1\.0 and by second-alpha 2\.0"):
        pick("alpha")


def test_one_distribution_with_a_name_twice_is_told_so(install):
    install("alpha", distribution="twin", entries="[ffm.strategies]\nalpha = a\nalpha = b\n")
    with pytest.raises(PluginConflictError, match=r"provided twice, by twin 1\.2") as caught:
        pick("alpha")
    assert "twin" in caught.value.fix


def test_an_extension_may_not_take_a_built_in_name(install):
    install("xgb", group=EXTENSIONS, distribution="impostor")
    with pytest.raises(PluginConflictError, match=r"ffm-core .* and by impostor 1\.2") as caught:
        pick("xgb", group=EXTENSIONS)
    assert "rename it" in caught.value.fix


@pytest.mark.parametrize("line", ["alpha", "alpha = not a module", "alpha = 1bad", "alpha ="])
def test_an_unusable_entry_is_a_problem_of_its_own(install, line):
    install("alpha", entries=f"[ffm.strategies]\n{line}\n")
    install("beta")
    assert pick("beta").name == "beta"
    with pytest.raises(PluginLoadError, match=r"ffm-strategy-alpha 1\.2: its entry point"):
        pick("alpha")


def test_broken_metadata_of_one_distribution_leave_the_others_alone(install, site):
    install("beta")
    binary = site / "junk-1.dist-info"
    binary.mkdir()
    (binary / "entry_points.txt").write_bytes(b"[ffm.strategies]\n\xff\xfe\x00 = \x80\n")
    bare = site / "bare-1.dist-info"
    bare.mkdir()
    (bare / "entry_points.txt").write_text("[ffm.strategies]\nbare = bare_module\n")
    assert pick("beta").name == "beta"
    assert pick("bare").module == "bare_module"


def test_an_older_copy_of_a_distribution_is_not_a_rival(install, site, tmp_path, monkeypatch):
    install("alpha", version="1.0")
    newer = tmp_path / "first-on-path"
    info = newer / "ffm_strategy_alpha-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: FFM.Strategy_alpha\nVersion: 2.0\n"
    )
    (info / "entry_points.txt").write_text("[ffm.strategies]\nalpha = newer\n")
    monkeypatch.syspath_prepend(str(newer))
    assert pick("alpha").version == "2.0"


def test_normal_form_of_a_name():
    assert normalize("FFM._Strategy--X") == "ffm-strategy-x"
