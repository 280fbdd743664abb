"""Fine-tune a Chronos-Bolt model on windows of real bars; run as a process of its own.

``python -m ffm_backbone_training.workers.finetune JOB.json`` rebuilds the base from its model
folder, trains low-rank adapters or all weights, keeps what was best on the validation
windows, and leaves a model folder, a checkpoint and the adapter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from ffm_backbone_training.training import Hear, say, serve, write_checkpoint
from ffm_backbone_training.workers.rebuild import answers, deliver, rebuild
from ffm_core.embed.cards import read_card
from ffm_core.embed.verification import largest
from ffm_core.errors import ModelError
from ffm_core.keyed import keyed
from ffm_core.types import Float32

MERGE_CHECK = 1e-5
_CHUNK = 256  # validation windows at once


@dataclass(frozen=True)
class TrainingWindows:
    """Contexts (N, context) and what followed (N, horizon), in units of the context."""

    context: torch.Tensor
    target: torch.Tensor

    def __len__(self) -> int:
        return len(self.context)

    @classmethod
    def of(cls, context: Float32, target: Float32) -> TrainingWindows:
        """Wrap arrays."""
        return cls(torch.from_numpy(context), torch.from_numpy(target))


@dataclass
class Tuned:
    """A model under training: what learns, and how far it is from where it began."""

    model: Any  # ChronosBoltModelForForecasting, adapters inside where there are any
    adapted: PeftModel | None
    moving: list[torch.nn.Parameter]
    drift: Callable[[], torch.Tensor]  # ‖θ − θ₀‖², or ‖BA‖² of adapters
    pull: Callable[[torch.optim.Optimizer, float], None]  # towards the base, after a step

    def state(self) -> list[torch.Tensor]:
        """Return a copy of what learns."""
        return [part.detach().clone() for part in self.moving]

    def restore(self, state: list[torch.Tensor]) -> None:
        """Put a copy back."""
        with torch.no_grad():
            for part, stored in zip(self.moving, state, strict=True):
                part.copy_(stored)


def prepare(model: Any, settings: dict[str, Any], adapter: Path | None = None) -> Tuned:
    """Make a base trainable: adapters on the named projections, or every weight.

    Parameters
    ----------
    model : ChronosBoltModelForForecasting
        The base.
    settings : dict
        Of :class:`ffm_backbone_training.finetune.Settings`.
    adapter : pathlib.Path, optional
        Folder of an adapter to go on from.
    """
    torch.manual_seed(settings["seed"])
    if not settings["lora"]:
        return _whole(model)
    model.get_input_embeddings = lambda: model.shared  # peft asks, and Chronos-Bolt has no answer
    if adapter is not None:
        adapted = PeftModel.from_pretrained(model, adapter, is_trainable=True)
    else:
        adapted = get_peft_model(model, LoraConfig(
            r=settings["rank"], lora_alpha=settings["alpha"], lora_dropout=settings["dropout"],
            target_modules=list(settings["targets"]),
        ))  # fmt: skip
    return _adapters(model, adapted)


def _whole(model: Any) -> Tuned:
    moving = list(model.parameters())
    start = [part.detach().clone() for part in moving]

    def drift() -> torch.Tensor:
        parts = zip(moving, start, strict=True)
        return torch.stack([(now - then).square().sum() for now, then in parts]).sum()

    def pull(optimiser: torch.optim.Optimizer, force: float) -> None:
        for now, then in zip(moving, start, strict=True):
            metric = _metric(optimiser, now)
            now.copy_(then + (now - then) * (metric / (metric + 2.0 * force)))

    return Tuned(model, None, moving, drift, pull)


def _adapters(model: Any, adapted: PeftModel) -> Tuned:
    named = dict(adapted.named_parameters())
    pairs = [(part, named[name.replace("lora_A", "lora_B")])
             for name, part in named.items() if "lora_A" in name]  # fmt: skip

    def drift() -> torch.Tensor:
        # tr(BᵀB AAᵀ), without the full matrix.
        return torch.stack([((b.T @ b) * (a @ a.T)).sum() for a, b in pairs]).sum()

    def pull(optimiser: torch.optim.Optimizer, force: float) -> None:
        for a, b in pairs:
            one = torch.eye(len(a))
            near, far = (2.0 * force / _metric(optimiser, part).mean() for part in (b, a))
            b.copy_(torch.linalg.solve(one + near * (a @ a.T), b.T).T)
            a.copy_(torch.linalg.solve(one + far * (b.T @ b), a))

    return Tuned(model, adapted, [part for pair in pairs for part in pair], drift, pull)


def _metric(optimiser: torch.optim.Optimizer, part: torch.Tensor) -> torch.Tensor:
    """Return what AdamW divides a step of a weight by, without the learning rate."""
    state, group = optimiser.state[part], optimiser.param_groups[0]
    second = state["exp_avg_sq"] / (1.0 - group["betas"][1] ** float(state["step"]))
    return second.sqrt() + group["eps"]


def loss_of(model: Any, given: TrainingWindows) -> torch.Tensor:
    """Return Chronos-Bolt's own loss: mean over levels, sum over steps, mean over windows."""
    _, found = answers(model, given.context)
    miss = given.target.unsqueeze(1) - found
    levels = model.quantiles.view(1, -1, 1)
    pinball = 2.0 * torch.maximum(levels * miss, (levels - 1.0) * miss)
    return pinball.mean(dim=1).sum(dim=1).mean()


def steps(tuned: Tuned, windows: TrainingWindows, settings: dict[str, Any]) -> Iterator[float]:
    """Minimise the forecast's loss plus ``λ · drift``; yield the loss of every step.

    AdamW takes the step of the forecast. The pull towards the base is then solved for
    exactly in AdamW's own metric, weight by weight (of adapters B given A, then A given
    B): a step as long as a gradient's when λ is small, and back at the base when it is
    large, where a gradient would only jump to and fro.
    """
    moving = tuned.moving
    optimiser = torch.optim.AdamW(moving, lr=settings["learning_rate"], weight_decay=0.0)
    for step in range(settings["steps"]):
        rng = keyed(settings["seed"], "fine-tuning", step)
        rows = torch.from_numpy(rng.integers(len(windows), size=settings["rows"]))
        tuned.model.train()
        loss = loss_of(tuned.model, TrainingWindows(windows.context[rows], windows.target[rows]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(moving, settings["clip_norm"])
        optimiser.step()
        with torch.no_grad():
            tuned.pull(optimiser, settings["learning_rate"] * settings["l2_to_init"])
        yield loss.item()


def pinball(model: Any, windows: TrainingWindows) -> float:
    """Return the mean quantile loss a step ahead over windows."""
    model.eval()
    total, horizon = 0.0, int(windows.target.shape[1])
    with torch.inference_mode():
        for at in range(0, len(windows), _CHUNK):
            part = TrainingWindows(
                windows.context[at : at + _CHUNK], windows.target[at : at + _CHUNK]
            )
            total += float(loss_of(model, part)) * len(part)
    return total / len(windows) / horizon


def fit(
    tuned: Tuned,
    training: TrainingWindows,
    validation: TrainingWindows,
    settings: dict[str, Any],
    hear: Hear,
) -> list[dict[str, float]]:
    """Train until the validation loss stops falling; leave the best weights in place.

    Returns
    -------
    list of dict
        ``step`` and ``validation_pinball`` of every look, the base first.
    """
    curve = [{"step": 0, "validation_pinball": pinball(tuned.model, validation)}]
    best, kept, bad = curve[0]["validation_pinball"], tuned.state(), 0
    began = time.perf_counter()
    for step, loss in enumerate(steps(tuned, training, settings), start=1):
        if step % settings["check_every"] and step != settings["steps"]:
            continue
        found = pinball(tuned.model, validation)
        curve.append({"step": step, "validation_pinball": found})
        pace = step * settings["rows"] / (time.perf_counter() - began)
        hear({"kind": "step", "step": step, "loss": loss, "validation_pinball": found,
              "rows_per_second": pace})  # fmt: skip
        if found < best:
            best, kept, bad = found, tuned.state(), 0
        else:
            bad += 1
            if bad == settings["patience"]:
                break
    tuned.restore(kept)
    tuned.model.eval()
    return curve


def merge(tuned: Tuned, windows: TrainingWindows) -> float:
    """Fold adapters into the weights; return the largest change, relative above 1.

    Raises
    ------
    ModelError
        When one changes by more than 1e-5.
    """
    if tuned.adapted is None:
        return 0.0
    some = windows.context[:_CHUNK]
    with torch.inference_mode():
        before = answers(tuned.model, some)
    tuned.adapted.merge_and_unload()
    with torch.inference_mode():
        after = answers(tuned.model, some)
    pairs = zip(before, after, strict=True)
    found = max(largest(then.numpy(), now.numpy()) for then, now in pairs)
    if not found <= MERGE_CHECK:
        raise ModelError(
            f"merging the adapters changes answers by {found:.1e}",
            fix="fine-tune with a smaller learning rate",
        )
    return found


def tune(job: dict[str, Any]) -> None:
    """Run a job; see :func:`ffm_backbone_training.finetune.finetune` for its fields."""
    settings, out = job["settings"], Path(job["out"])
    torch.set_num_threads(job["threads"])
    base = Path(job["base"])
    with np.load(job["windows"]) as stored:
        training = TrainingWindows.of(stored["training_context"], stored["training_target"])
        validation = TrainingWindows.of(stored["validation_context"], stored["validation_target"])
    adapter = Path(job["adapter"]) if job["adapter"] else None
    tuned = prepare(rebuild(base), settings, adapter)
    say({"kind": "start", "step": 0, "steps": settings["steps"],
         "parameters": sum(part.numel() for part in tuned.moving)})  # fmt: skip
    curve = fit(tuned, training, validation, settings, say)
    best = min(curve, key=lambda point: point["validation_pinball"])
    if best["step"] == 0:
        say({"kind": "done", "best_step": 0, "curve": curve})
        return
    if tuned.adapted is not None:
        _write_adapter(tuned.adapted, out / "adapter", job)
    merged = merge(tuned, validation)
    fields = job["card"]
    told = {name: fields[name] for name in ("fit_cutoff", "trained_on", "base")}
    write_checkpoint(tuned.model, out / "checkpoint", told)
    facts = {**fields.pop("facts"), "best_step": best["step"], "curve": curve,
             "merging_changed": merged, "torch": torch.__version__,
             "checkpoint": f"{job['final']}/checkpoint"}  # fmt: skip
    deliver(tuned.model, out / "checkpoint", out, float16=False, facts=facts, **fields)
    say({"kind": "done", "best_step": best["step"], "curve": curve})


def _write_adapter(adapted: PeftModel, folder: Path, job: dict[str, Any]) -> None:
    """Write an adapter and what it may be put on."""
    card = read_card(Path(job["base"]))
    told = {"base": card.weights_sha256, "name": card.name, "fit_cutoff": job["card"]["fit_cutoff"]}
    write_checkpoint(adapted, folder, told)
    (folder / "README.md").unlink(missing_ok=True)  # peft's template of a model page


if __name__ == "__main__":
    serve(tune)
