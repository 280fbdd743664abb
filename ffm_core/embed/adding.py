"""Add a backbone: a published checkpoint or a folder becomes a verified model folder.

A torch process does the work; the folder appears under ``FFM_HOME/backbones`` in one step
and only after the model agreed with the original.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ffm_core.embed.cards import Card, read_card
from ffm_core.embed.catalogue import BOXED, HUB, backbones_home
from ffm_core.embed.stats import STATS
from ffm_core.embed.worker import require_torch, run_job
from ffm_core.errors import ConfigError, ModelError, UnknownNameError
from ffm_core.paths import is_folder_name, kind_of
from ffm_core.runs.atomic import atomic_dir
from ffm_core.wording import suggest

Hear = Callable[[str, str], None]

# When the published weights appeared; a market bar after that day they cannot have seen.
RELEASED = dict.fromkeys(HUB, "2024-11-26") | {"chronos-2": "2025-10-20"}
LICENCE = "Apache-2.0"
PROVENANCE = ("PROVENANCE.json", "training_provenance.json")
_WORKER = "ffm_core.embed.workers.convert"


def add_backbone(
    source: str,
    *,
    name: str | None = None,
    released: str | None = None,
    fit_cutoff: str | None = None,
    float16: bool = False,
    hear: Hear = lambda stage, what: None,
) -> Card:
    """Convert, verify and store a backbone.

    Parameters
    ----------
    source : str
        A name that is published, or a folder in the Hugging Face layout.
    name : str, optional
        Default that of the source.
    released, fit_cutoff : str, optional
        Days, where the source does not say them; "" as cut-off means that nothing was
        fitted to markets.
    float16 : bool
        Store the weights in half the bytes.
    hear : callable
        Told of every stage: its name, and what it is about.

    Returns
    -------
    Card
        Of the folder ``FFM_HOME/backbones/<name>``, which is there now.

    Raises
    ------
    UnavailableError
        When torch is absent, or the hub cannot be reached and the model is not here.
    ModelError
        When the checkpoint cannot be read, is not converted, or does not verify.
    UnknownNameError, ConfigError, OutputError
        When the name is no model and no folder, a flag is wrong, the name is taken, or
        the folder cannot be written.
    """
    card = _fields(source, name, released, fit_cutoff)
    require_torch("adding a backbone")
    with atomic_dir(backbones_home() / card["name"]) as out:
        job = {
            "source": _source(source),
            "out": str(out),
            "float16": float16,
            "threads": os.cpu_count() or 1,
            "card": card,
        }
        run_job(job, _WORKER, lambda message: _pass_on(message, hear))
    return read_card(backbones_home() / card["name"])


def _pass_on(message: Mapping[str, Any], hear: Hear) -> None:
    if message["kind"] == "stage":
        hear(message["stage"], message["what"])


def _source(asked: str) -> str:
    """Return what ``from_pretrained`` is given; a folder comes before a published name."""
    if kind_of(Path(asked) / "config.json") == "file":
        return str(Path(asked).resolve())
    if asked in HUB:
        return HUB[asked]
    if kind_of(Path(asked)) or "/" in asked or os.sep in asked:
        raise ModelError(
            f"{asked} is not a checkpoint folder: it contains no config.json",
            fix="give a folder with config.json and model.safetensors",
        )
    raise UnknownNameError(
        f"there is no backbone named {asked!r} to add, and no such folder",
        fix=suggest(asked, HUB, noun="published backbones"),
    )


def _fields(
    source: str, name: str | None, released: str | None, fit_cutoff: str | None
) -> dict[str, Any]:
    """Return the card's fields that do not come from the weights."""
    published = _source(source) == HUB.get(source)
    folder = Path(source)
    known = {} if published else _provenance(folder)
    name = name or (source if published else folder.resolve().name.lower())
    _require_free(name)
    for flag, day in (("--released", released), ("--fit-cutoff", fit_cutoff)):
        _require_day(flag, day)
    cutoff = fit_cutoff if fit_cutoff is not None else known.get("fit_cutoff")
    if published:
        trained = "many public and synthetic series; which markets is not published"
    else:
        trained = str(known.get("trained_on", "not known"))
    return {
        "name": name,
        "fit_cutoff": cutoff,
        "released": released or (RELEASED[source] if published else _newest(folder)),
        "trained_on": trained,
        "source": HUB[source] if published else f"folder {folder.resolve().name}",
        "base": str(known.get("base", "")),
        "facts": {"licence": LICENCE} if published else {},
    }


def _require_free(name: str) -> None:
    if not is_folder_name(name):
        raise ConfigError(
            f"{name!r} cannot name a backbone",
            fix="choose another with --name: lower-case letters, digits, '_', '-' and '.'",
        )
    if name in (BOXED, STATS.name):
        raise ConfigError(
            f"{name!r} is a name that FFM uses itself", fix="choose another with --name"
        )
    folder = backbones_home() / name
    if kind_of(folder):
        raise ConfigError(
            f"backbone {name!r} already exists in {folder}",
            fix="choose another name with --name, or remove that folder first",
        )


def _require_day(flag: str, day: str | None) -> None:
    if day:
        try:
            date.fromisoformat(day)
        except ValueError as error:
            raise ConfigError(
                f"{flag} {day!r} is not a date", fix="write it like 2024-11-26"
            ) from error


def _provenance(folder: Path) -> dict[str, Any]:
    """Return what a training left about itself beside the weights.

    Of its keys ``fit_cutoff``, ``trained_on`` and ``base`` are used.
    """
    for name in PROVENANCE:
        path = folder / name
        if kind_of(path) != "file":
            continue
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError("it is not an object")
            if found.get("fit_cutoff"):
                date.fromisoformat(found["fit_cutoff"])
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(
                f"{path} cannot be understood: {error}",
                fix="repair it, or remove it and give --fit-cutoff",
            ) from error
        return found
    return {}


def _newest(folder: Path) -> str:
    times = [path.stat().st_mtime for path in folder.iterdir() if kind_of(path) == "file"]
    return datetime.fromtimestamp(max(times, default=0.0), UTC).date().isoformat()
