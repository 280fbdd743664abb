"""``ffm backbone``: which models there are, and adding one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ffm_core.cli._shell import LazyGroup
from ffm_core.cli.output import columns, emit_json, note, output_options, page, say

COMMANDS = {
    "list": ("ffm_core.cli.backbone:list_command", "List the backbones, installed and published."),
    "show": ("ffm_core.cli.backbone:show_command", "Show the card of a backbone."),
    "add": ("ffm_core.cli.backbone:add_command", "Convert, verify and keep a checkpoint."),
}


@click.group(cls=LazyGroup, table=COMMANDS, path="backbone")
def group() -> None:
    """List, show and add backbones.

    A backbone turns the last bars before a decision into numbers that a model can use.
    One comes with FFM; published ones are added by name. ffm-forecast measures how they
    forecast, ffm-backbone-training trains more.
    """


@click.command("list")
@output_options
def list_command(as_json: bool, quiet: bool) -> None:
    """List the backbones: built in, added here, and published but not added."""
    from ffm_core.embed.facts import backbone_facts

    found = backbone_facts()
    if as_json:
        emit_json("ffm-backbones/1", {"backbones": found})
        return
    rows = [("NAME", "STATE", "SIZE", "IDENTITY", "BARS SEEN UNTIL", "RELEASED", "MADE FROM")]
    for facts in found:
        identity = facts["identity"][:12]
        row = (facts["name"], facts["state"], _size(facts["bytes"]), identity or "-")
        rows.append((*row, _cutoff(facts), facts["released"] or "-", facts["made_from"] or "-"))
    say(columns(rows))
    for facts in found:
        if facts["problem"]:
            note(f"{facts['name']}: {facts['problem']}")


@click.command("show")
@click.argument("name")
@output_options
def show_command(name: str, as_json: bool, quiet: bool) -> None:
    """Show what a backbone is, what data it has seen and how exact its conversion is.

    A file whose hash does not match the card is never run.
    """
    from ffm_core.embed.facts import card_facts

    facts = card_facts(name)
    if as_json:
        emit_json("ffm-backbone/1", {"backbone": facts})
    else:
        say(_page(facts))


@click.command("add")
@click.argument("source", metavar="NAME|PATH")
@click.option("--name", help="Name to store it under.  [default: NAME, or the folder's]")
@click.option(
    "--released",
    metavar="DAY",
    help="Date on which the weights were published.  [default: that of the newest file]",
)
@click.option(
    "--fit-cutoff",
    metavar="DAY",
    help="Date of the newest market bar the weights were fitted to, or none.",
)
@click.option("--float16", is_flag=True, help="Store the weights as float16, in half the space.")
@output_options
def add_command(
    source: str,
    name: str | None,
    released: str | None,
    fit_cutoff: str | None,
    float16: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Convert a checkpoint, verify it against torch, and store it under FFM_HOME.

    NAME is a published model, which needs a network the first time; PATH a folder with
    config.json and model.safetensors. Needs torch: pip install "ffm-core[chronos]".
    """
    from ffm_core.embed.adding import add_backbone
    from ffm_core.embed.facts import card_facts

    card = add_backbone(
        source,
        name=name,
        released=released,
        fit_cutoff="" if fit_cutoff == "none" else fit_cutoff,
        float16=float16,
        hear=lambda stage, what: note(f"{stage} {what}"),
    )
    facts = card_facts(card.name)
    if as_json:
        emit_json("ffm-backbone/1", {"backbone": facts})
    else:
        say(_page(facts))


def _page(facts: Mapping[str, Any]) -> str:
    forecasts = f"{facts['horizon']} bars at {len(facts['quantiles'])} quantiles"
    rows = [
        ("name", facts["name"]),
        ("state", facts["state"]),
        ("architecture", facts["architecture"]),
        ("source", facts["source"]),
        ("trained on", facts["trained_on"]),
        ("bars seen until", _cutoff(facts)),
        ("released", facts["released"] or "-"),
        ("made from", facts["made_from"] or "-"),
        ("window", f"{facts['patch']} bars per token, up to {facts['context_length']} bars"),
        ("embedding", f"{facts['d_model']} numbers"),
        ("forecasts", forecasts if facts["quantiles"] else "no"),
        ("identity", facts["identity"]),
        ("size", _size(facts["bytes"])),
        ("folder", str(facts["folder"])),
    ]
    rows += [(f"checked {what}", f"off by {off:.1e}") for what, off in facts["checks"].items()]
    rows += [(file, f"sha256 {digest}") for file, digest in facts["files"].items()]
    plain = {k: v for k, v in facts["facts"].items() if isinstance(v, str | int | float)}
    rows += [(key.replace("_", " "), f"{value}") for key, value in plain.items()]
    return page([columns(rows), *_scores(facts["facts"].get("scores", {}))])


def _scores(scores: Mapping[str, Any]) -> list[str]:
    """Return the tables of what a backbone was seen to do, each under its title."""
    lines = []
    for table in scores.values():
        rows = [tuple(table["head"]), *(tuple(row) for row in table["rows"])]
        lines += ["", table["title"], columns(rows)]
    return lines


def _cutoff(facts: Mapping[str, Any]) -> str:
    if facts["fit_cutoff"] is None:
        return "unknown"
    return facts["fit_cutoff"] or "no market bar"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count else "-"
