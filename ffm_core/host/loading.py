"""Load exactly the plug-ins that were asked for, each by itself.

A plug-in is imported, its API number is compared, and every hook it declares is
checked against the specifications, all before anything of it runs in earnest.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import reduce
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import pluggy

from ffm_core import hookspecs
from ffm_core.errors import PluginError, PluginLoadError, UnknownNameError
from ffm_core.host.beside import look_beside
from ffm_core.host.boundary import (
    MAX_MESSAGE_CHARS,
    OWN_NAMES,
    SILENCE,
    absent_library,
    call_plugin,
    hidden,
    is_strict,
    one_line,
    place,
)
from ffm_core.host.code import forget, reads_remembered, remember, source_files
from ffm_core.host.discovery import (
    EXTENSIONS,
    STRATEGIES,
    Found,
    claimants,
    conflict,
    discover,
    pick,
)
from ffm_core.host.libraries import library_test
from ffm_core.host.registry import MOVING, Host, Loaded, Offered
from ffm_core.host.surroundings import environment_kept, threads_of, threads_released
from ffm_core.paths import kind_of, one_spelling
from ffm_core.records import Labeler
from ffm_core.wording import suggest

__all__ = [
    "Found", "Host", "Offered", "Wish", "call_plugin", "load_function", "load_plugin", "open_host",
]  # fmt: skip

Wish: TypeAlias = tuple[str, tuple[str, ...]]  # a name, and the hooks that may offer it

API_ATTRIBUTE = "FFM_HOOK_API"
OLDEST_HOOK_API = 2  # the oldest breaking-change number this host still understands
FILE_MODULE_PREFIX = "ffm_strategy_file_"


def open_host(
    strategy: str | None = None,
    extensions: Sequence[str | Found] = (),
    *,
    naming: Iterable[Wish] = (),
) -> Host:
    """Load one strategy, ffm-core's built-ins and the packages that were named.

    Parameters
    ----------
    strategy : str, optional
        An installed name, ``name:variant``, or the path of a ``.py`` file.
        None loads the built-ins and extensions alone.
    extensions : sequence of str or Found
        Extensions to switch on; also the name of a strategy, for what its package offers
        beside it. Everything else that is installed stays unread.
    naming : iterable of (str, tuple of str)
        Names the user typed, each with the hooks through which it may be offered. A name
        that none of the above offers switches on the installed package whose entry point
        bears it, or whose metadata list it.

    Returns
    -------
    Host
        The door to everything the loaded plug-ins offer.

    Raises
    ------
    UnknownNameError
        When a name is not installed or a file does not exist.
    PluginConflictError
        When two distributions claim one of the names.
    PluginLoadError
        When a plug-in cannot be imported, declares an unknown hook, or needs
        another API. With ``FFM_STRICT=1`` the original exception is raised.
    """
    asked, labeler = _ask(strategy) if strategy is not None else (None, None)
    loaded, unavailable = _load_built_ins()
    own = [asked] if asked else []
    named = [item if isinstance(item, Found) else _extension(item) for item in extensions]
    wanted = [item for item in dict.fromkeys(named) if not item.is_core and item not in own]
    loaded.extend(load_plugin(item) for item in [*own, *wanted])

    def host_of(on: Sequence[Found]) -> Host:
        return Host(
            loaded=tuple(loaded),
            unavailable=unavailable,
            reopen=(open_host, (strategy, tuple(on))),
            strategy=asked,
            default_labeler=labeler,
        )

    host = host_of(wanted)
    for name, hooks in naming:
        found = _bringer(name, hooks, host)
        if found is not None:
            loaded.append(load_plugin(found))
            wanted.append(found)
            host = host_of(wanted)
    return host


def _bringer(name: str, hooks: Sequence[str], host: Host) -> Found | None:
    """Return the installed package that a name switches on, None when it needs none."""
    candidates = _claimants(name, hooks)
    if not candidates:
        _reject_hidden(name, hooks, host)
        return None
    # What is loaded already, ffm-core's own above all, cannot be taken over by installing.
    known = [plugin.origin for plugin in host.loaded]
    if any(item in known for item in candidates) or host.has(name, hooks):
        return None
    if len(candidates) > 1:
        raise conflict(repr(name), candidates)
    if candidates[0].problem:
        raise PluginLoadError(
            f"{candidates[0].who}: {candidates[0].problem}", fix="reinstall or uninstall it"
        )
    return candidates[0]


def _claimants(name: str, hooks: Sequence[str], *, everything: bool = False) -> list[Found]:
    """Return who claims a name, each distribution once; extensions win over strategies."""
    found = [item for hook in hooks for item in claimants(hook, name, everything=everything)]
    return list({(item.distribution, item.module): item for item in reversed(found)}.values())


def _reject_hidden(name: str, hooks: Sequence[str], host: Host) -> None:
    hidden = _claimants(name, hooks, everything=True) if "FFM_PLUGINS" in os.environ else []
    if hidden and not host.has(name, hooks):
        chosen = os.environ.get("FFM_PLUGINS", "")
        raise UnknownNameError(
            f"{name!r} comes with {hidden[0].who}, which FFM_PLUGINS={chosen!r} hides",
            fix=f"unset FFM_PLUGINS or add {hidden[0].name!r} to it",
        )


def _extension(name: str) -> Found:
    """Return the extension of that name, or else the strategy, for what it offers beside."""
    is_strategy = name in discover(STRATEGIES) and name not in discover(EXTENSIONS)
    return pick(name, group=STRATEGIES if is_strategy else EXTENSIONS)


def load_function(strategy: str) -> Callable[..., object] | None:
    """Return the function that ``FILE.py:name`` names, None where it names something else.

    Raises
    ------
    PluginLoadError
        When the file cannot be imported.
    UnknownNameError
        When the file is no plug-in, and has no such function either.
    """
    path, colon, name = strategy.rpartition(":")
    if not colon or not path.endswith(".py"):
        return None
    found = _file(Path(path))
    try:
        held = vars(_import(found))
    except (Exception, SystemExit) as error:
        if is_strict():
            raise
        raise _failed(found, error) from error
    value: Callable[..., object] | None = held.get(name)
    if callable(value) and not isinstance(value, type | Labeler):
        return value
    if "LABELER" in held or "ffm_labelers" in held:
        return None
    own = [key for key, item in held.items() if getattr(item, "__module__", "") == found.module]
    raise UnknownNameError(
        f"{found.path.name if found.path else path} has no function {name!r}",
        fix=suggest(name, own, noun="functions"),
    )


def load_plugin(found: Found) -> Loaded:
    """Import one plug-in and check everything that can be checked before use.

    Raises
    ------
    PluginLoadError
        One line with distribution, version and cause.
    """
    try:
        plugin = _import(found) if found.is_core else _import_apart(found)
        api = _check_api(found, plugin)
        hooks = _hooks(found, plugin)
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        if is_strict():
            raise
        raise _failed(found, error) from error
    return Loaded(origin=found, hooks=hooks, hook_api=api)


def _ask(strategy: str) -> tuple[Found, str | None]:
    """Take apart what the user typed: a name or a file, and a labeler of it."""
    drive, rest = os.path.splitdrive(strategy)  # C: is no name with a variant
    name, colon, variant = rest.partition(":")
    if drive or name.endswith(".py") or "/" in name or os.sep in name:
        return _file(Path(drive + name)), variant or None
    return pick(name), strategy if colon else None


def _file(path: Path) -> Found:
    kind = kind_of(path)
    if path.suffix != ".py" or kind != "file":
        what = "is a folder" if kind == "folder" else "does not exist"
        what = what if path.suffix == ".py" or kind == "folder" else "is not a .py file"
        raise UnknownNameError(
            f"{str(path)[:MAX_MESSAGE_CHARS]} {what}",
            fix="give the path of a Python file, or an installed strategy's name",
        )
    return Found(
        name=path.stem,
        group=STRATEGIES,
        distribution=path.name,
        version="",
        module=FILE_MODULE_PREFIX + path.stem,
        path=path.resolve(),
    )


def _load_built_ins() -> tuple[list[Loaded], dict[str, str]]:
    """Load what ffm-core brings; an optional library that is absent stops only its part."""
    loaded: list[Loaded] = []
    unavailable: dict[str, str] = {}
    for entries in discover(EXTENSIONS).values():
        for found in (item for item in entries if item.is_core):
            try:
                loaded.append(load_plugin(found))
            except (PluginLoadError, ImportError) as error:  # FFM_STRICT=1 raises the latter
                reason = absent_library(error)
                if reason is None:
                    raise
                unavailable[found.name] = reason
    return loaded, unavailable


def _import_apart(found: Found) -> object:
    """Import a plug-in, note what it reads on the way, and undo what it may not leave behind."""
    if found.path is not None:
        forget(found)
        look_beside(found.path)
    before = set(sys.modules)
    with environment_kept(), threads_released(), reads_remembered(found):
        plugin = _import(found)
    is_library = library_test()
    files = {
        name: getattr(module, "__file__", None)
        for name, module in list(sys.modules.items())
        if name not in before and name != found.module
    }
    remember(found, [name for name, file in files.items() if file and not is_library(file)], ())
    own = {one_spelling(path) for path in source_files(found).values()}
    if threads := threads_of(lambda file: one_spelling(file) in own):
        raise PluginLoadError(
            f"{found.who} ({found.name}) starts a thread while it is loaded: {threads[0]}",
            fix="start threads inside the call that needs them, and end them there",
        )
    return plugin


def _import(found: Found) -> object:
    if found.path is not None:
        return _import_file(found, found.path)
    module = import_module(found.module)
    names = found.attribute.split(".") if found.attribute else []
    return reduce(getattr, names, module)


def _import_file(found: Found, path: Path) -> ModuleType:
    module = ModuleType(found.module)
    module.__file__ = str(path)
    # Dataclasses and pickling look their module up by name while it still runs.
    sys.modules[found.module] = module
    try:
        # Compiled here rather than by the import system, whose cache would miss
        # an edit within a second and leave a folder beside the file.
        exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), vars(module))
    except BaseException:
        sys.modules.pop(found.module, None)
        raise
    return module


def _failed(found: Found, error: BaseException) -> PluginLoadError:
    if hidden(found, error):
        silent = PluginLoadError(f"{found.who} failed to load: {SILENCE}", fix=OWN_NAMES)
        silent.hidden = True
        return silent
    where = place(found, error.__traceback__, error)
    text = f"{found.who} ({found.name}) failed to load: {one_line(error)}"
    fix = "upgrade or uninstall it; --debug shows the cause"
    if found.path is not None:
        fix = "correct the file; --debug shows the cause"
    elif isinstance(error, ImportError) and (error.name or "").startswith("ffm_core"):
        fix = "it was written for another ffm-core: upgrade one of the two"
    elif isinstance(error, ModuleNotFoundError) and error.name:
        fix = f"install what it needs: {error.name}"
    return PluginLoadError(text + (f" ({where})" if where else ""), fix=fix)


def _check_api(found: Found, plugin: object) -> int:
    stated = _stated_api(found, plugin)
    if not isinstance(stated, int) or isinstance(stated, bool):
        raise PluginLoadError(
            f"{found.who} ({found.name}): {API_ATTRIBUTE} is {stated!r}, expected an integer",
            fix=f"state {API_ATTRIBUTE} = {hookspecs.HOOK_API} or leave it out",
        )
    if stated > hookspecs.HOOK_API:
        raise PluginLoadError(
            f"{found.who} ({found.name}) needs hook API {stated}, this ffm-core has "
            f"{hookspecs.HOOK_API}",
            fix="upgrade ffm-core, or install an older version of the plug-in",
        )
    if stated < OLDEST_HOOK_API:
        raise PluginLoadError(
            f"{found.who} ({found.name}) was written for hook API {stated}, this ffm-core has "
            f"{hookspecs.HOOK_API}",
            fix=f"upgrade the plug-in; {MOVING} says what its author changes",
        )
    return stated


def _stated_api(found: Found, plugin: object) -> object:
    default = getattr(sys.modules.get(found.module), API_ATTRIBUTE, hookspecs.HOOK_API)
    return getattr(plugin, API_ATTRIBUTE, default)


def _hooks(found: Found, plugin: object) -> Mapping[str, Callable[[], object]]:
    """Return the plug-in's implementation of each hook, after checking all of them."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    known = sorted(name for name in vars(manager.hook) if name.startswith("ffm_"))
    try:
        manager.register(plugin, name=found.name)
    except pluggy.PluginValidationError as error:
        raise PluginLoadError(
            f"{found.who} ({found.name}) declares a hook wrongly: {one_line(error)}",
            fix="give the hook the arguments its reference page shows",
        ) from error
    _reject_strays(found, plugin, known)
    hooks: dict[str, Callable[[], object]] = {}
    for caller in manager.get_hookcallers(plugin) or []:
        for implementation in caller.get_hookimpls():
            if caller.has_spec():
                _reject_wrappers(found, caller.name, implementation)
                hooks[caller.name] = implementation.function
            elif not implementation.optionalhook:
                raise _unknown_hook(found, caller.name, known)
    if found.path is not None and "ffm_labelers" not in hooks:
        hooks.update(_module_level(found, plugin))
    if not hooks:
        raise PluginLoadError(
            f"{found.who} ({found.name}) declares no hook",
            fix="mark a function such as 'ffm_labelers' with @ffm_core.hookimpl"
            + (", or define LABELER in the file" if found.path is not None else ""),
        )
    return hooks


def _module_level(found: Found, plugin: object) -> dict[str, Callable[[], object]]:
    """Let a single file offer its labeler by just defining ``LABELER``."""
    labeler = getattr(plugin, "LABELER", None)
    if labeler is None:
        return {}
    if not isinstance(labeler, Labeler):
        raise PluginLoadError(
            f"{found.who}: LABELER is a {type(labeler).__name__}, expected a Labeler",
            fix="write LABELER = ffm_core.Labeler(name=..., decide=..., horizon_bars=..., "
            "warmup_bars=...)",
        )
    return {"ffm_labelers": lambda: [labeler]}


def _reject_wrappers(found: Found, hook: str, implementation: pluggy.HookImpl) -> None:
    # A wrapper sees and edits what others offer; that would let one package
    # change the meaning of another.
    if implementation.wrapper or implementation.hookwrapper:
        raise PluginLoadError(
            f"{found.who} ({found.name}) wraps hook {hook!r}; hooks can be offered, not wrapped",
            fix="implement the hook with a plain @hookimpl function",
        )


def _reject_strays(found: Found, plugin: object, known: Iterable[str]) -> None:
    """Report functions that were surely meant as hooks but lack the mark."""
    if not isinstance(plugin, ModuleType):
        return
    for name, value in vars(plugin).items():
        if not (name.startswith("ffm_") and inspect.isfunction(value)):
            continue
        if value.__module__ != plugin.__name__ or hasattr(value, f"{hookspecs.PROJECT}_impl"):
            continue
        if name in known:
            raise PluginLoadError(
                f"{found.who} ({found.name}): function {name!r} is not marked as a hook",
                fix="put @ffm_core.hookimpl above it",
            )
        if get_close_matches(name, known, n=1, cutoff=0.85):
            raise _unknown_hook(found, name, known)


def _unknown_hook(found: Found, name: str, known: Iterable[str]) -> PluginLoadError:
    names = list(known)
    near = get_close_matches(name, names, n=1)
    fix = f"did you mean {near[0]!r}?" if near else f"hooks: {', '.join(names)}"
    return PluginLoadError(f"{found.who} ({found.name}) declares an unknown hook {name!r}", fix=fix)
