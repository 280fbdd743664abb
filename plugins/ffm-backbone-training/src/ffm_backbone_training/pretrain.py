"""Pretraining a backbone on synthetic series: the configuration, the run, the model folder.

The model in the box was made this way; ``pretrain.toml`` is its configuration and the
default. Equal configuration, seed and number of threads give equal weights on one kind of
machine, however often the training was interrupted.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ffm_backbone_training.training import VARIABLES, Hear, States
from ffm_core.embed.cards import CARD, Card, read_card
from ffm_core.embed.worker import require_torch, run_job
from ffm_core.errors import ConfigError
from ffm_core.paths import kind_of
from ffm_core.runs.atomic import atomic_write, require_writable

DEFAULT = Path(__file__).with_name("pretrain.toml")
TRAINED_ON = (
    "synthetic series only: price paths with stochastic volatility, regimes, intraday clocks, "
    "jumps and gaps, and generic series; no bar of any market"
)
SHORTEST_HORIZON = 60  # steps that the hints look ahead
SHORTEST_CONTEXT = 32  # bars that the hints look back
_WORKER = "ffm_backbone_training.workers.pretrain"
_STORED = "recipe.json"
_MODEL = "model"

Count: TypeAlias = Annotated[int, Field(ge=1, le=100_000)]
Rate: TypeAlias = Annotated[float, Field(gt=0.0, le=1.0)]
Size: TypeAlias = Annotated[float, Field(gt=0.0, le=1_000.0)]


class Shape(BaseModel):
    """The architecture: Chronos-Bolt, a T5 on patches with a quantile head."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    d_model: int = Field(ge=4, le=4_096)
    d_kv: int = Field(ge=4, le=1_024)
    d_ff: int = Field(ge=4, le=16_384)
    num_heads: int = Field(ge=1, le=64)
    encoder_layers: int = Field(ge=1, le=48)
    decoder_layers: int = Field(ge=1, le=48)
    patch: int = Field(ge=1, le=256)
    horizon: int = Field(ge=SHORTEST_HORIZON, le=1_024)
    context_length: int = Field(ge=SHORTEST_CONTEXT, le=8_192)
    quantiles: tuple[Annotated[float, Field(gt=0.0, lt=1.0)], ...] = Field(min_length=1)


class TrainingSchedule(BaseModel):
    """Steps, batches and learning rate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(ge=1, le=10_000_000)
    rows: int = Field(ge=1, le=65_536)
    contexts: tuple[Count, ...] = Field(min_length=1)
    price_share: float = Field(ge=0.0, le=1.0)
    learning_rate: Rate
    warmup_steps: int = Field(ge=0, le=1_000_000)
    weight_decay: float = Field(ge=0.0, le=1.0)
    clip_norm: Size
    clip_target: Size
    hint_weight: float = Field(ge=0.0, le=100.0)
    checkpoint_every: int = Field(ge=1, le=1_000_000)


class TrainingPlan(BaseModel):
    """Everything that a pretrained backbone follows from, apart from the code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    seed: int = Field(ge=0, lt=2**63)
    model: Shape
    training: TrainingSchedule

    @model_validator(mode="after")
    def _agree(self) -> TrainingPlan:
        shape, training = self.model, self.training
        for context in (shape.context_length, *training.contexts):
            if context % shape.patch or not SHORTEST_CONTEXT <= context <= shape.context_length:
                raise ValueError(
                    f"a context of {context} bars: each is a multiple of patch ({shape.patch}), "
                    f"at least {SHORTEST_CONTEXT}, at most context_length ({shape.context_length})"
                )
        if list(shape.quantiles) != sorted(set(shape.quantiles)):
            raise ValueError("quantiles ascend, each once")
        if training.warmup_steps > training.steps:
            raise ValueError(f"warmup_steps is at most steps ({training.steps})")
        return self

    def recipe(self) -> dict[str, Any]:
        """Return it as plain values, what the worker is given."""
        recipe: dict[str, Any] = self.model_dump(mode="json")
        return recipe

    @property
    def sha256(self) -> str:
        """Hash of the recipe."""
        return hashlib.sha256(json.dumps(self.recipe(), sort_keys=True).encode()).hexdigest()

    def with_steps(self, steps: int) -> TrainingPlan:
        """Return the plan with another number of steps; a longer warm-up shrinks to a tenth."""
        recipe = self.recipe()
        recipe["training"]["steps"] = steps
        if recipe["training"]["warmup_steps"] > steps:
            recipe["training"]["warmup_steps"] = steps // 10
        return _validated(recipe, "--steps")


def read_plan(path: Path = DEFAULT) -> TrainingPlan:
    """Read a configuration of a pretraining.

    Raises
    ------
    ConfigError
        When it cannot be read, or a key is unknown, missing or out of range.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read the configuration {path}: {error.strerror}",
            fix="give --config the path of a readable TOML file",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path.name} is not valid TOML: {error}",
            fix=f"start from a copy of {DEFAULT}",
        ) from error
    return _validated(values, path.name)


def pretrain(plan: TrainingPlan, folder: Path, *, threads: int, hear: Hear) -> Card:
    """Train a backbone, or go on where a training stopped, and convert it.

    Parameters
    ----------
    plan : TrainingPlan
        What to train.
    folder : pathlib.Path
        Gets the states, ``checkpoint`` (Hugging Face layout), ``curve.json`` and
        ``model`` (the folder with card that embeds and forecasts).
    threads : int
        Threads of the arithmetic; other numbers may give other last digits.
    hear : callable
        Called with every message of the worker.

    Returns
    -------
    Card
        Of ``folder/model``; at once when the training is complete already.

    Raises
    ------
    UnavailableError
        Without torch and its companions.
    ConfigError
        When the folder holds the training of another configuration.
    OutputError
        When it cannot be written; what was there stays.
    """
    require_torch("pretraining")
    require_writable(folder, moved_by="--out")
    model = folder / _MODEL
    _claim(plan, folder, threads)
    if kind_of(model / CARD) == "file":
        return read_card(model)
    job = {
        "recipe": plan.recipe(),
        "recipe_sha256": plan.sha256,
        "folder": str(folder),
        "threads": threads,
        "trained_on": TRAINED_ON,
    }
    run_job(job, _WORKER, hear, variables=VARIABLES)
    return read_card(model)


def resumes_at(folder: Path) -> int:
    """Return the step of a folder's newest state, 0 when there is none."""
    return next(iter(States(folder).steps()), 0)


def _claim(plan: TrainingPlan, folder: Path, threads: int) -> None:
    """Note what the folder is for, or refuse one that is for something else."""
    path = folder / _STORED
    if kind_of(path) == "file":
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            same = stored["recipe_sha256"] == plan.sha256 and stored["threads"] == threads
        except (OSError, ValueError, TypeError, KeyError):
            same = False
        if not same:
            raise ConfigError(
                f"{folder} holds the training of another configuration or number of threads",
                fix="give the same --config, --steps and --threads, or another folder with --out",
            )
        return
    if kind_of(folder) == "folder" and (States(folder).steps() or kind_of(folder / _MODEL)):
        raise ConfigError(
            f"{folder} holds a training without its {_STORED}",
            fix="choose another folder with --out, or remove this one",
        )
    stored = {"recipe": plan.recipe(), "recipe_sha256": plan.sha256, "threads": threads}
    atomic_write(path, (json.dumps(stored, indent=2) + "\n").encode())


def _validated(values: Mapping[str, Any], source: str) -> TrainingPlan:
    try:
        return TrainingPlan.model_validate(values)
    except ValidationError as error:
        raise _explained(error, source) from error


def _explained(error: ValidationError, source: str) -> ConfigError:
    found = error.errors(include_url=False)
    # A key that is missing may be the one that is misspelt.
    first = next((item for item in found if item["type"] == "extra_forbidden"), found[0])
    place = [str(part) for part in first["loc"]]
    where = ".".join(place)
    if first["type"] == "extra_forbidden":
        known = _known(place[:-1])
        near = difflib.get_close_matches(place[-1], known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return ConfigError(
            f"{source}: unknown key {where!r}{hint}",
            fix="correct the name or leave it out" if near else f"known keys: {', '.join(known)}",
        )
    if first["type"] == "missing":
        return ConfigError(f"{source}: key {where!r} is missing", fix=f"copy it from {DEFAULT}")
    reason = first["msg"].removeprefix("Value error, ")
    if not place:
        return ConfigError(f"{source}: {reason}", fix="correct the numbers named here")
    return ConfigError(
        f"{source}: {where} is {first['input']!r}: {reason}", fix=f"correct {where} in {source}"
    )


def _known(place: list[str]) -> list[str]:
    tables: dict[str, type[BaseModel]] = {"model": Shape, "training": TrainingSchedule}
    return list(tables.get(place[0] if place else "", TrainingPlan).model_fields)
