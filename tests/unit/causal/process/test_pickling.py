"""How plug-ins travel to a fresh interpreter."""

from __future__ import annotations

import sys

from ffm_core.causal.process.pickling import _place_of, installed_roots
from ffm_core.features.trivial8 import TRIVIAL8


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
    assert str(lent) in installed_roots()
    assert str(tmp_path) not in installed_roots()
