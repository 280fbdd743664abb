"""The outside tables of a run: what plug-ins declare, and what the user hands over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ffm_core.bars import Bars
from ffm_core.bars.input_audit import audit_input
from ffm_core.bars.readers.tables import LoadedInput, load_input
from ffm_core.bars.sessions import to_stamp
from ffm_core.errors import StrategyError, UsageError
from ffm_core.evaluate.parts import Parts
from ffm_core.records import FeatureSet, Input, Labeler
from ffm_core.records.answers import checked_inputs
from ffm_core.records.strategy import KNOWN_AT
from ffm_core.runs.config import EvalConfig
from ffm_core.wording import did_you_mean


def declared_inputs(parts: Parts) -> tuple[Input, ...]:
    """Return what the labeler and the feature sets of a run read, each input once."""
    found: dict[str, Input] = {}
    records: tuple[Labeler | FeatureSet, ...] = (parts.labeler, *parts.feature_sets)
    for record in records:
        for one in checked_inputs(record):
            known = found.setdefault(one.name, one)
            if (known.lag, known.max_age) != (one.lag, one.max_age):
                raise StrategyError(
                    f"input {one.name!r} is declared with two lags or two greatest ages",
                    fix="declare it alike in the labeler and in every feature set",
                )
            both = dict.fromkeys((*known.columns, *one.columns))
            found[one.name] = replace(known, columns=tuple(both))
    return tuple(found.values())


def require_named(declared: Sequence[Input], given: Mapping[str, str]) -> None:
    """Require a file for every declared input, and no others; a ``UsageError`` names the first."""
    names = [one.name for one in declared]
    for name in given:
        if name not in names:
            reads = f"; inputs: {', '.join(names)}" if names else "; nothing here reads inputs"
            raise UsageError(
                f"--input {name}: no plug-in of this run reads an input {name!r}"
                f"{did_you_mean(name, names)}",
                fix=f"drop it, or correct its name{reads}",
            )
    for one in declared:
        if one.name not in given:
            told = f" ({one.description})" if one.description else ""
            raise UsageError(
                f"the input {one.name!r}{told} was not handed over",
                fix=f"add --input {one.name}=PATH, a table with the columns "
                f"{', '.join((KNOWN_AT, *one.columns))}",
            )


def load_inputs(
    declared: Sequence[Input], config: EvalConfig, streams: Sequence[Bars]
) -> tuple[LoadedInput, ...]:
    """Open, validate and audit the tables of a run."""
    loaded = []
    for one in declared:
        found = load_input(Path(config.inputs[one.name]), one, tz=config.tz)
        audit_input(found, streams, tz=config.tz)
        loaded.append(found)
    return tuple(loaded)


def input_facts(loaded: Sequence[LoadedInput], *, private: bool) -> list[dict[str, Any]]:
    """Return what the run record says of the tables; base names only."""
    return [
        {
            "name": f"private_input_{place}" if private else one.table.name,
            "path_name": "private" if private else one.source_name,
            "sha256": one.table.sha256,
            "rows": len(one.table),
            "first": to_stamp(int(one.known_us[0])),
            "last": to_stamp(int(one.known_us[-1])),
        }
        for place, one in enumerate(loaded, start=1)
    ]


__all__ = ["declared_inputs", "input_facts", "load_inputs", "require_named"]
