"""``config.md``: every setting, where it can come from, and what it belongs to."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

import click
from pydantic.fields import FieldInfo

from _pages import markdown as md
from ffm_core.cli.eval import command
from ffm_core.runs.config import NOT_IDENTITY, EvalConfig

_INTRO = """# Configuration

Every setting of `ffm eval` has one name. Values come from four places, later ones
winning: defaults, a TOML file (`--config FILE`), the environment, flags. Unknown names
and values out of range are errors with a suggestion, exit code 2.

```toml title="eval.toml"
learner = "none"
seed = 7
date_from = 2022-03-01

[params]            # parameters of the strategy, like --set entry_bars=55
entry_bars = 55

[exit_params]       # parameters of the exit policy, like --set exit.tie=skip
tie = "skip"
```

Settings in the first table belong to the identity of a trial: changing one makes
another trial, which the ledger counts. Settings in the second table say where to find
things and how to show them; the data themselves belong to the identity by their content,
not by their path. `json`, `quiet` and `debug` take effect as flags only (`debug` also as
`FFM_DEBUG=1`).

"""
_AFTER = """## Check sets of your own

`--checks FILE.toml` changes constants of the strict set, one table per check; the names
are those of [Checks](checks.md). A PASS under a changed set is a qualified one.

```toml title="softer.toml"
[profit]
delta = 0.10

[sample]
min_trades = 200
```

## Other environment variables

| variable | what it does |
| --- | --- |
| `FFM_HOME` | moves the folder of ledger, cache, declared instruments and compiled kernels |
| `FFM_PLUGINS` | names the installed plug-ins that are visible, as `a,b`; empty hides all |
| `FFM_STRICT` | `1` raises a plug-in's original exception instead of one line |
| `FFM_DEBUG` | `1` shows tracebacks, like `--debug` |
| `NUMBA_CACHE_DIR` | moves the compiled kernels alone |
| `FFM_TEST_DATA` | real bars for the tests of this project; the product does not read it |
"""
# Options of ``ffm eval`` whose attribute has another name than the setting.
_ATTRIBUTES = {"exit": "exit_name", "params": "settings", "exit_params": "settings",
               "json": "as_json"}  # fmt: skip
_SHOWN = {"params": "`--set k=v`", "exit_params": "`--set exit.k=v`", "strategy": "NAME"}
_NO_VARIABLE = ("strategy", "params", "exit_params", "json", "quiet")


def page() -> str:
    """Return the page."""
    fields = EvalConfig.model_fields
    identity = {n: f for n, f in fields.items() if n not in NOT_IDENTITY}
    others = {n: f for n, f in fields.items() if n in NOT_IDENTITY}
    return md.join(
        [_INTRO, "## Part of a trial's identity\n", _table(identity),
         "## Not part of it\n", _table(others), _AFTER]
    )  # fmt: skip


def _table(fields: Mapping[str, FieldInfo]) -> str:
    rows = []
    for attribute, field in fields.items():
        name = field.alias or attribute
        rows.append((md.code(name), _default(field), _values(field), _flag(name),
                     _variable(name), field.description or ""))  # fmt: skip
    head = ("setting", "default", "values", "flag", "environment", "meaning")
    return md.table(head, rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return "none" if value is None else "empty"
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return md.code(str(value).lower() if isinstance(value, bool) else value)


def _values(field: FieldInfo) -> str:
    kind: Any = field.annotation
    choices: list[str] = []
    for part in typing.get_args(kind) if _is_union(kind) else (kind,):
        if typing.get_origin(part) is typing.Literal:
            choices += [md.code(choice) for choice in typing.get_args(part)]
    if choices:
        return ", ".join(choices)
    return " ".join([_kind(kind), _range(field)]).strip()


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _kind(kind: Any) -> str:
    if _is_union(kind):
        kind = next(part for part in typing.get_args(kind) if part is not types.NoneType)
    kind = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
    origin = typing.get_origin(kind) or kind
    words = {"str": "text", "int": "integer", "float": "number", "bool": "true, false",
             "tuple": "names", "dict": "table", "date": "date", "Path": "path"}  # fmt: skip
    return words[origin.__name__]


def _range(field: FieldInfo) -> str:
    found = {type(limit).__name__: limit for limit in field.metadata}
    low = ">= {}".format(found["Ge"].ge) if "Ge" in found else ""
    low = "> {}".format(found["Gt"].gt) if "Gt" in found else low
    high = "<= {}".format(found["Le"].le) if "Le" in found else ""
    return ", ".join(part for part in (low, high) if part)


def _flag(name: str) -> str:
    if name in _SHOWN:
        return _SHOWN[name]
    flags = {
        param.name: param.opts[0] for param in command.params if isinstance(param, click.Option)
    }
    return md.code(flags.get(_ATTRIBUTES.get(name, name), ""))


def _variable(name: str) -> str:
    return "" if name in _NO_VARIABLE else md.code(f"FFM_{name.upper()}")
