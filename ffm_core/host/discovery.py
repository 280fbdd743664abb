"""Find plug-ins from package metadata alone; nothing of a plug-in is imported."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from ffm_core.errors import PluginConflictError, PluginLoadError, UnknownNameError
from ffm_core.wording import suggest

STRATEGIES = "ffm.strategies"
EXTENSIONS = "ffm.extensions"
GROUPS = (STRATEGIES, EXTENSIONS)
# In groups named after a hook, such as ``ffm.feature_sets``, a package lists what it offers:
# the name is the one users type, the value the module of the plug-in that offers it.
_PREFIX = "ffm."
CORE = "ffm-core"
_KINDS = {STRATEGIES: "strategy", EXTENSIONS: "extension"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One entry point, or one strategy file, before anything is imported.

    Parameters
    ----------
    name : str
        What the user types; the stem of a single file.
    group : str
        Entry-point group.
    distribution, version : str
        Who provides it. For a single file: its base name and an empty version.
    module, attribute : str
        Where the entry point leads.
    path : pathlib.Path, optional
        The file, for a single-file strategy.
    problem : str
        Why the metadata alone make the entry unusable, or empty.
    listed : tuple of (str, str)
        Hook and name of what its metadata say it offers, sorted.
    """

    name: str
    group: str
    distribution: str
    version: str
    module: str
    attribute: str = ""
    path: Path | None = None
    problem: str = ""
    listed: tuple[tuple[str, str], ...] = ()

    @property
    def who(self) -> str:
        """Distribution and version, as every message names them."""
        return f"{self.distribution} {self.version}".strip()

    @property
    def kind(self) -> str:
        """``strategy`` or ``extension``."""
        return _KINDS.get(self.group, self.group)

    @property
    def is_core(self) -> bool:
        """Whether ffm-core itself provides it."""
        return self.path is None and normalize(self.distribution) == CORE

    @property
    def is_private(self) -> bool:
        """Whether its metadata say so: a classifier that begins with ``Private ::``."""
        return self.path is None and not self.is_core and _says_private(self.distribution)


@lru_cache(maxsize=256)
def _says_private(distribution: str) -> bool:
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        stated = metadata(distribution).get_all("Classifier") or []
    except PackageNotFoundError:
        return False
    return any(str(line).startswith("Private ::") for line in stated)


def base_of(name: str) -> str:
    """Return what stands before the variant of a name, or the group of a target."""
    return re.split("[:/]", name, maxsplit=1)[0]


_scanned: tuple[Found, ...] = ()


def normalize(name: str) -> str:
    """Return a distribution name in its normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def discover(group: str = STRATEGIES, *, everything: bool = False) -> dict[str, list[Found]]:
    """List what is installed in a group, by name, without importing it.

    Parameters
    ----------
    group : str
        Entry-point group, ``ffm.strategies`` or ``ffm.extensions``.
    everything : bool
        List entries that ``FFM_PLUGINS`` switches off, too.

    Returns
    -------
    dict of str to list of Found
        Sorted by name. More than one entry under a name is a conflict, which
        matters only to whoever asks for that name.
    """
    found: dict[str, list[Found]] = {}
    for item in sorted(_scanned or _scan(), key=lambda f: (f.name, f.distribution, f.module)):
        if item.group == group and (everything or is_switched_on(item)):
            found.setdefault(item.name, []).append(item)
    return found


def is_switched_on(found: Found) -> bool:
    """Return whether ``FFM_PLUGINS`` leaves an entry visible.

    Unset shows everything, an empty value nothing, and ``a,b`` only those
    names. What ffm-core brings itself is always on.
    """
    chosen = os.environ.get("FFM_PLUGINS")
    if chosen is None or found.is_core:
        return True
    return found.name in {name.strip() for name in chosen.split(",")}


def pick(name: str, *, group: str = STRATEGIES) -> Found:
    """Return the one entry that provides ``name``.

    Raises
    ------
    UnknownNameError
        When nothing provides it, with the nearest names.
    PluginConflictError
        When several distributions provide it; all are named.
    PluginLoadError
        When its metadata cannot be used.
    """
    found = discover(group)
    candidates = found.get(name, [])
    if not candidates:
        raise _unknown(name, group, found)
    if len(candidates) > 1:
        raise conflict(f"{candidates[0].kind} {name!r}", candidates)
    if candidates[0].problem:
        raise PluginLoadError(
            f"{candidates[0].who}: {candidates[0].problem}", fix="reinstall or uninstall it"
        )
    return candidates[0]


def claimants(hook: str, name: str, *, everything: bool = False) -> list[Found]:
    """Return the installed plug-ins that say they offer ``name`` through ``hook``.

    Parameters
    ----------
    hook : str
        For example ``ffm_feature_sets``.
    name : str
        What the user typed. An entry point that bears the name, or what stands before its
        variant, counts as well as one that lists it.
    everything : bool
        Include entries that ``FFM_PLUGINS`` switches off.

    Returns
    -------
    list of Found
        Extensions first; ffm-core's own entries are left out, they are always on.
    """
    base = base_of(name)
    return [
        item
        for group in (EXTENSIONS, STRATEGIES)
        for entries in discover(group, everything=everything).values()
        for item in entries
        if not item.is_core
        and (item.name == base or not {(hook, name), (hook, base)}.isdisjoint(item.listed))
    ]


def names_listed(hook: str) -> set[str]:
    """Return what may be listed for a hook; reads files alone, so that help stays quick."""
    heading = f"[{_PREFIX}{hook.removeprefix('ffm_')}]"
    found: set[str] = set()
    for text in _entry_point_files():
        if heading in text:
            lines = text.partition(heading)[2].partition("\n[")[0].splitlines()
            found |= {line.partition("=")[0].strip() for line in lines if "=" in line}
    return found


def listed(hook: str) -> dict[str, list[Found]]:
    """Return what installed packages list for a hook, by name, and who lists it."""
    found: dict[str, list[Found]] = {}
    for group in (EXTENSIONS, STRATEGIES):
        for entries in discover(group).values():
            for item in entries:
                for name in (name for kind, name in item.listed if kind == hook):
                    found.setdefault(name, []).append(item)
    return dict(sorted(found.items()))


def conflict(what: str, claimants: Iterable[Found]) -> PluginConflictError:
    """Build the error for one name with several providers.

    Parameters
    ----------
    what : str
        The thing claimed, for example ``strategy 'breakout'``.
    claimants : iterable of Found
        Everybody who claims it.
    """
    everybody = list(claimants)
    who = " and by ".join(item.who for item in everybody)
    if len({item.distribution for item in everybody}) == 1:
        return PluginConflictError(
            f"{what} is provided twice, by {who}",
            fix=f"give the two different names in {everybody[0].distribution}",
        )
    core = [item for item in everybody if item.is_core]
    fix = "rename it in the plug-in" if core else "uninstall all but one of them"
    return PluginConflictError(f"{what} is provided by {who}", fix=fix)


def _unknown(name: str, group: str, found: dict[str, list[Found]]) -> UnknownNameError:
    kind = _KINDS[group]
    if name in discover(group, everything=True):
        return UnknownNameError(
            f"{kind} {name!r} is installed but FFM_PLUGINS={os.environ['FFM_PLUGINS']!r} hides it",
            fix=f"unset FFM_PLUGINS or add {name!r} to it",
        )
    other = EXTENSIONS if group == STRATEGIES else STRATEGIES
    if name in discover(other):
        hint = f"--with {name}" if other == EXTENSIONS else f"ffm eval {name}"
        return UnknownNameError(
            f"{name!r} is not a {kind}, it is a{'n' if other == EXTENSIONS else ''} "
            f"{_KINDS[other]}",
            fix=f"use it as {hint}",
        )
    otherwise = (
        "none is installed; make one with 'ffm new strategy NAME' or judge a file: ./idea.py"
        if group == STRATEGIES
        else ""
    )
    known = [other for other in found if not found[other][0].is_core]
    plural = {STRATEGIES: "installed strategies", EXTENSIONS: "installed extensions"}[group]
    return UnknownNameError(
        f"no {kind} named {name!r} is installed",
        fix=suggest(name, known, noun=plural, otherwise=otherwise),
    )


@contextmanager
def scanned_once() -> Iterator[None]:
    """Read the metadata of all packages once for everything that is asked in the block."""
    global _scanned
    before, _scanned = _scanned, _scanned or tuple(_scan())
    try:
        yield
    finally:
        _scanned = before


def _scan() -> Iterator[Found]:
    from importlib_metadata import distributions

    seen: set[str] = set()
    for distribution in distributions():
        # Reading one small file first keeps a crowded environment quick: the
        # metadata of packages that offer nothing are never parsed.
        try:
            text = distribution.read_text("entry_points.txt") or ""
        except (OSError, UnicodeError):
            continue
        if not any(f"[{group}]" in text for group in GROUPS):
            continue  # a list without a plug-in is nobody's
        name, version = _identity(distribution)
        if normalize(name) not in seen:  # the first on the path wins, as for imports
            seen.add(normalize(name))
            yield from _entries(text, name, version)


def _identity(distribution: object) -> tuple[str, str]:
    try:
        name, version = distribution.name, distribution.version  # type: ignore[attr-defined]
    except Exception:  # broken metadata come in many kinds; none may stop the others
        name, version = None, None
    return str(name or "unnamed distribution"), str(version or "")


def _entries(text: str, distribution: str, version: str) -> Iterator[Found]:
    plugins: list[Found] = []
    lists: list[Found] = []
    group = ""
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith(("#", ";")):
            continue
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif group.startswith(_PREFIX):
            kind = plugins if group in GROUPS else lists
            kind.append(_entry(line, group, distribution, version))
    yield from (_with_list(item, plugins, lists) for item in plugins)


def _with_list(item: Found, plugins: list[Found], lists: list[Found]) -> Found:
    """Return a plug-in with what is listed under its module, or with what is wrong there."""
    modules = {plugin.module for plugin in plugins}
    lost = next((entry for entry in lists if entry.problem or entry.module not in modules), None)
    problem = item.problem
    if lost is not None and not problem:
        problem = lost.problem or (
            f"it lists {lost.name!r} in {lost.group} under {lost.module!r}, where none of its "
            "plug-ins is"
        )
    own = {(_hook_of(entry.group), entry.name) for entry in lists if entry.module == item.module}
    return replace(item, problem=problem, listed=tuple(sorted(own)))


def _hook_of(group: str) -> str:
    return "ffm_" + group.removeprefix(_PREFIX)


def _entry_point_files() -> Iterator[str]:
    """Yield the text of every file of entry points on the path."""
    for place in dict.fromkeys(sys.path):
        try:
            folders = [entry.path for entry in os.scandir(place or ".") if _is_info(entry.name)]
        except OSError:  # a zip file, or a folder that is gone
            continue
        for folder in folders:
            with suppress(OSError):
                yield Path(folder, "entry_points.txt").read_text("utf-8", errors="replace")


def _is_info(name: str) -> bool:
    return name.endswith((".dist-info", ".egg-info"))


_VALUE = re.compile(r"([A-Za-z_][\w.]*)\s*(?::\s*([A-Za-z_][\w.]*))?\s*(?:\[.*\])?$")


def _entry(line: str, group: str, distribution: str, version: str) -> Found:
    name, equals, value = (part.strip() for part in line.partition("="))
    match = _VALUE.match(value) if equals else None
    problem = "" if match else f"its entry point {line!r} is not 'name = module' or 'module:object'"
    return Found(
        name=name,
        group=group,
        distribution=distribution,
        version=version,
        module=match.group(1) if match else value,
        attribute=(match.group(2) or "") if match else "",
        problem=problem,
    )
