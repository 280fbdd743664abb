"""``ffm backbone finetune``: fit a backbone to bars, and note up to when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ffm_backbone_training.commands.pretrain import threads_option, training_bars
from ffm_core.cli.eval import pick_options
from ffm_core.cli.output import columns, emit_json, note, output_options, say, split_names
from ffm_core.errors import UnavailableError

if TYPE_CHECKING:
    from ffm_core.bars import Bars


@click.command("finetune")
@click.argument("base", metavar="NAME")
@click.option("--name", required=True, help="Name of the new backbone.")
@pick_options("--data", "--tz", "--stamps", "--policy", "--instruments", "--accept-quality")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Trading date before which every window ends.  [default: where the last 30 % begin]",
)
@click.option("--lora/--full", default=True, help="Train adapters, or every weight.  [default: "
              "adapters]")  # fmt: skip
@click.option("--targets", default="q,v", show_default=True, callback=split_names,
              help="Projections that get an adapter: q,k,v,o.")  # fmt: skip
@click.option("--rank", type=int, default=8, show_default=True, help="Rank of the adapters.")
@click.option("--adapter", type=click.Path(path_type=Path, file_okay=False),
              help="Adapter of an earlier fine-tuning of NAME to go on from.")  # fmt: skip
@click.option("--l2-to-init", type=float, default=1e-3, show_default=True,
              help="Pull towards the base.")  # fmt: skip
@click.option("--learning-rate", type=float, help="Default 1e-4, with --full 1e-5.")
@click.option("--steps", type=int, default=1_000, show_default=True, help="At most so many steps.")
@click.option("--check-every", type=int, default=50, show_default=True,
              help="Steps between looks at the validation windows.")  # fmt: skip
@click.option("--context", type=int, default=128, show_default=True, help="Bars of a window.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of draws and dropout.")
@threads_option
@output_options
def command(base: str, name: str, as_json: bool, quiet: bool, **flags: Any) -> int:
    """Fine-tune a backbone on bars, and add the result as a backbone of its own.

    The new card carries the date of the newest bar that was used: a verdict whose test
    months begin before it is no evidence. Needs torch, which the package brings. Exits
    with 7 when no step was better than the base: then nothing is written.

    \b
    Example:
      ffm backbone finetune ffm-bolt-synth --name mine --data ES=es_5m.csv --until 2023-01-01
    """  # noqa: D301 -- click wants the control character itself
    from ffm_backbone_training.finetune import Settings, finetune

    settings = Settings(
        lora=flags["lora"], rank=flags["rank"], alpha=2 * flags["rank"], targets=flags["targets"],
        l2_to_init=flags["l2_to_init"], learning_rate=flags["learning_rate"],
        steps=flags["steps"], check_every=flags["check_every"], context=flags["context"],
        seed=flags["seed"],
    )  # fmt: skip
    streams = _bars(flags)
    until = flags["until"].date() if flags["until"] else None
    with training_bars("fine-tuning", quiet=quiet or as_json) as hear:
        card = finetune(
            base, streams, name, settings, until=until, adapter=flags["adapter"],
            threads=flags["threads"], hear=hear,
        )  # fmt: skip
    if as_json:
        facts = None if card is None else {
            "name": card.name, "fit_cutoff": card.fit_cutoff, "base": card.base,
            "weights_sha256": card.weights_sha256, "best_step": card.facts["best_step"],
            "curve": card.facts["curve"], "checks": dict(card.checks),
        }  # fmt: skip
        emit_json("ffm-backbone-finetuned/1", {"backbone": facts})
    elif card is None:
        say(f"no step forecast the validation windows better than {base}; nothing was written")
    else:
        curve = card.facts["curve"]
        least = min(point["validation_pinball"] for point in curve)
        say(columns([
            ("name", card.name),
            ("base", f"{card.facts['base_name']} ({card.base[:12]})"),
            ("fitted up to", str(card.fit_cutoff)),
            ("validation loss", f"{curve[0]['validation_pinball']:.4f} → {least:.4f}"),
            ("best step", str(card.facts["best_step"])),
        ]))  # fmt: skip
        note(
            "a better forecast does not mean better selection: compare with "
            f"'ffm backbone ab STRATEGY --a {base} --b {name} --data …'"
        )
    return UnavailableError.exit_code if card is None else 0


def _bars(flags: dict[str, Any]) -> list[Bars]:
    from ffm_core.bars.readers import load_many
    from ffm_core.errors import UsageError

    if not flags["data"]:
        raise UsageError("no data given", fix="use --data PATH (for example --data ES=es_5m.csv)")
    loaded = load_many(
        flags["data"], tz=flags["tz"], stamps=flags["stamps"] or "start",
        policy=flags["policy"] or "error", accept_quality=bool(flags["accept_quality"]),
        instruments=flags["instruments"],
    )  # fmt: skip
    return sorted((item.bars for item in loaded), key=lambda bars: bars.stream)
