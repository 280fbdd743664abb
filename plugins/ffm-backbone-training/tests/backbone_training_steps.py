"""One torch process for all that tests ask of training; prints what it found as JSON."""

from __future__ import annotations

import hashlib
import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ffm_backbone_training.finetune import Settings
from ffm_backbone_training.training import States
from ffm_backbone_training.workers import finetune, pretrain
from ffm_backbone_training.workers.rebuild import answers, rebuild

from ffm_core.embed.cards import read_card
from ffm_core.errors import FFMError


def weights(folder: Path) -> str:
    found = hashlib.sha256()
    for name in ("checkpoint/model.safetensors", "model/encoder.onnx", "model/decoder.onnx"):
        found.update((folder / name).read_bytes())
    return found.hexdigest()


def resumed(job: dict[str, Any], root: Path) -> dict[str, Any]:
    """Go on from copies of a killed training; begin one that nothing interrupts."""
    heard: list[dict[str, Any]] = []
    pretrain.say = heard.append
    found: dict[str, Any] = {"starts": {}}
    for name in ("killed", "torn", "whole"):
        pretrain.train({**job, "folder": str(root / name)})
        found[name] = weights(root / name)
        found["starts"][name] = [m["step"] for m in heard if m["kind"] == "start"][-1]
    found["notes"] = [m["text"] for m in heard if m["kind"] == "note"]
    found["states"] = States(root / "whole").steps()
    return found


def full_disk(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train where no state can be written; tell what stands afterwards."""
    before = sorted(path.name for path in folder.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
    try:
        pretrain.train({**job, "folder": str(folder)})
        error = "nothing"
    except FFMError as found:
        error = f"{type(found).__name__}: {found.problem}"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    after = sorted(path.name for path in folder.iterdir() if path.name != ".lock")
    return {"error": error, "before": before, "after": after}


def walks(rows: int, seed: int, context: int, horizon: int) -> finetune.TrainingWindows:
    rng = np.random.default_rng(seed)
    paths = np.cumsum(rng.standard_normal((rows, context + horizon)) + 0.1, axis=1)
    past = paths[:, :context]
    scaled = (paths - past.mean(axis=1, keepdims=True)) / past.std(axis=1, keepdims=True)
    values = scaled.astype(np.float32)
    return finetune.TrainingWindows.of(values[:, :context].copy(), values[:, context:].copy())


def tuned(folder: Path) -> dict[str, Any]:
    """Fine-tune the pretrained model in several ways."""
    horizon = read_card(folder).horizon
    train, held = walks(128, 1, 64, horizon), walks(64, 2, 64, horizon)
    base = rebuild(folder)
    with torch.inference_mode():
        expected = answers(base, held.context)[1]
    frozen = {name: part.clone() for name, part in base.state_dict().items()}
    found: dict[str, Any] = {"base_pinball": finetune.pinball(base, held)}

    def how(**changes: Any) -> dict[str, Any]:
        usual = {"steps": 12, "rows": 32, "check_every": 4, "learning_rate": 1e-2}
        return Settings(**{**usual, **changes}).plain()

    lora = finetune.prepare(rebuild(folder), how())
    with torch.inference_mode():
        found["step_0_off"] = float(
            (answers(lora.model.eval(), held.context)[1] - expected).abs().max()
        )
    found["drift_0"] = float(lora.drift().detach())
    curve = finetune.fit(lora, train, held, how(), lambda message: None)
    found["curve"] = curve
    found["moved"] = float(lora.drift().detach())
    kept = {name.replace(".base_layer", ""): part for name, part in lora.model.state_dict().items()}
    found["base_intact"] = all(torch.equal(kept[name], part) for name, part in frozen.items())
    found["share"] = sum(p.numel() for p in lora.moving) / sum(p.numel() for p in base.parameters())
    pairs = [(n, p) for n, p in lora.adapted.named_parameters() if "lora_A" in n]
    named = dict(lora.adapted.named_parameters())
    direct = sum(
        float((named[n.replace("lora_A", "lora_B")] @ p).detach().square().sum()) for n, p in pairs
    )
    found["product_off"] = abs(direct - found["moved"]) / direct
    with torch.inference_mode():
        trained = answers(lora.model, held.context)[1]
    lora.adapted.save_pretrained(folder.parent / "adapter")
    again = finetune.prepare(rebuild(folder), how(), folder.parent / "adapter")
    with torch.inference_mode():
        off = (answers(again.model.eval(), held.context)[1] - trained).abs().max()
    found["adapter_off"] = float(off)
    found["merging_changed"] = finetune.merge(lora, held)
    with torch.inference_mode():
        found["merged_off"] = float((answers(lora.model, held.context)[1] - expected).abs().max())
    for pull in (0.0, 1e6):
        for kind in (True, False):
            settings = how(lora=kind, l2_to_init=pull, learning_rate=None if pull else 1e-2)
            part = finetune.prepare(rebuild(folder), settings)
            list(finetune.steps(part, train, settings))
            with torch.inference_mode():
                off = (answers(part.model.eval(), held.context)[1] - expected).abs().max()
            found[f"off {'lora' if kind else 'full'} {pull:g}"] = float(off)
    return found


def main() -> None:
    job, root = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    found = resumed(job, root)
    found["disk"] = full_disk(job, root / "disk")
    found["tuned"] = tuned(root / "whole" / "model")
    (root / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
