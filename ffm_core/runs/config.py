"""``EvalConfig``: everything an evaluation was asked to do, in one frozen value.

Values come from four places, later ones winning: defaults, a TOML file
(``--config``), the environment (``FFM_SEED``, …) and flags. :func:`resolve`
keeps where each one came from.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ffm_core.records import Claim, Overlap
from ffm_core.runs.canonical import canonical_json, sha256_json

__all__ = ["EvalConfig", "canonical_json", "sha256_json"]


def _names(value: object) -> object:
    """Read ``a,b`` as two names; lists pass through."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _listed(value: object) -> object:
    """Read one text as a list of one; file names may hold commas."""
    return (value,) if isinstance(value, str) else value


def _day(value: object) -> object:
    """Read an ISO date; a bare number is no date, though pydantic would count seconds."""
    if isinstance(value, str):
        with suppress(ValueError):
            return dt.date.fromisoformat(value.strip())
        raise ValueError("not an ISO date")
    if isinstance(value, int | float):
        raise ValueError("a number is not a date")
    return value


Day: TypeAlias = Annotated[dt.date, BeforeValidator(_day)]
Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_names)]
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Value: TypeAlias = bool | int | Finite | str

# What the constants of the strict check set were chosen for. Asking for less, or for
# other folds, is allowed, but a PASS under it is a qualified one.
_STRICT_MINIMA = {"permutations": 39, "random_draws": 200, "entry_draws": 20, "resamples": 2000,
                  "n_seeds": 3, "embargo_days": 1}  # fmt: skip
_STRICT_VALUES = {"train_months": 3, "validation_months": 1, "test_months": 1, "top_share": 0.5,
                  "accept_quality": False, "accept_overlap": False, "checks": "strict",
                  "slippage_ticks": None}  # fmt: skip


class EvalConfig(BaseModel):
    """What ``ffm eval`` was asked to do.

    The first block of fields is part of a trial's identity: changing one makes
    another trial. The second block only says how and where to compute and show it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    strategy: str = Field(
        min_length=1, description="strategy name, or path of a single-file strategy"
    )
    claim: Claim | None = Field(
        default=None, description="selection or trigger; default by learner"
    )
    learner: str = Field(
        default="xgb", min_length=1, description="what picks among decisions, or none"
    )
    head: str | None = Field(
        default=None, description="signal head of the learner; default: the learner's own"
    )
    features: Names = Field(
        default=("ffm68",), description="feature sets and embedders, in order of columns"
    )
    exit: str | None = Field(
        default=None, description="exit policy of the trades; default: the labeler's"
    )
    params: dict[str, Value] = Field(default_factory=dict, description="labeler parameters")
    exit_params: dict[str, Value] = Field(default_factory=dict, description="exit parameters")
    checks: str = Field(default="strict", min_length=1, description="a check set, or a .toml file")
    extensions: Names = Field(default=(), description="installed extensions to enable")
    seed: int = Field(default=0, ge=0, lt=2**63, description="seed of everything random")
    n_seeds: int = Field(default=3, ge=1, le=100, description="models averaged per fold")
    permutations: int = Field(
        default=39, ge=1, le=100_000, description="label permutations per SHUFFLE"
    )
    ablate: Names = Field(
        default=(), description="blocks of columns to refit REAL without, for comparison"
    )
    random_draws: int = Field(
        default=200, ge=2, le=1_000_000, description="draws of the RANDOM arm"
    )
    entry_draws: int = Field(default=20, ge=1, le=10_000, description="draws of the ENTRY arm")
    resamples: int = Field(default=2000, ge=100, le=10_000_000, description="bootstrap resamples")
    overlap: Overlap = Field(
        default="each",
        description="hold every pick, one trade per stream at a time, or one over all streams",
    )
    flat_at_session_end: bool = Field(
        default=False, description="close trades at the session's end"
    )
    date_from: Day | None = Field(default=None, description="first trading date to use")
    date_to: Day | None = Field(default=None, description="last trading date to use")
    tz: str | None = Field(default=None, description="IANA time zone of timestamps without one")
    stamps: Literal["start", "end"] = Field(
        default="start", description="whether a bar's timestamp marks its open or its close"
    )
    policy: Literal["error", "drop"] = Field(
        default="error", description="what to do with invalid rows"
    )
    accept_quality: bool = Field(default=False, description="judge data that the audit rejects")
    accept_overlap: bool = Field(
        default=False, description="judge on months that a model may have been fitted to"
    )
    unseal: bool = Field(default=False, description="open the sealed tail, once")
    train_months: int = Field(default=3, ge=1, le=120, description="training window")
    validation_months: int = Field(default=1, ge=1, le=120, description="validation window")
    test_months: int = Field(default=1, ge=1, le=120, description="test window and stride")
    embargo_days: int = Field(
        default=1, ge=0, le=60, description="trading days left out between windows"
    )
    top_share: float = Field(
        default=0.5, gt=0, le=1, description="share of validation decisions taken"
    )
    slippage_ticks: Finite | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="slippage in ticks per side; default: the instrument table's",
    )

    data: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(), description="data files or folders: PATH or ES=PATH"
    )
    demo: bool = Field(default=False, description="use the simulated market")
    inputs: dict[str, str] = Field(
        default_factory=dict, description="files of the outside tables that plug-ins read"
    )
    instruments: Path | None = Field(default=None, description="TOML file declaring instruments")
    jobs: int | None = Field(
        default=None, ge=1, le=4096, description="worker processes; default: one per core"
    )
    out: Path = Field(default=Path("ffm-runs"), description="folder of run folders")
    json_output: bool = Field(default=False, alias="json", description="print one JSON document")
    quiet: bool = Field(default=False, description="no progress")
    debug: bool = Field(default=False, description="show tracebacks")

    @model_validator(mode="after")
    def _consistent(self) -> EvalConfig:
        if self.claim == "selection" and self.learner == "none":
            raise ValueError("the claim 'selection' needs a learner; use --claim trigger")
        if self.date_from and self.date_to and self.date_from > self.date_to:
            raise ValueError(f"--from {self.date_from} is after --to {self.date_to}")
        if len(set(self.features)) != len(self.features):
            raise ValueError("features lists the same set twice")
        blocks = ("labeler", *self.features)
        for block in self.ablate:
            if block not in blocks:
                raise ValueError(
                    f"ablate names {block!r}, which brings no columns here: {', '.join(blocks)}"
                )
        paths = (self.strategy, self.checks, *self.data, *self.inputs.values(), self.instruments,
                 self.out)  # fmt: skip
        if any("\0" in str(path) for path in paths):
            raise ValueError("a path contains a NUL character")
        return self

    @property
    def resolved_claim(self) -> Claim:
        """The claim to judge: ``trigger`` without a learner unless stated."""
        if self.claim is not None:
            return self.claim
        return "trigger" if self.learner == "none" else "selection"

    def identity(self) -> dict[str, Any]:
        """Return the part that belongs to a trial's identity, as JSON types.

        Returns
        -------
        dict
            All fields but those of display, place and workers. Paths are reduced to
            base names, since the files behind them are hashed by content elsewhere;
            ``claim`` is the resolved one; extensions are sorted. ``accept_overlap``
            is named where it is set, so that trials from before it keep their identity.
        """
        kept = self.model_dump(mode="json", exclude=set(NOT_IDENTITY))
        kept["strategy"] = _base_name(self.strategy)
        kept["checks"] = _base_name(self.checks)
        kept["claim"] = self.resolved_claim
        kept["extensions"] = sorted(set(self.extensions))
        if not self.accept_overlap:
            del kept["accept_overlap"]
        return kept

    def overrides(self) -> tuple[str, ...]:
        """Return the settings weaker than, or other than, those of ``strict``.

        A PASS under any of them is a qualified one. A signal head, exit or overlap
        rule is a choice of what to judge, not an override of how it is judged.
        """
        weaker = [f"{k}={getattr(self, k)}" for k, v in _STRICT_MINIMA.items()
                  if getattr(self, k) < v]  # fmt: skip
        other = [f"{k}={_base_name(str(getattr(self, k)))}" for k, v in _STRICT_VALUES.items()
                 if getattr(self, k) != v]  # fmt: skip
        return tuple(weaker + other)


NOT_IDENTITY = ("data", "demo", "inputs", "instruments", "jobs", "out", "json_output", "quiet",
                "debug")  # fmt: skip


def field_names() -> dict[str, str]:
    """Return the name users write of each field, and the attribute behind it."""
    return {field.alias or name: name for name, field in EvalConfig.model_fields.items()}


def _base_name(text: str) -> str:
    return Path(text).name or text
