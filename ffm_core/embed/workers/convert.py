"""Convert a checkpoint and verify it against torch; run as a process of its own.

``python -m ffm_core.embed.workers.convert JOB.json`` loads the checkpoint the way
``chronos-forecasting`` does, writes the model folder, runs both on the same windows and
refuses when they differ. It prints one JSON object a line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ffm_core.embed.cards import Card
from ffm_core.embed.chronos2 import opened
from ffm_core.embed.recipe import CONTEXT_BARS
from ffm_core.embed.verification import ROWS, battery, differences, require_close
from ffm_core.embed.workers.protocol import failed
from ffm_core.errors import FFMError
from ffm_core.processes import end_with
from ffm_core.runs.atomic import output_error

LONGEST = 2_048  # bars of a window that is verified


def convert(job: dict[str, Any]) -> Card:
    """Convert as a job says; see :func:`ffm_core.embed.adding.add_backbone` for its fields.

    Raises
    ------
    UnavailableError, ModelError
        When the checkpoint cannot be had, is not converted, or does not verify.
    OutputError
        When the folder cannot be written.
    """
    say("starting", "torch")  # seconds, in which the host may already have gone
    import torch

    from ffm_core.embed.workers.graph import shape_of, write_card, write_graphs
    from ffm_core.embed.workers.reference import Reference

    out, float16, name = Path(job["out"]), job["float16"], job["card"]["name"]
    torch.set_num_threads(job["threads"])
    say("reading", job["source"])
    original = Reference(job["source"], rounded=float16)
    shape = shape_of(original.model.config.to_dict())
    say("converting", f"{sum(p.numel() for p in original.model.parameters()):,} parameters")
    facts = {
        "parameters": sum(p.numel() for p in original.model.parameters()),
        "stored": "float16" if float16 else "float32",
        "checkpoint": str(original.folder.resolve()),
        "checkpoint_sha256": original.sha256,
    }
    fields = job["card"] | {"facts": job["card"]["facts"] | facts}
    try:
        write_graphs(out, shape, original.weights(), float16=float16)
        unverified = write_card(out, shape, **fields)
    except OSError as error:
        raise output_error(out, error, moved_by="FFM_HOME") from error
    say("verifying", "against torch")
    model = opened(out, unverified, threads=job["threads"])
    usual, longest = (min(bars, shape.context_length) for bars in (CONTEXT_BARS, LONGEST))
    found = differences(original, model, battery(usual))
    # A long context as well: it meets every bucket of distances.
    for what, off in differences(original, model, battery(longest, every=ROWS)).items():
        found[what] = max(found[what], off)
    require_close(name, found)
    return write_card(out, shape, **fields, checks=found)


def say(stage: str, what: str) -> None:
    """Print what is going on."""
    print(json.dumps({"kind": "stage", "stage": stage, "what": what}), flush=True)


def main() -> None:
    """Do the job in the file that is named; an expected error is the last line, and code 1."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if "parent" in job:
        end_with(job["parent"])
    try:
        card = convert(job)
    except FFMError as error:
        print(json.dumps(failed(error)), flush=True)
        sys.exit(1)
    print(json.dumps({"kind": "done", "checks": dict(card.checks)}), flush=True)


if __name__ == "__main__":
    main()
