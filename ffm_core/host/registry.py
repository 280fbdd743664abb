"""``Host``: what the loaded plug-ins offer, by name and with its origin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

from ffm_core.errors import StrategyError, UnavailableError, UnknownNameError
from ffm_core.host.absent import require_fitted, require_installed
from ffm_core.host.boundary import absent_library, call_plugin
from ffm_core.host.code import code_hash, reads_remembered
from ffm_core.host.discovery import Found, conflict, listed
from ffm_core.records import (
    CheckSet,
    Command,
    Control,
    Embedder,
    ExitPolicy,
    FeatureSet,
    Labeler,
    Learner,
    Target,
    VerdictCheck,
)
from ffm_core.records.forms import require_unique
from ffm_core.wording import suggest

T = TypeVar("T")

# hook -> (what it offers in words, the type every offer must have)
OFFERS: Mapping[str, tuple[str, type]] = {
    "ffm_labelers": ("labeler", Labeler),
    "ffm_feature_sets": ("feature set", FeatureSet),
    "ffm_embedders": ("embedder", Embedder),
    "ffm_learners": ("learner", Learner),
    "ffm_exit_policies": ("exit policy", ExitPolicy),
    "ffm_targets": ("target", Target),
    "ffm_commands": ("command", Command),
    "ffm_controls": ("control", Control),
    "ffm_verdict_checks": ("verdict check", VerdictCheck),
    "ffm_check_sets": ("check set", CheckSet),
}
MOVING = "docs/how-to/move-to-hook-api-2.md"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(:[A-Za-z0-9_.-]+)?")
_TARGET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+")
_MARKED = ("ffm_labelers", "ffm_embedders")  # whose records say themselves that they are private


@dataclass(frozen=True, slots=True)
class Offered(Generic[T]):
    """A record and who offers it."""

    record: T
    origin: Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """One imported plug-in: its hooks, not yet called."""

    origin: Found
    hooks: Mapping[str, Callable[[], object]]
    hook_api: int


class Host:
    """Everything the loaded plug-ins offer; hooks are called once, when first asked.

    Build it with :func:`ffm_core.host.loading.open_host`. A pickled host opens
    the same plug-ins again where it is unpickled, so it can go to a worker.

    Parameters
    ----------
    loaded : tuple of Loaded
        Built-ins first, then the strategy, then extensions as they were named.
    unavailable : mapping of str to str
        Built-ins that lack an optional library, with the reason.
    reopen : callable, tuple
        What makes the same host elsewhere, and its arguments.
    strategy : Found, optional
        The strategy under judgement.
    default_labeler : str, optional
        Labeler named explicitly, as in ``name:variant``.
    """

    def __init__(
        self,
        *,
        loaded: tuple[Loaded, ...],
        unavailable: Mapping[str, str],
        reopen: tuple[Callable[..., Host], tuple[object, ...]],
        strategy: Found | None,
        default_labeler: str | None = None,
    ) -> None:
        self.loaded = loaded
        self.unavailable = dict(unavailable)
        self._reopen = reopen
        self._strategy = strategy
        self._default_labeler = default_labeler
        self._offers: dict[str, list[Offered[Any]]] = {}

    def __reduce__(self) -> tuple[Callable[..., Host], tuple[object, ...]]:
        return self._reopen

    @property
    def strategy(self) -> Found:
        """The strategy under judgement; a ``UnknownNameError`` when none was named."""
        if self._strategy is None:
            raise UnknownNameError("no strategy was named", fix="ffm plugins list shows them")
        return self._strategy

    @property
    def extensions(self) -> tuple[Found, ...]:
        """The extensions that were switched on by name, in that order."""
        rest = (item.origin for item in self.loaded if item.origin != self._strategy)
        return tuple(item for item in rest if not item.is_core)

    def has(self, name: str, hooks: Iterable[str]) -> bool:
        """Return whether a loaded plug-in offers ``name`` through one of some hooks."""
        offers = (offer.record for hook in hooks for offer in self.offers(hook))
        return any(name in (record.name, getattr(record, "group", None)) for record in offers)

    def labelers(self) -> list[Offered[Labeler]]:
        """Return every labeler; the strategy's are named ``name`` or ``name:variant``."""
        offers: list[Offered[Labeler]] = self.offers("ffm_labelers")
        for offer in offers:
            _check_labeler(offer)
        return _as_their_packages(offers)

    def feature_sets(self) -> list[Offered[FeatureSet]]:
        """Return every feature set."""
        return self.offers("ffm_feature_sets")

    def embedders(self) -> list[Offered[Embedder]]:
        """Return every embedder whose weights are on this machine."""
        return _as_their_packages(self.offers("ffm_embedders"))

    def private_offers(self) -> list[Offered[Any]]:
        """Return everything but labelers and embedders that private packages offer."""
        marked: list[Offered[Any]] = [*self.labelers(), *self.embedders()]
        private = {offer.origin.distribution for offer in marked if offer.record.private}
        found: list[Offered[Any]] = []
        for plugin in self.loaded:
            if plugin.origin.distribution in private or plugin.origin.is_private:
                hooks = [hook for hook in plugin.hooks if hook in OFFERS and hook not in _MARKED]
                own = (offer for hook in hooks for offer in self.offers(hook))
                found.extend(offer for offer in own if offer.origin == plugin.origin)
        return found

    def learners(self) -> list[Offered[Learner]]:
        """Return every learner whose library is installed."""
        return self.offers("ffm_learners")

    def targets(self) -> list[Offered[Target]]:
        """Return every target."""
        return self.offers("ffm_targets")

    def command(self, name: str) -> Offered[Command]:
        """Return the command called ``name``, for example ``backbone.pretrain``."""
        return self._one("ffm_commands", name)

    def controls(self) -> list[Offered[Control]]:
        """Return every extra control arm."""
        return self.offers("ffm_controls")

    def verdict_checks(self) -> list[Offered[VerdictCheck]]:
        """Return every verdict check; compare :meth:`is_core` to tell ours from theirs."""
        return self.offers("ffm_verdict_checks")

    def labeler(self, name: str | None = None) -> Offered[Labeler]:
        """Return the labeler called ``name``; by default the one under judgement."""
        offers = self.labelers()
        wanted = name or self._default_labeler
        if wanted is None:
            own = [offer for offer in offers if offer.origin == self.strategy]
            if self.strategy.path is not None and len(own) == 1:
                return own[0]  # a single file may call its only labeler what it likes
            wanted = self.strategy.name
        elif self._strategy is not None and ":" not in wanted:
            # 'idea.py:fast' may name either 'fast' or 'idea:fast'
            full = f"{self._strategy.name}:{wanted}"
            wanted = full if any(offer.record.name == full for offer in offers) else wanted
        return self._one("ffm_labelers", wanted)

    def feature_set(self, name: str) -> Offered[FeatureSet]:
        """Return the feature set called ``name``."""
        return self._one("ffm_feature_sets", name)

    def embedder(self, name: str) -> Offered[Embedder]:
        """Return the embedder called ``name``."""
        return self._one("ffm_embedders", name)

    def learner(self, name: str) -> Offered[Learner]:
        """Return the learner called ``name``.

        Raises
        ------
        UnavailableError
            When it is one of ours and its optional library is not installed.
        """
        return self._one("ffm_learners", name)

    def exit_policy(self, name: str) -> Offered[ExitPolicy]:
        """Return the exit policy called ``name``."""
        return self._one("ffm_exit_policies", name)

    def target(self, name: str) -> Offered[Target]:
        """Return the target called ``name``, for example ``context/trendiness``."""
        return self._one("ffm_targets", name)

    def check_set(self, name: str) -> Offered[CheckSet]:
        """Return the check set called ``name``."""
        return self._one("ffm_check_sets", name)

    def offers(self, hook: str) -> list[Offered[Any]]:
        """Return what every loaded plug-in offers through ``hook``.

        Raises
        ------
        StrategyError
            When a plug-in raises inside the hook or offers something else.
        PluginConflictError
            When two plug-ins offer one name.
        """
        if hook not in self._offers:
            collected: list[Offered[Any]] = []
            for plugin in self.loaded:
                collected.extend(self._ask_one(plugin, hook))
            _reject_duplicates(OFFERS[hook][0], collected)
            self._offers[hook] = collected
        return list(self._offers[hook])

    def code_hash(self) -> str:
        """Hash of all that the strategy's and the named extensions' answers can depend on.

        Returns
        -------
        str
            See :func:`ffm_core.host.code.code_hash`; the same for an editable and an
            installed copy, and wherever they lie.
        """
        own = [] if self._strategy is None else [self._strategy]
        return code_hash([*own, *self.extensions])

    def is_core(self, origin: Found) -> bool:
        """Return whether ``origin`` is ffm-core itself."""
        return origin.is_core

    def _ask_one(self, plugin: Loaded, hook: str) -> list[Offered[Any]]:
        function = plugin.hooks.get(hook)
        if function is None:
            return []
        origin = plugin.origin
        try:
            # Generators run here too, so that what they raise is caught as well.
            with reads_remembered(origin):
                records = call_plugin(origin, f"hook {hook!r}", lambda: _listed(function()))
        except Exception as error:
            reason = absent_library(error) if origin.is_core else None
            if reason is None:
                raise
            self.unavailable[origin.name] = reason
            return []
        return [Offered(_checked(origin, hook, record), origin) for record in records]

    def _one(self, hook: str, name: str) -> Offered[Any]:
        what, _ = OFFERS[hook]
        offers = self.labelers() if hook == "ffm_labelers" else self.offers(hook)
        for offer in offers:
            if offer.record.name == name:
                return offer
        if name in self.unavailable:
            raise UnavailableError(
                f"{what} {name!r} is not available: {self.unavailable[name]}",
                fix=f'pip install "ffm-core[{name}]"',
            )
        require_fitted(name)
        require_installed(name, hook, what=what)
        raise UnknownNameError(
            f"there is no {what} named {name!r}",
            fix=suggest(
                name, [*(o.record.name for o in offers), *listed(hook)], noun=_plural(what)
            ),
        )


def _as_their_packages(offers: list[Offered[Any]]) -> list[Offered[Any]]:
    """Return the offers, each private where its package is: privacy belongs to the package."""
    private = {offer.origin.distribution for offer in offers if offer.record.private}
    return [
        replace(offer, record=replace(offer.record, private=True))
        if offer.origin.distribution in private or offer.origin.is_private
        else offer
        for offer in offers
    ]


def _plural(what: str) -> str:
    return what[:-1] + "ies" if what.endswith("y") else what + "s"


def _listed(answer: object) -> list[object]:
    if answer is None or isinstance(answer, str | bytes | Mapping):
        raise TypeError(f"the hook returned {type(answer).__name__}, expected a list of records")
    return list(cast("Iterable[object]", answer))


def _checked(origin: Found, hook: str, record: object) -> object:
    what, kind = OFFERS[hook]
    if not isinstance(record, kind):
        wanted = [member for member in vars(kind) if not member.startswith("_")]
        lacking = [member for member in wanted if not hasattr(record, member)]
        lacks = f": it lacks {', '.join(lacking)}" if 0 < len(lacking) < len(wanted) else ""
        raise StrategyError(
            f"{origin.who}: hook {hook!r} offers a {type(record).__name__}, "
            f"expected a {kind.__name__}{lacks}",
            fix=f"{MOVING} says what a plug-in written for hook API 1 changes"
            if lacks
            else f"return ffm_core.{kind.__name__} records",
        )
    name = getattr(record, "name", None)
    is_target = hook == "ffm_targets"
    pattern = _TARGET_NAME if is_target else _NAME
    if not isinstance(name, str) or not pattern.fullmatch(name):
        then = "and '/' behind its group" if is_target else "and ':' before a variant"
        raise StrategyError(
            f"{origin.who}: hook {hook!r} offers a {what} named {name!r}",
            fix=f"name it with letters, digits, '_', '-' or '.', {then}",
        )
    for part, member in (("column", "columns"), ("parameter", "params")):
        names = [one.name for one in getattr(record, member, ())]
        require_unique(f"{origin.who}: {what} {name!r}", part, names)
    return record


def _check_labeler(offer: Offered[Labeler]) -> None:
    labeler, origin = offer.record, offer.origin
    allowed = labeler.name == origin.name or labeler.name.startswith(origin.name + ":")
    if not allowed and origin.path is None:
        raise StrategyError(
            f"{origin.who}: labeler {labeler.name!r} does not carry the entry point's name",
            fix=f"name it {origin.name!r}, or '{origin.name}:variant' when there are several",
        )


def _reject_duplicates(what: str, offers: list[Offered[Any]]) -> None:
    by_name: dict[str, list[Found]] = {}
    for offer in offers:
        by_name.setdefault(offer.record.name, []).append(offer.origin)
    for name, claimants in by_name.items():
        if len(claimants) > 1:
            raise conflict(f"{what} {name!r}", claimants)
