"""From defaults, file, environment and flags to one :class:`EvalConfig`."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ffm_core.errors import ConfigError
from ffm_core.records import Param, ParamValue
from ffm_core.runs.config import EvalConfig, field_names
from ffm_core.runs.reading import small_text
from ffm_core.wording import did_you_mean

_PREFIX = "FFM_"
# Variables of FFM that are no settings of an evaluation.
_OTHER_VARIABLES = frozenset({"FFM_HOME", "FFM_PLUGINS", "FFM_STRICT", "FFM_TEST_DATA"})
_SETTINGS = ("params", "exit_params")
_TABLES = (*_SETTINGS, "inputs")
_FLAGS = {"date_from": "--from", "date_to": "--to", "params": "--set", "exit_params": "--set",
          "inputs": "--input", "extensions": "--with", "strategy": "NAME"}  # fmt: skip
_DATE = "write it like 2024-03-11"
_FIXES = {"date_from": _DATE, "date_to": _DATE}


def resolve(
    flags: Mapping[str, Any],
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> EvalConfig:
    """Merge defaults < file < environment < flags.

    Parameters
    ----------
    flags : mapping
        Values given on the command line, by setting name; None means not given.
    file : pathlib.Path, optional
        TOML file whose top-level keys are settings, with tables ``[params]``,
        ``[exit_params]`` and ``[inputs]``.
    environ : mapping, optional
        Environment variables; default those of the process.

    Raises
    ------
    ConfigError
        For an unknown key (with the nearest known one), a value out of range, or a
        file that cannot be read.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    _check_names(given, "the command line")
    variables = _from_environment(os.environ if environ is None else environ)
    layers: list[tuple[Mapping[str, Any], Mapping[str, str]]] = []
    if file is not None:
        values = read_config_file(file)
        layers.append((values, dict.fromkeys(values, f"file {file.name}")))
    layers.append((variables, {k: f"environment {_PREFIX}{k.upper()}" for k in variables}))
    layers.append((given, {k: f"flag {_flag(k)}" for k in given}))
    return _build(layers)


def read_config_file(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings; unknown keys are errors."""
    try:
        values = tomllib.loads(small_text(path))
    except OSError as error:
        raise ConfigError(
            f"cannot read the configuration {path}: {error.strerror}",
            fix="give the path of a readable TOML file to --config",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path.name} is not valid TOML: {error}",
            fix='write one setting per line, such as seed = 1 or learner = "none"',
        ) from error
    _check_names(values, path.name)
    return values


def parse_settings(
    items: Iterable[str],
) -> tuple[dict[str, ParamValue], dict[str, ParamValue]]:
    """Read ``--set k=v`` and ``--set exit.k=v``.

    Returns
    -------
    tuple of dict
        Labeler parameters and exit parameters. Values that look like true, false or
        numbers become such; everything else stays text.
    """
    labeler: dict[str, ParamValue] = {}
    leaving: dict[str, ParamValue] = {}
    for item in items:
        name, equals, text = item.partition("=")
        name = name.strip()
        target, key = (leaving, name[5:]) if name.startswith("exit.") else (labeler, name)
        if not equals or not key:
            raise ConfigError(
                f"--set {item!r} is not a setting", fix="write it like --set window=14"
            )
        if key in target:
            raise ConfigError(f"--set sets {name!r} twice", fix="set it once")
        target[key] = _scalar(text.strip())
    return labeler, leaving


def parse_inputs(items: Iterable[str]) -> dict[str, str]:
    """Read ``--input name=path``; return paths by name."""
    found: dict[str, str] = {}
    for item in items:
        name, equals, path = (part.strip() for part in item.partition("="))
        if not (name and equals and path):
            raise ConfigError(
                f"--input {item!r} names no table", fix="write it like --input vix=vix_daily.csv"
            )
        if name in found:
            raise ConfigError(f"--input gives {name!r} twice", fix="give it once")
        found[name] = path
    return found


def check_params(
    declared: Sequence[Param], given: Mapping[str, ParamValue], *, owner: str
) -> dict[str, ParamValue]:
    """Return every declared parameter with its value, checked and of its own type.

    Parameters
    ----------
    declared : sequence of Param
        What the labeler or exit policy offers.
    given : mapping
        What the user set.
    owner : str
        Named in messages, for example ``supertrend``.

    Raises
    ------
    ConfigError
        For an unknown parameter, a value of another type, or one out of range.
    """
    known = {param.name: param for param in declared}
    for name in given:
        if name not in known:
            raise ConfigError(
                f"{owner} has no parameter {name!r}{did_you_mean(name, known)}",
                fix=f"choose from: {', '.join(known)}" if known else "it has no parameters",
            )
    return {name: param.checked(given.get(name, param.default), owner)
            for name, param in known.items()}  # fmt: skip


def _build(layers: Sequence[tuple[Mapping[str, Any], Mapping[str, str]]]) -> EvalConfig:
    attributes = field_names()
    merged: dict[str, Any] = {}
    origins = dict.fromkeys(attributes, "default")
    for values, sources in layers:
        for name, value in values.items():
            if name in _TABLES and isinstance(value, Mapping):
                merged[name] = {**merged.get(name, {}), **value}
                origins.update({f"{name}.{key}": sources[name] for key in value})
            else:
                merged[name] = value
            origins[name] = sources[name]
    try:
        return EvalConfig.model_validate(merged)
    except ValidationError as error:
        raise _explained(error, origins) from error


def _explained(error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"][:2])
    reason = first["msg"].removeprefix("Value error, ")
    if not place:
        return ConfigError(reason, fix="change one of the settings named above")
    name = str(first["loc"][0])
    if first["type"] == "missing":
        return ConfigError(f"setting {name!r} is missing", fix=f"give {_flag(name)}")
    field = EvalConfig.model_fields[field_names()[name]]
    source = origins.get(place, origins.get(name, "default"))
    if name in _SETTINGS:  # pydantic speaks of the first kind it tried only
        reason = "expected a finite number, true, false or text"
    fix = _FIXES.get(name, f"correct {_where(name, source)}: {field.description}")
    return ConfigError(
        f"setting {place!r} (from {source}) is {first['input']!r}: {reason}", fix=fix
    )


def _where(name: str, source: str) -> str:
    """Return what to edit: ``--seed``, ``FFM_SEED``, or ``seed in c.toml``."""
    kind, _, given = source.partition(" ")
    return f"{name} in {given}" if kind == "file" else given or name


def _check_names(values: Mapping[str, Any], where: str) -> None:
    known = field_names()
    for name, value in values.items():
        if name not in known:
            near = did_you_mean(name, known)
            raise ConfigError(
                f"{where}: unknown setting {name!r}{near}",
                fix="correct the name, or remove it"
                if near
                else f"known settings: {', '.join(known)}",
            )
        if name in _TABLES and not isinstance(value, Mapping):
            raise ConfigError(f"{where}: {name!r} must be a table", fix=f"write [{name}]")


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    known = {f"{_PREFIX}{name.upper()}": name for name in field_names() if name not in _TABLES}
    found: dict[str, str] = {}
    for variable, text in sorted(environ.items()):
        if variable in known:
            found[known[variable]] = text
        elif variable.startswith(_PREFIX) and variable not in _OTHER_VARIABLES:
            # Other software may own FFM_ variables; only a near miss is surely a mistake.
            near = did_you_mean(variable, known, cutoff=0.88)
            if near:
                raise ConfigError(
                    f"unknown environment variable {variable}{near}",
                    fix=f"rename or unset {variable}",
                )
    return found


def _scalar(text: str) -> ParamValue:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _flag(name: str) -> str:
    return _FLAGS.get(name, f"--{name.replace('_', '-')}")
