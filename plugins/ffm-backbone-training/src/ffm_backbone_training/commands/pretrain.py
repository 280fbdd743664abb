"""``ffm backbone pretrain``: a backbone of one's own, on synthetic series."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ffm_core.cli.output import columns, console, emit_json, note, output_options, say

threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    help="Threads of the arithmetic. On a small machine 1 is fastest while other work runs.",
)


@click.command("pretrain")
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file; default that of the model in the box.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the training; given again, it goes on from its last state.",
)
@click.option("--steps", type=click.IntRange(1), help="Steps, instead of the file's.")
@threads_option
@output_options
def command(
    file: Path | None, out: Path, steps: int | None, threads: int, as_json: bool, quiet: bool
) -> None:
    """Pretrain a backbone on synthetic series.

    Equal configuration, seed and threads give equal weights. Killed at any moment, the
    same command goes on from the last state. Needs torch, which the package brings.
    """
    from ffm_backbone_training import pretrain
    from ffm_core.errors import OutputError, UnavailableError

    plan = pretrain.read_plan(file or pretrain.DEFAULT)
    plan = plan if steps is None else plan.with_steps(steps)
    try:
        with training_bars("pretraining", quiet=quiet or as_json) as hear:
            card = pretrain.pretrain(plan, out, threads=threads, hear=hear)
    except (KeyboardInterrupt, UnavailableError, OutputError):
        if step := pretrain.resumes_at(out):
            note(f"stopped; the same command goes on from step {step:,}")
        raise
    facts = {
        "name": card.name,
        "folder": str(out / "model"),
        "weights_sha256": card.weights_sha256,
        "held_out_pinball": card.facts["curve"]["held_out_pinball"],
        "checks": dict(card.checks),
    }
    if as_json:
        emit_json("ffm-backbone-pretrained/1", {"backbone": facts})
        return
    say(columns((key.replace("_", " "), str(value)) for key, value in facts.items()
                if key != "checks"))  # fmt: skip
    say()
    say(f"add it with: ffm backbone add {out / 'checkpoint'} --name {card.name} --float16")


@contextmanager
def training_bars(what: str, *, quiet: bool = False) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show a bar with loss, rate and remaining time; yields what hears a worker's messages.

    Parameters
    ----------
    what : str
        Shown before the bar.
    quiet : bool
        Show nothing but notes.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    shown = (
        TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"), TimeElapsedColumn(), TimeRemainingColumn(compact=True),
    )  # fmt: skip
    where = console(quiet=quiet)
    with Progress(*shown, console=where, refresh_per_second=2, transient=True) as bars:
        task = bars.add_task(what, total=None, told="")

        def hear(message: dict[str, Any]) -> None:
            kind = message["kind"]
            if kind == "note":
                note(message["text"])
            elif kind == "start":
                bars.update(task, total=message["steps"], completed=message["step"])
                bars.reset(task, start=True, completed=message["step"], total=message["steps"])
            elif kind in ("step", "checkpoint"):
                bars.update(task, completed=message["step"], told=_told(message))

        yield hear


def _told(message: dict[str, Any]) -> str:
    """Return loss and rate of a message, as far as it has them."""
    words = {"pinball": "loss {:.3f}", "loss": "loss {:.3f}", "held_out_pinball": "held out {:.3f}",
             "validation_pinball": "validation {:.4f}",
             "rows_per_second": "{:.0f} windows/s"}  # fmt: skip
    return ", ".join(text.format(message[key]) for key, text in words.items() if key in message)
