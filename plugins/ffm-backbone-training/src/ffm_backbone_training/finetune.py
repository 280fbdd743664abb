"""Fine-tuning a backbone on bars: windows, their split by time, the cut-off, the new card.

Windows never cross streams. Per stream the older ones train and the newer ones decide
when to stop, with ``context + horizon`` bars left out between the two. Every window,
its target included, ends before a date, which the card carries as the cut-off: a
backbone has nothing to say about bars that it was fitted to.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ffm_backbone_training.training import PROVENANCE, VARIABLES, Hear
from ffm_core.bars.sessions import trading_days
from ffm_core.bars.table import Bars
from ffm_core.embed.cards import DECODER, Card, read_card, verified
from ffm_core.embed.catalogue import BOXED, HUB, backbones_home, folder_of, folders
from ffm_core.embed.recipe import CONTEXT_BARS
from ffm_core.embed.windows import windows_at
from ffm_core.embed.worker import require_torch, run_job
from ffm_core.errors import ConfigError, ModelError, SampleError, UnavailableError
from ffm_core.runs.atomic import atomic_dir, require_writable
from ffm_core.types import Float32, Int64

LATE_SHARE = 0.3  # of every stream, left untouched without --until
_WORKER = "ffm_backbone_training.workers.finetune"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_TAKEN = (BOXED, *HUB, "stats")
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a backbone is fine-tuned.

    Parameters
    ----------
    lora : bool
        Train low-rank adapters; otherwise every weight.
    rank, alpha : int
        Of the adapters: ``W = W₀ + (alpha / rank) · BA``.
    dropout : float
        On the adapters' input.
    targets : tuple of str
        Projections of attention that get one: ``q``, ``k``, ``v``, ``o``.
    l2_to_init : float
        λ of ``λ‖θ − θ₀‖²``; of an adapter ``λ‖BA‖²``.
    learning_rate : float, optional
        Default 1e-4 for adapters, 1e-5 for every weight.
    steps, rows : int
        Longest training, and windows of one step.
    check_every, patience : int
        Steps between looks at the validation windows, and looks without gain to stop at.
    context, stride : int
        Bars of a window; bars between training windows.
    validation_share : float
        Newest share of the bars before the cut-off that decides when to stop.
    validation_windows : int
        At most so many of them, spread evenly.
    """

    lora: bool = True
    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q", "v")
    l2_to_init: float = 1e-3
    learning_rate: float | None = None
    steps: int = 1_000
    rows: int = 64
    check_every: int = 50
    patience: int = 3
    clip_norm: float = 1.0
    context: int = CONTEXT_BARS
    stride: int = 32
    validation_share: float = 0.15
    validation_windows: int = 2_048
    seed: int = 0

    def __post_init__(self) -> None:
        odd = sorted(set(self.targets) - set("qkvo"))
        least = {"rank": 1, "alpha": 1, "steps": 1, "rows": 1, "check_every": 1, "patience": 1,
                 "stride": 1, "validation_windows": 1, "l2_to_init": 0.0, "seed": 0}  # fmt: skip
        low = [name for name, floor in least.items() if not getattr(self, name) >= floor]
        if odd or not self.targets:
            raise ConfigError(f"adapters cannot go on {', '.join(odd) or 'nothing'}",
                              fix="name some of q, k, v and o")  # fmt: skip
        if low:
            raise ConfigError(f"{low[0]} is {getattr(self, low[0])}",
                              fix=f"give {least[low[0]]} or more")  # fmt: skip
        if not 0.0 < self.rate <= 1.0:
            raise ConfigError(f"the learning rate is {self.rate}", fix="give one like 1e-4")

    @property
    def rate(self) -> float:
        """The learning rate in use."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 1e-4 if self.lora else 1e-5

    def plain(self) -> dict[str, Any]:
        """Return them as plain values, what the worker and the card are given."""
        return {**asdict(self), "learning_rate": self.rate, "targets": list(self.targets)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Decision bars of one stream's windows; each window is ``context`` bars up to its own
    and ``horizon`` bars after it.

    ``training`` and ``validation`` are int64; ``last`` is the newest bar that any of
    them touches, -1 without one.
    """  # noqa: D205

    training: Int64
    validation: Int64
    last: int


def split(bars: Bars, settings: Settings, horizon: int, until: int) -> Split:
    """Choose a stream's windows.

    Parameters
    ----------
    bars : Bars
        The stream.
    settings : Settings
        Context, strides and shares.
    horizon : int
        Bars of a target.
    until : int
        Trading day, days since 1970; every window ends before its first bar.
    """
    context, apart = settings.context, settings.context + horizon
    stop = int(np.searchsorted(trading_days(bars), until, side="left"))
    edge = int(stop * (1.0 - settings.validation_share))
    training = np.arange(context - 1, max(edge - apart - horizon, 0), settings.stride)
    validation = np.arange(edge + context - 1, max(stop - horizon, 0), horizon)
    training, validation = (_usable(bars, at, context, horizon) for at in (training, validation))
    if len(validation) > settings.validation_windows:
        even = np.linspace(0, len(validation) - 1, settings.validation_windows)
        validation = validation[np.unique(even.astype(np.int64))]
    newest = [int(at[-1]) + horizon for at in (training, validation) if len(at)]
    return Split(training=training, validation=validation, last=max(newest, default=-1))


def _usable(bars: Bars, at: Int64, context: int, horizon: int) -> Int64:
    """Leave out windows without movement, or with a hole, a roll or a bad price anywhere."""
    if not len(at):
        return at.astype(np.int64)
    whole = windows_at(bars, at + horizon, context_bars=context + horizon).usable
    return np.asarray(at[whole & windows_at(bars, at, context_bars=context).usable])


def arrays(bars: Bars, at: Int64, context: int, horizon: int) -> tuple[Float32, Float32]:
    """Return contexts (N, context) and targets (N, horizon), float32.

    Contexts are what the embedder sees, :func:`.windows_at`; targets are in the same
    units, the context's standard deviations from its mean.
    """
    seen = windows_at(bars, at, context_bars=context)
    if not len(at):
        return seen.values, np.empty((0, horizon), dtype=np.float32)
    steps = np.arange(1 - context, horizon + 1)
    logs = np.log(bars.close[at[:, None] + steps]) - np.log(bars.close[at])[:, None]
    centre = logs[:, :context].mean(axis=1, keepdims=True)
    target = (logs[:, context:] - centre) / seen.scale[:, None]
    return seen.values, target.astype(np.float32)


def default_until(streams: Sequence[Bars]) -> int:
    """Return the trading day on which the last 30 % of the earliest stream begins."""
    return min(int(trading_days(bars)[int(len(bars) * (1.0 - LATE_SHARE))]) for bars in streams)


def finetune(
    base: str,
    streams: Sequence[Bars],
    name: str,
    settings: Settings,
    *,
    until: dt.date | None = None,
    adapter: Path | None = None,
    threads: int = 1,
    hear: Hear,
) -> Card | None:
    """Fine-tune a backbone, and add the result under a name of its own.

    Parameters
    ----------
    base : str
        A backbone on this machine.
    streams : sequence of Bars
        What to train on.
    name : str
        Name of the new backbone; its folder is ``FFM_HOME/backbones/<name>``.
    settings : Settings
        How.
    until : datetime.date, optional
        Trading date before which every window ends; default :func:`default_until`.
    adapter : pathlib.Path, optional
        Adapter of an earlier fine-tuning of the same base to go on from.
    threads : int
        Threads of the arithmetic.
    hear : callable
        Called with every message of the worker.

    Returns
    -------
    Card or None
        None when no step was better than the base on the validation windows; then
        nothing is written.

    Raises
    ------
    UnavailableError
        Without torch and its companions, or when the base is not on this machine.
    ModelError
        When the base cannot be rebuilt, or the adapter is one of another base.
    SampleError
        When the bars before the date hold too few windows.
    ConfigError, OutputError
        When the name is taken or a value cannot be used; when it cannot be written.
    """
    require_torch("fine-tuning")
    if settings.lora and find_spec("peft") is None:
        raise UnavailableError("adapters need peft, which is not installed", fix="pip install peft")
    folder = folder_of(base)
    card = read_card(folder)
    _check_name(name)
    _check_base(folder, card, settings)
    if adapter is not None and not settings.lora:
        raise ConfigError(
            "--full trains every weight and goes on from no adapter",
            fix="leave --full or --adapter out",
        )
    before = "" if adapter is None else check_adapter(adapter, card)
    out = backbones_home() / name
    require_writable(out.parent, moved_by="FFM_HOME")
    day = default_until(streams) if until is None else (until - _EPOCH).days
    chosen = [split(bars, settings, card.horizon, day) for bars in streams]
    newest = _newest(streams, chosen, day)
    for file in card.files:  # before minutes of work, though the worker looks again
        verified(folder, card, file)
    cutoff = max(newest, before, card.released if card.fit_cutoff is None else card.fit_cutoff)
    fields = {
        "name": name,
        "fit_cutoff": cutoff,
        "released": "",
        "trained_on": f"{card.trained_on}; fine-tuned on {_names(streams)} up to {newest}",
        "source": f"fine-tuned here from {card.name}",
        "base": card.weights_sha256,
        "facts": _facts(card, streams, chosen, settings, day),
    }
    job = {
        "base": str(folder), "threads": threads, "settings": settings.plain(), "card": fields,
        "final": str(out.resolve()),
        "adapter": "" if adapter is None else str(adapter),
    }  # fmt: skip
    with TemporaryDirectory() as place:
        windows = Path(place) / "windows.npz"
        _save(windows, streams, chosen, settings, card.horizon)
        try:
            with atomic_dir(out) as work:
                _run({**job, "windows": str(windows), "out": str(work)}, hear)
        except _NoBetterError:
            return None
    return read_card(out)


def _run(job: dict[str, Any], hear: Hear) -> None:
    done: dict[str, Any] = {}

    def listen(message: dict[str, Any]) -> None:
        if message["kind"] == "done":
            done.update(message)
        hear(message)

    run_job(job, _WORKER, listen, variables=VARIABLES)
    if not done["best_step"]:
        raise _NoBetterError


class _NoBetterError(Exception):
    """No step beat the base."""


def check_adapter(folder: Path, card: Card) -> str:
    """Return the cut-off of an adapter that belongs to a base.

    Raises
    ------
    ModelError
        When it is not an adapter, or one of another base.
    """
    try:
        told = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
        base, name, cutoff = str(told["base"]), str(told["name"]), str(told["fit_cutoff"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"{folder} is not an adapter: its {PROVENANCE} cannot be read",
            fix="give the folder 'adapter' of a backbone that was fine-tuned here",
        ) from error
    if base != card.weights_sha256:
        raise ModelError(
            f"the adapter in {folder} belongs to {name} ({base[:12]}), not to {card.name} "
            f"({card.weights_sha256[:12]})",
            fix=f"fine-tune {name}, or leave --adapter out",
        )
    return cutoff


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise ConfigError(
            f"{name!r} cannot be the name of a new backbone",
            fix="use lower-case letters, digits, '-', '_' and '.', and no name that FFM has",
        )
    if name in folders():
        raise ConfigError(
            f"there is a backbone named {name!r} already",
            fix=f"choose another --name, or remove {folder_of(name)}",
        )


def _check_base(folder: Path, card: Card, settings: Settings) -> None:
    if card.architecture != "chronos-bolt" or DECODER not in card.files:
        raise ModelError(
            f"{card.name} is not a Chronos-Bolt model that forecasts; only those are fine-tuned",
            fix="choose another backbone; 'ffm backbone list' shows them",
        )
    if settings.context % card.patch or not 0 < settings.context <= card.context_length:
        raise ConfigError(
            f"{card.name} takes windows of a multiple of {card.patch} bars up to "
            f"{card.context_length}, not {settings.context}",
            fix="choose another --context",
        )


def _newest(streams: Sequence[Bars], chosen: Sequence[Split], until: int) -> str:
    """Return the trading date of the newest bar that any window touches."""
    kinds = ("training", "validation")
    counts = [sum(len(getattr(part, kind)) for part in chosen) for kind in kinds]
    if not all(counts):
        raise SampleError(
            f"the bars before {_iso(until)} hold {counts[0]} training and {counts[1]} validation "
            "windows",
            fix="bring a longer span, or choose a later --until",
        )
    pairs = zip(streams, chosen, strict=True)
    return _iso(max(int(trading_days(bars)[part.last]) for bars, part in pairs if part.last >= 0))


def _facts(
    card: Card, streams: Sequence[Bars], chosen: Sequence[Split], settings: Settings, until: int
) -> Mapping[str, Any]:
    return {
        "base_name": card.name,
        "until": _iso(until),
        "settings": settings.plain(),
        "windows": {
            bars.stream: {"training": len(part.training), "validation": len(part.validation)}
            for bars, part in zip(streams, chosen, strict=True)
        },
    }


def _save(
    path: Path, streams: Sequence[Bars], chosen: Sequence[Split], settings: Settings, horizon: int
) -> None:
    parts = {}
    for kind in ("training", "validation"):
        found = [
            arrays(bars, getattr(part, kind), settings.context, horizon)
            for bars, part in zip(streams, chosen, strict=True)
        ]
        parts[f"{kind}_context"] = np.concatenate([context for context, _ in found])
        parts[f"{kind}_target"] = np.concatenate([target for _, target in found])
    np.savez(path, **parts)  # type: ignore[arg-type]


def _names(streams: Sequence[Bars]) -> str:
    return ", ".join(bars.stream for bars in streams)


def _iso(day: int) -> str:
    return (_EPOCH + dt.timedelta(days=day)).isoformat()
