"""How plug-ins travel to a fresh interpreter."""

from __future__ import annotations

import sys

from ffm_core.causal.process.pickling import _place_of
from ffm_core.features.trivial8 import TRIVIAL8
from ffm_core.host.libraries import library_test


def test_a_record_named_in_the_running_script_travels_by_its_own_module(monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "A_SET", TRIVIAL8, raising=False)
    monkeypatch.setattr(main, "__spec__", sys.__spec__)
    monkeypatch.setitem(sys.modules, "__mp_main__", main)  # as multiprocessing calls it
    module, name = _place_of(TRIVIAL8)
    assert module not in ("__main__", "__mp_main__")
    assert getattr(sys.modules[module], name) is TRIVIAL8


def test_libraries_that_another_environment_lends_count_as_installed(tmp_path, monkeypatch):
    lent = tmp_path / "other" / "site-packages"
    lent.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(lent), str(tmp_path)])
    is_library = library_test()
    assert is_library(str(lent / "kept.py"))
    assert not is_library(str(tmp_path / "idea.py"))


def test_a_library_linked_into_an_environment_is_a_library(tmp_path, monkeypatch):
    lent, store = tmp_path / "site-packages", tmp_path / "store"
    lent.mkdir()
    store.mkdir()
    (store / "kept.py").write_text("")
    (lent / "kept.py").symlink_to(store / "kept.py")
    monkeypatch.setattr(sys, "path", [*sys.path, str(lent)])
    is_library = library_test()
    assert is_library(str(lent / "kept.py"))
    assert not is_library(str(store / "kept.py"))
