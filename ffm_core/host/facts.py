"""Plain facts about plug-ins, for ``ffm plugins list`` and ``show``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ffm_core.errors import PluginLoadError, UnavailableError, UnknownNameError
from ffm_core.host.boundary import absent_library, one_line
from ffm_core.host.discovery import (
    EXTENSIONS,
    GROUPS,
    STRATEGIES,
    Found,
    discover,
    is_switched_on,
    scanned_once,
)
from ffm_core.host.loading import load_plugin, open_host
from ffm_core.host.redact import HIDDEN, redact_labeler
from ffm_core.host.registry import Host, Loaded, Offered
from ffm_core.records import (
    CheckSet,
    Command,
    Control,
    Embedder,
    ExitPolicy,
    FeatureSet,
    Learner,
    Target,
    VerdictCheck,
)

OK, NOT_LOADED, BROKEN = "ok", "not loaded", "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of ``ffm plugins list``.

    ``state`` is ``ok``, ``not loaded`` (hidden, or an optional library is
    absent) or ``broken``; ``reason`` says why in one line. ``hooks`` and
    ``hook_api`` are known only of what was loaded.
    """

    name: str
    kind: str
    distribution: str
    version: str
    builtin: bool
    state: str
    reason: str = ""
    hooks: tuple[str, ...] = ()
    hook_api: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the fact ready for JSON."""
        return asdict(self) | {"hooks": list(self.hooks)}


def survey(*, load: bool = True) -> list[Fact]:
    """List every installed plug-in; a broken one is a line, never an error.

    Parameters
    ----------
    load : bool
        Load each plug-in and call its hooks, one by one. False reads
        metadata only and imports nothing; what that cannot tell is
        ``not loaded``.
    """
    facts: list[Fact] = []
    with scanned_once():
        for group in GROUPS:
            for entries in discover(group, everything=True).values():
                facts.extend(_fact(item, entries, load=load) for item in entries)
    return facts


def details(name: str, *, kind: str | None = None) -> dict[str, Any]:
    """Describe one plug-in in full; it is loaded and its hooks are called.

    Parameters
    ----------
    name : str
        Installed name, or the path of a strategy file.
    kind : str, optional
        ``strategy`` or ``extension``; default the first that has the name.

    Returns
    -------
    dict
        Name, kind, distribution, version, builtin, state, hook_api, hooks,
        code_hash, and ``records`` by hook. Records of private labelers are
        redacted.

    Raises
    ------
    FFMError
        Whatever keeps the plug-in from being used, with its own exit code.
    """
    is_strategy = _is_strategy(name, kind)
    host = open_host(name) if is_strategy else open_host(extensions=[name])
    if name in host.unavailable and not is_strategy:
        raise UnavailableError(
            f"extension {name!r} is not available: {host.unavailable[name]}",
            fix=f'pip install "ffm-core[{name}]"',
        )
    plugin = _chosen(host, name, is_strategy=is_strategy)
    offers = {hook: _own(host, hook, plugin.origin) for hook in plugin.hooks}
    return {
        "name": plugin.origin.name,
        "kind": plugin.origin.kind,
        "distribution": plugin.origin.distribution,
        "version": plugin.origin.version,
        "builtin": plugin.origin.is_core,
        "state": OK,
        "hook_api": plugin.hook_api,
        "hooks": sorted(plugin.hooks),
        "module": HIDDEN if _any_private(offers) else plugin.origin.module,
        "code_hash": host.code_hash(),
        "records": {
            hook.removeprefix("ffm_"): [_DESCRIBE[hook](offer.record) for offer in found]
            for hook, found in sorted(offers.items())
        },
    }


def _fact(found: Found, entries: list[Found], *, load: bool) -> Fact:
    state, reason, plugin = _state(found, entries, load=load)
    return Fact(
        name=found.name,
        kind=found.kind,
        distribution=found.distribution,
        version=found.version,
        builtin=found.is_core,
        state=state,
        reason=reason,
        hooks=tuple(sorted(plugin.hooks)) if plugin else (),
        hook_api=plugin.hook_api if plugin else None,
    )


def _state(found: Found, entries: list[Found], *, load: bool) -> tuple[str, str, Loaded | None]:
    if not is_switched_on(found):
        return NOT_LOADED, "hidden by FFM_PLUGINS", None
    if found.problem:
        return BROKEN, found.problem, None
    rivals = [item.who for item in entries if item is not found]
    if rivals:
        return BROKEN, f"the name is also claimed by {', '.join(rivals)}", None
    if not load:
        return NOT_LOADED, "", None
    try:
        plugin = load_plugin(found)
        _call_hooks(found, plugin)
    except Exception as error:  # FFM_STRICT=1 lets any kind through
        absent = absent_library(error) if found.is_core else None
        if absent is not None:
            return NOT_LOADED, absent, None
        return BROKEN, _without_name(found, error), None
    return OK, "", plugin


def _call_hooks(found: Found, plugin: Loaded) -> None:
    """Call what a plug-in offers beside the built-ins, where conflicts would show.

    Built-ins are only imported: calling theirs would load the heavy libraries.
    """
    if found.is_core:
        return
    if found.group == STRATEGIES:
        host = open_host(found.name)
        host.labeler()
    else:
        host = open_host(extensions=[found.name])
    for hook in plugin.hooks:
        host.offers(hook)
    for hook, name in found.listed:
        if not host.has(name, (hook,)):
            raise PluginLoadError(
                f"{found.who}: its metadata list {name!r} for {hook!r}, and it does not offer it",
                fix="list what the hook offers, and nothing else",
            )


def _without_name(found: Found, error: Exception) -> str:
    return (
        one_line(error).removeprefix(f"{found.who} ({found.name}) ").removeprefix(f"{found.who}: ")
    )


def _is_strategy(name: str, kind: str | None) -> bool:
    if kind is not None:
        return kind == "strategy"
    base = name.partition(":")[0]
    if base.endswith(".py") or base in discover(STRATEGIES, everything=True):
        return True
    extensions = discover(EXTENSIONS, everything=True)
    return base not in extensions


def _chosen(host: Host, name: str, *, is_strategy: bool) -> Loaded:
    for plugin in host.loaded:
        if is_strategy and plugin.origin == host.strategy:
            return plugin
        if not is_strategy and plugin.origin.name == name:
            return plugin
    raise UnknownNameError(f"no plug-in named {name!r} is loaded", fix="ffm plugins list")


def _own(host: Host, hook: str, origin: Found) -> list[Offered[Any]]:
    offers: list[Offered[Any]] = host.labelers() if hook == "ffm_labelers" else host.offers(hook)
    return [offer for offer in offers if offer.origin == origin]


def _any_private(offers: Mapping[str, list[Offered[Any]]]) -> bool:
    return any(offer.record.private for offer in offers.get("ffm_labelers", ()))


def _feature_set(record: FeatureSet) -> dict[str, Any]:
    return {
        "name": record.name,
        "summary": record.summary,
        "warmup_bars": record.warmup_bars,
        "history_bars": record.history_bars,
        "memory": record.memory,
        "columns": [{"name": column.name, "unit": column.unit} for column in record.columns],
    }


def _exit_policy(record: ExitPolicy) -> dict[str, Any]:
    params = [{"name": param.name, "default": param.default} for param in record.params]
    return {
        "name": record.name,
        "summary": record.summary,
        "kind": record.kind,
        "params": params,
        "columns": [{"name": column.name, "unit": column.unit} for column in record.columns],
        "step": record.step is not None,
    }


def _check(record: VerdictCheck) -> dict[str, Any]:
    return {
        "name": record.name,
        "summary": record.summary,
        "claims": list(record.claims),
        "constants": dict(record.constants),
    }


def _embedder(record: Embedder) -> dict[str, Any]:
    summary = HIDDEN if record.private else record.summary
    return {"name": record.name, "summary": summary}


def _named(record: Learner | Control | Target | Command | CheckSet) -> dict[str, Any]:
    return {"name": record.name, "summary": record.summary}


_DESCRIBE: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "ffm_labelers": redact_labeler,
    "ffm_feature_sets": _feature_set,
    "ffm_learners": _named,
    "ffm_exit_policies": _exit_policy,
    "ffm_controls": _named,
    "ffm_commands": _named,
    "ffm_embedders": _embedder,
    "ffm_targets": _named,
    "ffm_verdict_checks": _check,
    "ffm_check_sets": _named,
}
