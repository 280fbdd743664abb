"""Pretrain a Chronos-Bolt model on synthetic series; run as a process of its own.

``python -m ffm_backbone_training.workers.pretrain JOB.json`` reads a job, prints one JSON
object a line, and leaves a checkpoint in the Hugging Face layout. Killed at any moment
it goes on from its last state with the batches it would have had. The order of draws
and of operations is part of what a recipe stands for: changing it makes other weights.
"""

from __future__ import annotations

import io
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from chronos.chronos_bolt import ChronosBoltModelForForecasting

from ffm_backbone_training.hints import HINTS, hints
from ffm_backbone_training.synthetic import Batch, batch
from ffm_backbone_training.training import States, locked, say, serve, write_checkpoint
from ffm_backbone_training.workers.rebuild import architecture, deliver
from ffm_core.errors import ConfigError
from ffm_core.keyed import keyed
from ffm_core.runs.atomic import atomic_dir, atomic_write

_HELD_OUT = 1  # added to the seed: series no training step draws
_SPARE = 1e-9


class Student(torch.nn.Module):
    """The model and the heads that hint at it while it learns; the heads are thrown away."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.model = ChronosBoltModelForForecasting(config)
        self.heads = torch.nn.Linear(config.d_model, len(HINTS))
        for block in (self.model.input_patch_embedding, self.model.output_patch_embedding):
            _start_small(block)
        _start_near(self.model)

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


def _start_small(block: torch.nn.Module) -> None:
    """Draw weights that keep the size of what passes through.

    The library's own start has a standard deviation of 1 whatever the width; the patches
    then drown what the encoder's layers add to them.
    """
    for layer in (block.hidden_layer, block.output_layer, block.residual_layer):
        torch.nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
        torch.nn.init.zeros_(layer.bias)


def _start_near(model: ChronosBoltModelForForecasting) -> None:
    """Let each of the encoder's heads look less far back than the one before it.

    From the library's start, where distance hardly counts, thousands of steps pass until
    the last token can tell the newest bars from the oldest.
    """
    attention = model.encoder.block[0].layer[0].SelfAttention
    heads = attention.relative_attention_bias.weight.shape[1]
    distance = torch.arange(64)
    bucket = attention._relative_position_bucket(
        torch.cat([distance, -distance]), bidirectional=True,
        num_buckets=attention.relative_attention_num_buckets,
        max_distance=attention.relative_attention_max_distance,
    )  # fmt: skip
    far = torch.cat([distance, distance]).float()
    slope = torch.tensor([0.0] + [3.0 * 4.0 ** -(heads - 1 - k) for k in range(1, heads)])
    with torch.no_grad():
        for k in range(attention.relative_attention_num_buckets):
            here = far[bucket == k]
            if len(here):
                attention.relative_attention_bias.weight[k] = -slope * here.mean()


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


def pack(state: dict[str, Any]) -> bytes:
    """Return a training state as bytes."""
    memory = io.BytesIO()
    torch.save(state, memory)
    return memory.getvalue()


def train(job: dict[str, Any]) -> None:
    """Run a job to its end, or on from the last state its folder holds.

    Parameters
    ----------
    job : dict
        ``recipe`` as :meth:`ffm_backbone_training.pretrain.TrainingPlan.recipe` gives it, its
        ``recipe_sha256``, ``folder``, ``threads`` and ``trained_on`` for the card.
    """
    recipe, folder = job["recipe"], Path(job["folder"])
    with locked(folder):
        _train(job, recipe, folder)


def _train(job: dict[str, Any], recipe: dict[str, Any], folder: Path) -> None:
    training, model = recipe["training"], recipe["model"]
    torch.set_num_threads(job["threads"])
    torch.manual_seed(recipe["seed"])
    student = Student(architecture(model))
    optimiser = torch.optim.AdamW(
        student.parameters(), lr=training["learning_rate"],
        weight_decay=training["weight_decay"], fused=True,
    )  # fmt: skip
    states = States(folder)
    start, curve, before = 0, [], states.newest(say)
    if before is not None:
        state = torch.load(io.BytesIO(before), weights_only=True)
        if state["recipe"] != job["recipe_sha256"]:
            raise ConfigError(
                f"{folder} holds the training of another configuration",
                fix="choose another folder with --out, or remove this one",
            )
        student.load_state_dict(state["student"])
        optimiser.load_state_dict(state["optimiser"])
        start, curve = state["step"], state["curve"]
    say({"kind": "start", "step": start, "steps": training["steps"],
         "parameters": sum(p.numel() for p in student.model.parameters())})  # fmt: skip
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
                pace = (done - start) * training["rows"] / (time.perf_counter() - began)
                say({"kind": "step", "step": done, "pinball": seen[0] / seen[2],
                     "hint": seen[1] / seen[2], "rows_per_second": pace})  # fmt: skip
            if done % training["checkpoint_every"] == 0 or done == training["steps"]:
                pinball_seen, hint_seen = (float(total) for total in seen[:2] / seen[2])
                point = {"step": done, "pinball": pinball_seen, "hint": hint_seen}
                point |= _held_out(student, held)
                curve.append(point)
                seen[:] = 0.0
                states.save(done, pack({
                    "recipe": job["recipe_sha256"], "student": student.state_dict(),
                    "optimiser": optimiser.state_dict(), "step": done, "curve": curve,
                }))  # fmt: skip
                say({"kind": "checkpoint", **point})
    told = {"fit_cutoff": "", "trained_on": job["trained_on"], "base": ""}
    write_checkpoint(student.model, folder / "checkpoint", told)
    atomic_write(folder / "curve.json", (json.dumps(curve, indent=1) + "\n").encode())
    _deliver(job, student.model, folder, curve[-1])
    say({"kind": "done", "step": training["steps"]})


def _deliver(job: dict[str, Any], model: Any, folder: Path, last: dict[str, Any]) -> None:
    """Write ``model``, which embeds and forecasts without torch."""
    recipe = job["recipe"]
    facts = {
        "seed": recipe["seed"],
        "recipe": recipe,
        "recipe_sha256": job["recipe_sha256"],
        "threads": job["threads"],
        "curve": last,
        "torch": torch.__version__,
    }
    model.eval()
    with atomic_dir(folder / "model") as out:
        deliver(
            model, folder / "checkpoint", out, float16=True, name=recipe["name"], fit_cutoff="",
            released="", trained_on=job["trained_on"],
            source="pretrained here with 'ffm backbone pretrain'", facts=facts,
        )  # fmt: skip


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
    serve(train)
