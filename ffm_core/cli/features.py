"""``ffm features``: what can be computed from bars, and computing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ffm_core.cli.files import extension_option, sources_argument, table_options, write_tables
from ffm_core.cli.output import columns, emit_json, note, output_options, page, say
from ffm_core.wording import counted


@click.group()
def group() -> None:
    """List, show and compute feature sets."""


@group.command("list")
@extension_option
@output_options
def list_command(extensions: Sequence[str], as_json: bool, quiet: bool) -> None:
    """List the feature sets: built-in ones, and those of installed packages.

    Each package is loaded on its own; a broken one gets a line with the reason and does
    not affect the others.
    """
    from ffm_core.features.facts import installed_sets, set_facts

    found, broken = installed_sets(extensions)
    if as_json:
        emit_json("ffm-features/1", {"features": [set_facts(offer) for offer in found]})
    else:
        rows = [("NAME", "COLUMNS", "WARM-UP", "MEMORY", "STREAMING", "PACKAGE", "SUMMARY")]
        for facts in map(set_facts, found):
            warmup = counted(facts["warmup_bars"], "bar")
            row = (facts["name"], str(facts["n_columns"]), warmup, facts["memory"])
            rows.append((*row, facts["streaming"], facts["distribution"], facts["summary"]))
        say(columns(rows))
    for name, reason in broken.items():
        note(f"{name}: {reason}")


@group.command("show")
@click.argument("name", metavar="SET[/COLUMN]")
@extension_option
@output_options
def show_command(name: str, extensions: Sequence[str], as_json: bool, quiet: bool) -> None:
    """Show the columns of a set, or one column with its formula.

    Naming a set enables the installed package that provides it.
    """
    from ffm_core.features.facts import column_facts, find_column, set_facts
    from ffm_core.host.loading import open_host

    set_name, _, column_name = name.partition("/")
    host = open_host(None, extensions, naming=[(set_name, ("ffm_feature_sets",))])
    offer = host.feature_set(set_name)
    if column_name:
        facts = column_facts(offer.record, find_column(offer.record, column_name))
        if as_json:
            emit_json("ffm-feature/1", {"set": set_name, "feature": facts})
        else:
            say(_column_page(facts))
        return
    found = [column_facts(offer.record, column) for column in offer.record.columns]
    if as_json:
        emit_json("ffm-feature-set/1", {"set": set_facts(offer), "features": found})
        return
    say(_set_page(set_facts(offer), found))


def _set_page(facts: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> str:
    head = columns(
        (key.replace("_", " "), str(facts[key]))
        for key in ("name", "summary", "distribution", "version", "n_columns", "warmup_bars",
                    "history", "memory", "streaming")
    )  # fmt: skip
    groups: dict[str, list[tuple[str, ...]]] = {}
    for item in found:
        line = (f"  {item['name']}", item["unit"], item["description"] or item["formula"])
        groups.setdefault(item["group"] or "columns", []).append(line)
    tables = (page([name, columns(rows)]) for name, rows in groups.items())
    return page([head, *tables], gap="\n\n")


def _column_page(facts: Mapping[str, Any]) -> str:
    return columns((key.replace("_", " "), str(value)) for key, value in facts.items() if value)


@group.command("compute")
@sources_argument
@table_options
@output_options
def compute_command(
    sources: Sequence[str],
    features: tuple[str, ...],
    extensions: Sequence[str],
    out: Path,
    jobs: int | None,
    **rest: Any,
) -> None:
    """Compute features of files into Parquet tables, one per stream.

    Running it again keeps finished tables. Files that fail are listed at the end, with
    exit code 4.
    """
    write_tables(sources, features, (), extensions, out=out, jobs=jobs, **rest)
