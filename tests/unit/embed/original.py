"""What the tests ask of torch and chronos, all in one process: ``python original.py FOLDER``.

The folder holds ``windows.npz``. Checkpoints with random weights are written beside it,
loaded the way users load them, and their answers kept; conversions are tried, good and bad.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

import numpy as np

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}

import torch
from chronos.chronos2.config import Chronos2CoreConfig
from chronos.chronos2.model import Chronos2Model
from chronos.chronos_bolt import ChronosBoltModelForForecasting
from transformers import T5Config

from ffm_core.embed.workers.convert import convert
from ffm_core.embed.workers.reference import Reference
from ffm_core.errors import FFMError

SHAPES = {
    "tiny": {"d_model": 256, "d_kv": 64, "d_ff": 1024, "num_heads": 4, "num_layers": 4,
             "num_decoder_layers": 4},
    "small": {"d_model": 48, "d_kv": 16, "d_ff": 96, "num_heads": 3, "num_layers": 2,
              "num_decoder_layers": 1},
}  # fmt: skip
LIMIT_BYTES = 50_000


def checkpoint(folder: Path, shape: dict[str, int], context: int, **other: object) -> None:
    """Write random weights in the layout in which Chronos-Bolt is published."""
    torch.manual_seed(7)
    config = T5Config(
        vocab_size=2, dropout_rate=0.1, is_encoder_decoder=True, use_cache=False, pad_token_id=0,
        decoder_start_token_id=0, eos_token_id=1,
        **{"feed_forward_proj": "relu", **shape, **other},
    )  # fmt: skip
    config.chronos_pipeline_class = "ChronosBoltPipeline"
    config.chronos_config = {
        "context_length": context, "prediction_length": 64, "input_patch_size": 16,
        "input_patch_stride": 16, "quantiles": [k / 10 for k in range(1, 10)],
        "use_reg_token": True,
    }  # fmt: skip
    write(ChronosBoltModelForForecasting(config), folder)


def checkpoint2(folder: Path) -> None:
    """Write random weights in the layout in which Chronos-2 is published."""
    torch.manual_seed(8)
    config = Chronos2CoreConfig(d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4)
    config.chronos_pipeline_class = "Chronos2Pipeline"
    config.chronos_config = {
        "context_length": 256, "output_patch_size": 16, "input_patch_size": 16,
        "input_patch_stride": 16, "quantiles": [k / 20 for k in range(1, 20)],
        "use_reg_token": True, "use_arcsinh": True, "max_output_patches": 8,
        "time_encoding_scale": 512,
    }  # fmt: skip
    write(Chronos2Model(config), folder)


def write(model: torch.nn.Module, folder: Path) -> None:
    """Draw the weights and write the checkpoint."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(drawn(name, weight, model.config.d_kv))
    model.save_pretrained(folder)


def drawn(name: str, weight: torch.Tensor, d_kv: int) -> torch.Tensor:
    """Return a random weight of a size that training leaves, so that answers are near 1.

    Norms of 1 and biases of 0, as models begin with, would hide their absence.
    """
    noise = torch.randn_like(weight)
    if weight.dim() == 1:
        return 0.1 * noise + (1.0 if "norm" in name else 0.0)
    if name == "shared.weight" or "relative_attention_bias" in name:
        return noise
    fan_in = weight.shape[1] * (d_kv if name.endswith(".q.weight") else 1)
    return noise * fan_in**-0.5


def attempt(folder: Path, source: str, name: str, **changed: object) -> dict[str, object]:
    """Convert once and return the card, or what was said against it."""
    out = folder / f"model-{name}"
    out.mkdir()
    card = {"name": name, "fit_cutoff": None, "released": "2024-11-26", "trained_on": "nothing",
            "source": "tests", "base": "", "facts": {}}  # fmt: skip
    job = {"source": source, "out": str(out), "threads": 1, "float16": False, "card": card}
    try:
        return {"checks": dict(convert(job | changed).checks)}
    except FFMError as error:
        return {"error": type(error).__name__, "problem": error.problem, "fix": error.fix}


def main(folder: Path) -> None:
    """Do everything."""
    torch.set_num_threads(1)
    windows = dict(np.load(folder / "windows.npz"))
    answers, told = {}, {}
    checkpoint2(folder / "chronos-2")
    for name, shape in SHAPES.items():
        checkpoint(folder / name, shape, 2048 if name == "tiny" else 256)
    for name in (*SHAPES, "chronos-2"):
        original = Reference(str(folder / name))
        for kind, values in windows.items():
            answers[f"{name}/{kind}/tokens"] = original.tokens(values)
            answers[f"{name}/{kind}/quantiles"] = original.quantiles(values)
    checkpoint(folder / "gated", SHAPES["small"], 256, feed_forward_proj="gated-gelu")
    small = str(folder / "small")
    told["small"] = attempt(folder, small, "small")
    told["chronos-2"] = attempt(folder, str(folder / "chronos-2"), "chronos-2", float16=True)
    told["half"] = attempt(folder, small, "half", float16=True)
    told["gated"] = attempt(folder, str(folder / "gated"), "gated")
    told["hub"] = attempt(folder, "amazon/chronos-bolt-tiny", "hub")
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))
    told["full"] = attempt(folder, small, "full")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    np.savez(folder / "answers.npz", **answers)
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
