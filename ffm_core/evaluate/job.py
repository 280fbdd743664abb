"""The job of an evaluation: plug-ins opened, data read, checks chosen; once and in one place."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ffm_core import __version__
from ffm_core.bars import Bars
from ffm_core.bars.instruments import undercuts
from ffm_core.bars.quality import Audit
from ffm_core.bars.readers import LoadedBars, load_many
from ffm_core.bars.sessions import to_stamp
from ffm_core.bars.simulate import demo_market
from ffm_core.embed.blocks import find_embedder, unknown_block
from ffm_core.errors import ConfigError, StrategyError, UnknownNameError, UsageError
from ffm_core.evaluate.executor import Executor
from ffm_core.evaluate.outside import declared_inputs, input_facts, load_inputs, require_named
from ffm_core.evaluate.parts import Parts, Source
from ffm_core.evaluate.terms import Terms, terms_of
from ffm_core.host.boundary import call_plugin
from ffm_core.host.code import code_behind
from ffm_core.host.loading import Host, Offered, Wish, open_host
from ffm_core.host.surroundings import environment_kept
from ffm_core.labels.policies import EXIT_POLICIES
from ffm_core.records import (
    Control,
    Embedder,
    ExitPolicy,
    FeatureSet,
    Labeler,
    Learner,
    VerdictCheck,
)
from ffm_core.ruler.checks import STRICT
from ffm_core.ruler.judging import with_constants
from ffm_core.runs.cache import Cache
from ffm_core.runs.config import EvalConfig
from ffm_core.runs.ledger import Ledger
from ffm_core.runs.reading import small_text
from ffm_core.wording import suggest


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything an evaluation needs, found and opened.

    ``parts`` and ``terms`` are opened once, here; ``source`` carries the parts to workers.
    ``checks`` is the pre-registered set, ``tightening`` are checks of extensions.
    ``strategy``, ``data`` and ``inputs`` are facts for the run record.
    """

    config: EvalConfig
    bars: Sequence[Bars]  # by stream
    source: Source
    terms: Terms
    learner: Learner | None
    controls: Sequence[Control]
    checks: Sequence[VerdictCheck]
    tightening: Sequence[VerdictCheck]
    strategy: dict[str, Any]
    data: Sequence[dict[str, Any]]
    code_hash: str
    home: Path
    executor: Executor
    cache: Cache
    ledger: Ledger
    inputs: Sequence[dict[str, Any]] = ()  # outside tables, in the order of ``bars[0].tables``
    qualifier: str = ""
    redact: Any = None  # a Redactor when a private labeler is judged, or a private embedder used

    @property
    def parts(self) -> Parts:
        """The records of the evaluation."""
        return self.source.parts

    @property
    def reads(self) -> frozenset[str]:
        """The columns of test decisions that the checks read."""
        return frozenset(name for check in (*self.checks, *self.tightening) for name in check.reads)


class HostSource:
    """Parts of installed or single-file plug-ins; opens them again in a worker."""

    def __init__(self, host: Host, features: tuple[str, ...], exit_name: str | None) -> None:
        self.host, self.features, self.exit_name = host, features, exit_name

    def __reduce__(self) -> tuple[Any, ...]:
        return HostSource, (self.host, self.features, self.exit_name)

    @cached_property
    def parts(self) -> Parts:
        """The records of the evaluation."""
        offered = self.host.labeler()
        labeler = offered.record
        label_policy = _static(self.host, labeler)
        run_policy = label_policy
        if self.exit_name not in (None, labeler.exit_name):
            run_policy = _policy(self.host, str(self.exit_name))
        sets, embedders = _blocks(self.host, self.features)
        return Parts(
            labeler=labeler,
            label_policy=label_policy,
            run_policy=run_policy,
            feature_sets=sets,
            call=partial(call_plugin, offered.origin, f"labeler {labeler.name!r}"),
            embedders=embedders,
            order=self.features,
        )


def _blocks(
    host: Host, wanted: Sequence[str]
) -> tuple[tuple[FeatureSet, ...], tuple[Embedder, ...]]:
    """Return feature sets and embedders by name; a name is looked up in that order."""
    sets = {offer.record.name: offer for offer in host.feature_sets()}
    chosen: list[FeatureSet] = []
    embedders: list[Embedder] = []
    for name in wanted:
        if name in sets:
            chosen.append(_guarded(sets[name], "feature set", "batch"))
            continue
        try:
            found = find_embedder(name, host)
        except UnknownNameError as error:
            raise unknown_block(name, list(sets), host) from error
        embedders.append(
            found if isinstance(found, Embedder) else _guarded(found, "embedder", "embed")
        )
    return tuple(chosen), tuple(embedders)


def _guarded(offer: Offered[Any], what: str, *functions: str) -> Any:
    """Return a record whose functions name their plug-in when they raise."""
    record, origin = offer.record, offer.origin
    if origin.is_core:
        return record
    calls = {
        name: partial(call_plugin, origin, f"{what} {record.name!r}", getattr(record, name))
        for name in functions
        if getattr(record, name) is not None
    }
    return replace(record, **calls)


def _policy(host: Host, name: str) -> ExitPolicy:
    policy: ExitPolicy = _guarded(
        host.exit_policy(name), "exit policy", "batch", "target_of", "start"
    )
    return policy


def _static(host: Host, labeler: Labeler) -> ExitPolicy:
    policy = _policy(host, labeler.exit_name)
    if policy.kind != "static":
        raise StrategyError(
            f"labeler {labeler.name!r} labels with exit {policy.name!r}, which is {policy.kind}",
            fix="labels need a static policy such as 'fixed_rr'",
        )
    return policy


class DirectSource:
    """Parts given as records, for worlds and tests."""

    def __init__(
        self, labeler: Labeler, features: tuple[str, ...] = (), exit_name: str | None = None
    ) -> None:
        self.labeler, self.features, self.exit_name = labeler, features, exit_name

    def __reduce__(self) -> tuple[Any, ...]:
        return DirectSource, (self.labeler, self.features, self.exit_name)

    @cached_property
    def parts(self) -> Parts:
        """The records, feature sets and embedders looked up by name."""
        policies = {policy.name: policy for policy in EXIT_POLICIES}
        sets, embedders = _blocks(open_host(naming=blocks_named(self.features)), self.features)
        return Parts(
            labeler=self.labeler,
            label_policy=policies[self.labeler.exit_name],
            run_policy=policies[self.exit_name or self.labeler.exit_name],
            feature_sets=sets,
            call=_call_directly,
            embedders=embedders,
            order=self.features,
        )


def _call_directly(function: Any, *args: Any, **kwargs: Any) -> Any:
    with environment_kept():
        return function(*args, **kwargs)


def blocks_named(features: Sequence[str]) -> list[Wish]:
    """Return feature sets and embedders as names that may switch a package on."""
    return [(name, ("ffm_feature_sets", "ffm_embedders")) for name in features]


def named_in(config: EvalConfig) -> list[Wish]:
    """Return every name in a configuration that may switch a package on."""
    found = blocks_named(config.features)
    if config.exit is not None:
        found.append((config.exit, ("ffm_exit_policies",)))
    if config.learner != "none":
        found.append((config.learner, ("ffm_learners",)))
    if not config.checks.endswith(".toml"):
        found.append((config.checks, ("ffm_check_sets",)))
    return found


def job_of(config: EvalConfig, home: Path) -> Job:
    """Open everything a configuration names, and the packages that bring it.

    The job's configuration lists every package that was switched on, whether by
    ``--with`` or by the name of something it offers.

    Raises
    ------
    FFMError
        For an unknown name, unreadable data, or a plug-in at fault.
    """
    host = open_host(config.strategy, config.extensions, naming=named_in(config))
    switched_on = tuple(sorted({item.name for item in host.extensions}))
    config = config.model_copy(update={"extensions": switched_on})
    offered = host.labeler()
    source = HostSource(host, config.features, config.exit)
    redact = _redactor(host, offered.record, offered.origin, config.features)
    # Before any data are read, which may take minutes.
    with redact.hiding() if redact is not None else nullcontext():
        terms = terms_of(source.parts, config)
        declared = declared_inputs(source.parts)
        require_named(declared, config.inputs)
        learner = learner_of(config, host)
        checks = checks_of(config, host)
    # In one order however they were named: rows are pooled and drawn by stream.
    loaded = sorted(load_bars(config), key=lambda item: item.bars.stream)
    origin, private = offered.origin, offered.record.private
    with redact.hiding() if redact is not None else nullcontext():
        outside = load_inputs(declared, config, [item.bars for item in loaded])
    return Job(
        config=config,
        bars=[replace(i.bars, tables=tuple(o.table for o in outside)) for i in loaded],
        inputs=input_facts(outside, private=private),
        source=source,
        terms=terms,
        learner=learner,
        controls=[_guarded(offer, "control", "change") for offer in host.controls()],
        checks=checks,
        tightening=[
            _guarded(offer, "verdict check", "judge")
            for offer in host.verdict_checks()
            if not host.is_core(offer.origin)
        ],
        strategy={
            "name": offered.record.name,
            "distribution": origin.distribution,
            "version": origin.version,
            "private": private,
            "summary": offered.record.summary,
            "labeler": offered.record.name,
        },
        data=[data_facts(item) for item in loaded],
        code_hash=host.code_hash(),
        home=home,
        executor=Executor(config.jobs or os.cpu_count() or 1),
        cache=Cache(home),
        ledger=Ledger(home),
        qualifier=qualifier_of(config, [item.bars for item in loaded]),
        redact=redact,
    )


def _redactor(host: Host, labeler: Labeler, origin: Any, features: Sequence[str]) -> Any:
    """Return what hides private names, None where nothing is private."""
    from ffm_core.host.redact import Redactor

    named = [offer for offer in host.embedders() if offer.record.name in features]
    hidden = [offer for offer in named if offer.record.private]
    others = host.private_offers()
    redactor = Redactor.of([labeler], origin=origin, embedders=hidden, others=others)
    return redactor if redactor.is_active else None


def learner_of(config: EvalConfig, host: Host) -> Learner | None:
    """Return the learner named by the configuration, None for ``none``."""
    if config.learner == "none":
        return None
    name = config.learner if config.head is None else f"{config.learner}:{config.head}"
    try:
        learner = host.learner(name).record
    except UnknownNameError as error:
        known = [*(offer.record.name for offer in host.learners()), "none"]
        raise UnknownNameError(error.problem, fix=suggest(name, known, noun="learners")) from error
    if learner.does != "selects":
        raise ConfigError(
            f"learner {name!r} {learner.does} trades; ffm eval judges learners that select",
            fix="name a learner that selects: 'ffm plugins list' shows them",
        )
    return learner


def checks_of(config: EvalConfig, host: Host) -> tuple[VerdictCheck, ...]:
    """Return the checks that judge.

    ``--checks FILE`` is a TOML file with one table per check that changes
    constants of ``strict``, for example ``[profit]`` with ``delta = 0.1``.
    """
    path = Path(config.checks)
    if path.suffix != ".toml":
        chosen = host.check_set(config.checks)
        checks = (Offered(check, chosen.origin) for check in chosen.record.checks)
        return tuple(_guarded(check, "verdict check", "judge") for check in checks)
    try:
        tables = tomllib.loads(small_text(path))
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}",
            fix="give --checks the path of a readable TOML file",
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"{path.name} is not valid TOML: {error}",
            fix="write [profit] and below it delta = 0.1",
        ) from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(
                f"{path.name}: {name!r} is not a table",
                fix="write [profit] and below it delta = 0.1",
            )
    return with_constants(STRICT, tables)


def qualifier_of(config: EvalConfig, bars: Sequence[Bars] = ()) -> str:
    """Return why a PASS of this run would be a qualified one, or nothing."""
    cheap = sorted({item.instrument.symbol for item in bars if undercuts(item.instrument)})
    parts = [*config.overrides(), *(f"lowered costs of {symbol}" for symbol in cheap)]
    return "judged with " + ", ".join(parts) if parts else ""


def load_bars(config: EvalConfig) -> list[LoadedBars]:
    """Return the bars that a configuration names."""
    if config.demo and config.data:
        raise UsageError("--demo and --data cannot be combined", fix="drop one")
    if config.demo:
        return [_simulated(bars) for bars in demo_market(config.seed)]
    if not config.data:
        raise UsageError(
            "no data given", fix="use --data PATH (for example --data ES=es_5m.csv), or --demo"
        )
    return list(
        load_many(
            config.data,
            tz=config.tz,
            stamps=config.stamps,
            policy=config.policy,
            accept_quality=config.accept_quality,
            date_from=config.date_from,
            date_to=config.date_to,
            instruments=config.instruments,
        )
    )


def _simulated(bars: Bars) -> LoadedBars:
    """Return bars that came from no file."""
    return LoadedBars(bars=bars, source_name="simulated", counts={}, audit=Audit(level="info"))


def data_facts(loaded: LoadedBars) -> dict[str, Any]:
    """Return what the run record says of a stream's data; base names only."""
    bars, audit = loaded.bars, loaded.audit
    return {
        "instrument": bars.instrument.symbol,
        "timeframe": bars.timeframe.name,
        "path_name": loaded.source_name,
        "sha256": bars.sha256,
        "rows": len(bars),
        "first": to_stamp(int(bars.ts_us[0])),
        "last": to_stamp(int(bars.ts_us[-1])),
        "currency": bars.instrument.currency,
        "timezone": bars.instrument.timezone,
        "audit": {
            "level": audit.level,
            "findings": [
                {"level": f.level, "code": f.code, "message": f.message, "count": f.count}
                for f in audit.findings
            ],
        },
        "dropped": dict(loaded.counts),
    }


def direct_job(
    bars: Sequence[Bars], labeler: Labeler, config: EvalConfig, home: Path, learner: Learner | None
) -> Job:
    """Return a job for bars and a labeler held in memory."""
    ordered = sorted(bars, key=lambda item: item.stream)
    checks = checks_of(config, open_host(naming=named_in(config)))
    source = DirectSource(labeler, config.features, config.exit)
    return Job(
        config=config,
        bars=ordered,
        source=source,
        terms=terms_of(source.parts, config),
        learner=learner,
        controls=[],
        checks=checks,
        tightening=[],
        strategy={
            "name": labeler.name,
            "distribution": "ffm-core",
            "version": __version__,
            "private": labeler.private,
            "summary": labeler.summary,
            "labeler": labeler.name,
        },
        data=[data_facts(_simulated(item)) for item in ordered],
        code_hash=_code_of(labeler),
        home=home,
        executor=Executor(config.jobs or 1),
        cache=Cache(home),
        ledger=Ledger(home),
        qualifier=qualifier_of(config),
    )


def _code_of(labeler: Labeler) -> str:
    """Hash the code behind the labeler's function; of ffm-core's own the module alone."""
    import inspect

    if found := code_behind(labeler.decide):
        return found
    try:
        text = inspect.getsource(inspect.getmodule(labeler.decide) or labeler.decide)
    except (OSError, TypeError):
        text = labeler.name
    return hashlib.sha256(text.encode()).hexdigest()
