"""``ffm plugins``: what is installed, and whether it works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ffm_core.cli._complete import complete_strategies
from ffm_core.cli.output import columns, debug_option, emit_json, json_option, page, say
from ffm_core.hookspecs import HOOK_API


@click.group()
def group() -> None:
    """List and show plug-ins."""


@group.command("list")
@click.option("--no-load", is_flag=True, help="Read metadata only; import nothing.")
@json_option
@debug_option
def list_command(no_load: bool, as_json: bool) -> None:
    """List every installed plug-in and its state.

    Each one is loaded on its own: a broken plug-in gets a line with the reason and does
    not affect the others.
    """
    from ffm_core.host.facts import survey

    facts = survey(load=not no_load)
    if as_json:
        payload = {"hook_api": HOOK_API, "plugins": [fact.as_json() for fact in facts]}
        emit_json("ffm-plugins/1", payload)
        return
    rows = [("NAME", "KIND", "DISTRIBUTION", "HOOKS", "STATE")]
    for fact in facts:
        state = f"{fact.state}: {fact.reason}" if fact.reason else fact.state
        who = f"{fact.distribution} {fact.version}".strip() + (" (built in)" * fact.builtin)
        hooks = ", ".join(hook.removeprefix("ffm_") for hook in fact.hooks)
        rows.append((fact.name, fact.kind, who, hooks or "-", state))
    say(columns(rows))


@group.command("show")
@click.argument("name", shell_complete=complete_strategies)
@click.option(
    "--kind", type=click.Choice(["strategy", "extension"]), help="Which of the two kinds."
)
@json_option
@debug_option
def show_command(name: str, kind: str | None, as_json: bool) -> None:
    """Load one plug-in, call its hooks and describe what it offers.

    NAME is an installed name or the path of a strategy file.
    """
    from ffm_core.host.facts import details

    facts = details(name, kind=kind)
    if as_json:
        emit_json("ffm-plugin/1", {"host_api": HOOK_API, "plugin": facts})
        return
    say(_page(facts))


def _page(facts: Mapping[str, Any]) -> str:
    who = f"{facts['distribution']} {facts['version']}".strip()
    head = [
        ("name", facts["name"]),
        ("kind", facts["kind"]),
        ("distribution", who + (" (built in)" if facts["builtin"] else "")),
        ("state", facts["state"]),
        ("hook API", f"{facts['hook_api']} (this ffm-core: {HOOK_API})"),
        ("module", facts["module"]),
        ("code", facts["code_hash"][:16]),
    ]
    parts: list[str] = [columns(head)]
    for kind, records in facts["records"].items():
        parts += ["", kind.replace("_", " ")]
        parts.extend(_record(record) for record in records)
    return page(parts)


def _record(record: Mapping[str, Any]) -> str:
    title = f"  {record['name']}"
    if record.get("private"):
        title += " (private: names are hidden)"
    elif record.get("summary"):
        title += f": {record['summary']}"
    rows = []
    for key in ("kind", "exit_name", "horizon_bars", "warmup_bars", "history_bars", "memory"):
        if key in record:
            value = record[key]
            rows.append((f"    {key.replace('_', ' ')}", "all" if value is None else str(value)))
    rows.extend(
        (f"    --set {param['name']}={param['default']}", param.get("description", ""))
        for param in record.get("params", ())
    )
    rows.extend(
        (f"    column {column['name']}", column["unit"]) for column in record.get("columns", ())
    )
    return page([title, *([columns(rows)] if rows else [])])
