"""Pretrain a Chronos-Bolt model on synthetic series; run as a process of its own.

``python -m ffm_core.embed.workers.pretrain JOB.json`` reads a job, prints one JSON
object a line, and leaves a checkpoint in the Hugging Face layout. Killed at any moment
it goes on from its last checkpoint with the batches it would have had.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from chronos.chronos_bolt import ChronosBoltModelForForecasting
from transformers import T5Config

from ffm_core.embed.hints import HINTS, hints
from ffm_core.embed.synthetic import Batch, batch
from ffm_core.keyed import keyed

STATE = "state.pt"
_HELD_OUT = 1  # added to the seed: series no training step draws
_SPARE = 1e-9


class Student(torch.nn.Module):
    """The model and the heads that hint at it while it learns; the heads are thrown away."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.model = ChronosBoltModelForForecasting(config)
        self.heads = torch.nn.Linear(config.d_model, len(HINTS))

    def losses(
        self, context: torch.Tensor, target: torch.Tensor, hint: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the quantile loss a step ahead and the mean loss of the hints."""
        model = self.model
        hidden, _, embeds, mask = model.encode(context=context)
        out = model.output_patch_embedding(model.decode(embeds, mask, hidden))
        shape = (len(context), model.num_quantiles, model.chronos_config.prediction_length)
        levels = model.quantiles.view(1, -1, 1)
        miss = target.unsqueeze(1) - out.view(*shape).float()
        pinball = (2.0 * torch.maximum(levels * miss, (levels - 1.0) * miss)).mean()
        told = self.heads(hidden.mean(dim=1)).float()
        known = torch.isfinite(hint)
        off = torch.nn.functional.smooth_l1_loss(
            told, torch.where(known, hint, told.detach()), reduction="none", beta=0.5
        )
        return pinball, off.sum() / known.sum().clamp(min=1)


def architecture(model: dict[str, Any]) -> T5Config:
    """Return the configuration that Chronos-Bolt checkpoints carry."""
    config = T5Config(
        vocab_size=2, d_model=model["d_model"], d_kv=model["d_kv"], d_ff=model["d_ff"],
        num_layers=model["encoder_layers"], num_decoder_layers=model["decoder_layers"],
        num_heads=model["num_heads"], dropout_rate=0.0, feed_forward_proj="relu",
        is_encoder_decoder=True, use_cache=False, pad_token_id=0, decoder_start_token_id=0,
        eos_token_id=1,
    )  # fmt: skip
    config.chronos_pipeline_class = "ChronosBoltPipeline"
    config.chronos_config = {
        "context_length": model["context_length"],
        "prediction_length": model["horizon"],
        "input_patch_size": model["patch"],
        "input_patch_stride": model["patch"],
        "quantiles": list(model["quantiles"]),
        "use_reg_token": True,
    }
    return config


def tensors(
    drawn: Batch, context: int, clip: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return contexts, targets in standard deviations of the context, and hints, float32."""
    past = drawn.values[:, :context]
    centre = past.mean(axis=1, keepdims=True)
    scale = np.maximum(past.std(axis=1, keepdims=True), _SPARE)
    told = np.where(drawn.price_like[:, None], hints(drawn.values, context), np.nan)
    target = np.clip((drawn.values[:, context:] - centre) / scale, -clip, clip)
    arrays = ((past - centre) / scale, target, told)
    a, b, c = (torch.from_numpy(array.astype(np.float32)) for array in arrays)
    return a, b, c


def rate(step: int, training: dict[str, Any]) -> float:
    """Return the learning rate of a step: warm-up, then half a cosine down to 0."""
    warm, steps = training["warmup_steps"], training["steps"]
    if step < warm:
        return float(training["learning_rate"] * (step + 1) / warm)
    done = (step - warm) / max(steps - warm, 1)
    return float(training["learning_rate"] * 0.5 * (1.0 + math.cos(math.pi * done)))


def say(**message: Any) -> None:
    """Print one message of the protocol."""
    print(json.dumps(message), flush=True)


def save(path: Path, state: dict[str, Any]) -> None:
    """Replace the training state in one step."""
    beside = path.with_suffix(".partial")
    torch.save(state, beside)
    with beside.open("rb+") as file:
        os.fsync(file.fileno())
    beside.replace(path)


def train(job: dict[str, Any]) -> None:
    """Run a job to its end; see :mod:`ffm_core.embed.pretrain` for its fields."""
    recipe, folder = job["recipe"], Path(job["folder"])
    training, model = recipe["training"], recipe["model"]
    torch.set_num_threads(job["threads"])
    torch.manual_seed(recipe["seed"])
    student = Student(architecture(model))
    optimiser = torch.optim.AdamW(
        student.parameters(), lr=training["learning_rate"],
        weight_decay=training["weight_decay"], fused=True,
    )  # fmt: skip
    start, curve = 0, []
    if (folder / STATE).exists():
        state = torch.load(folder / STATE, weights_only=True)
        if state["recipe"] != job["recipe_sha256"]:
            raise SystemExit("the folder holds the training of another recipe")
        student.load_state_dict(state["student"])
        optimiser.load_state_dict(state["optimiser"])
        start, curve = state["step"], state["curve"]
    say(kind="start", step=start, steps=training["steps"],
        parameters=sum(p.numel() for p in student.model.parameters()))  # fmt: skip
    held = [_draw(recipe, -1 - i, held_out=True) for i in range(4)]
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(_draw, recipe, start)
        began, seen = time.perf_counter(), np.zeros(3)
        for step in range(start, training["steps"]):
            given = coming.result()
            coming = ahead.submit(_draw, recipe, step + 1)
            for group in optimiser.param_groups:
                group["lr"] = rate(step, training)
            with torch.autocast("cpu", torch.bfloat16):
                pinball, hint = student.losses(*given)
            optimiser.zero_grad(set_to_none=True)
            (pinball + training["hint_weight"] * hint).backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), training["clip_norm"])
            optimiser.step()
            seen += (pinball.item(), hint.item(), 1.0)
            done = step + 1
            if done % 20 == 0:
                say(kind="step", step=done, pinball=seen[0] / seen[2], hint=seen[1] / seen[2],
                    rows_per_second=(done - start) * training["rows"]
                    / (time.perf_counter() - began))  # fmt: skip
            if done % training["checkpoint_every"] == 0 or done == training["steps"]:
                point = {"step": done, "pinball": seen[0] / seen[2], "hint": seen[1] / seen[2]}
                point |= _held_out(student, held)
                curve.append(point)
                seen[:] = 0.0
                save(folder / STATE, {
                    "recipe": job["recipe_sha256"], "student": student.state_dict(),
                    "optimiser": optimiser.state_dict(), "step": done, "curve": curve,
                })  # fmt: skip
                say(kind="checkpoint", **point)
    student.model.save_pretrained(folder / "checkpoint")
    (folder / "curve.json").write_text(json.dumps(curve, indent=1))
    say(kind="done", step=training["steps"])


def _draw(
    recipe: dict[str, Any], step: int, *, held_out: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    training = recipe["training"]
    seed = recipe["seed"] + (_HELD_OUT if held_out else 0)
    choices = training["contexts"]
    context = choices[int(keyed(seed, "context", step).integers(len(choices)))]
    length = context + recipe["model"]["horizon"]
    drawn = batch(
        seed, step, rows=training["rows"], length=length, price_share=training["price_share"]
    )
    return tensors(drawn, context, training["clip_target"])


def _held_out(student: Student, held: list[Any]) -> dict[str, float]:
    with torch.inference_mode():
        found = np.array([[loss.item() for loss in student.losses(*given)] for given in held])
    pinball, hint = found.mean(axis=0)
    return {"held_out_pinball": float(pinball), "held_out_hint": float(hint)}


if __name__ == "__main__":
    train(json.loads(Path(sys.argv[1]).read_text()))
