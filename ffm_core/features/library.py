"""Feature sets by name: those that come with ffm-core, and those of installed packages."""

from __future__ import annotations

from importlib import import_module

from ffm_core.errors import UnknownNameError
from ffm_core.records import FeatureSet
from ffm_core.wording import suggest

# Imported when asked for: each brings its kernels along.
_HOMES = {
    "ffm68": ("ffm_core.features.ffm68", "FFM68"),
    "trivial8": ("ffm_core.features.trivial8", "TRIVIAL8"),
}


def names() -> tuple[str, ...]:
    """Return the names of all built-in sets."""
    return tuple(_HOMES)


def built_in(name: str) -> FeatureSet:
    """Return a built-in set by name.

    Raises
    ------
    UnknownNameError
        When there is none of that name.
    """
    if name not in _HOMES:
        raise UnknownNameError(
            f"there is no built-in feature set {name!r}",
            fix=suggest(name, list(_HOMES), noun="feature sets"),
        )
    module, attribute = _HOMES[name]
    found: FeatureSet = getattr(import_module(module), attribute)
    return found


def find_set(name: str) -> FeatureSet:
    """Return a built-in set, or that of an installed package, which its name switches on.

    Raises
    ------
    UnknownNameError
        When nobody offers it.
    UnavailableError
        When a package of this project brings it and is not installed.
    PluginError
        When the package cannot be used.
    """
    if name in _HOMES:
        return built_in(name)
    from ffm_core.host.loading import open_host

    hook = "ffm_feature_sets"
    return open_host(naming=[(name, (hook,))]).feature_set(name).record
