"""From torch to a model folder, compared; and from a model folder back to torch.

The graphs name their weights after the checkpoint they were written from, so the way
back is a renaming. What a graph leaves out has no part in any answer: queries and keys
of the decoder's look at its only token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from chronos.chronos_bolt import ChronosBoltModelForForecasting
from onnx import numpy_helper
from transformers import T5Config

from ffm_core.embed.cards import DECODER, ENCODER, Card, read_card, verified
from ffm_core.embed.recipe import CONTEXT_BARS
from ffm_core.embed.session import OnnxModel
from ffm_core.embed.verification import (
    LIMITS,
    battery,
    checkpoint_sha256,
    differences,
    require_close,
)  # fmt: skip
from ffm_core.embed.workers.graph import write_model
from ffm_core.runs.atomic import output_error
from ffm_core.types import Float32

_BIAS = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"
_LIVE = ("REG", "START")


def weights_of(folder: Path, card: Card) -> dict[str, Float32]:
    """Return the weights of a model folder under the names of its checkpoint, float32.

    Raises
    ------
    ModelError
        When a file is missing, cut off or changed.
    """
    found: dict[str, Float32] = {}
    rows: dict[str, Float32] = {}
    for file in (ENCODER, DECODER):
        graph = onnx.load_model_from_string(verified(folder, card, file)).graph
        for stored in graph.initializer:
            if stored.name.startswith("constant_"):
                continue
            array = np.asarray(numpy_helper.to_array(stored), dtype=np.float32)
            if stored.name in _LIVE:
                rows[stored.name] = array.reshape(-1)
            else:
                found |= _named(stored.name, array)
    found["shared.weight"] = np.vstack([rows["START"], rows["REG"]])
    return found


def rebuild(folder: Path) -> ChronosBoltModelForForecasting:
    """Return a model folder's model in torch, in float32 and in evaluation mode.

    Raises
    ------
    ModelError
        When its answers are not those of the graphs.
    """
    card = read_card(folder)
    weights = weights_of(folder, card)
    model = ChronosBoltModelForForecasting(_configuration(card, weights))
    _load(model, weights)
    model.eval()
    require_same(model, folder, card)
    return model


def require_same(
    model: ChronosBoltModelForForecasting, folder: Path, card: Card
) -> dict[str, float]:
    """Return the largest differences between a model in torch and its graphs.

    Raises
    ------
    ModelError
        When they are more than a conversion may cost; see :data:`.LIMITS`.
    """
    contexts = {min(CONTEXT_BARS, card.context_length), card.context_length}
    graphs, found = OnnxModel(folder, card, threads=1), dict.fromkeys(LIMITS, 0.0)
    for context in sorted(contexts):
        parts = differences(_Torch(model), graphs, battery(context))
        found = {what: max(found[what], off) for what, off in parts.items()}
    require_close(card.name, found)
    return found


class _Torch:
    """A model in torch, asked as its graphs are."""

    def __init__(self, model: ChronosBoltModelForForecasting) -> None:
        self._model = model

    def tokens(self, values: Float32) -> Float32:
        with torch.inference_mode():
            return np.asarray(answers(self._model, torch.from_numpy(values))[0].numpy())

    def quantiles(self, values: Float32) -> Float32:
        with torch.inference_mode():
            return np.asarray(answers(self._model, torch.from_numpy(values))[1].numpy())


def deliver(
    model: ChronosBoltModelForForecasting, checkpoint: Path, out: Path, *, float16: bool,
    **fields: Any,
) -> Card:  # fmt: skip
    """Convert a checkpoint that was just written, and compare with the model it is of.

    Parameters
    ----------
    model : ChronosBoltModelForForecasting
        In evaluation mode; its weights are rounded as they are stored.
    checkpoint, out : pathlib.Path
        Folder in the Hugging Face layout; existing folder that becomes a model folder.
    float16 : bool
        Store weights in half the space.
    **fields
        Of the card; see :func:`.write_model`.

    Raises
    ------
    ModelError
        When graphs and model differ.
    OutputError
        When the folder cannot be written.
    """
    facts = {**fields.pop("facts"), "checkpoint_sha256": checkpoint_sha256(checkpoint)}
    if float16:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(parameter.half().float())
    try:
        card = write_model(checkpoint, out, **fields, facts=facts, float16=float16)
        checks = require_same(model, out, card)
        return write_model(checkpoint, out, **fields, facts=facts, checks=checks, float16=float16)
    except OSError as error:
        raise output_error(out, error) from error


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


def answers(
    model: ChronosBoltModelForForecasting, values: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens (N, P + 1, d) and quantiles (N, levels, horizon) of normalised windows."""
    hidden, _, embeds, mask = model.encode(context=values)
    out = model.output_patch_embedding(model.decode(embeds, mask, hidden))
    shape = (len(values), model.num_quantiles, model.chronos_config.prediction_length)
    return hidden, out.view(*shape)


def _named(name: str, array: Float32) -> dict[str, Float32]:
    """Return one stored weight as the weights it was made of."""
    if array.ndim == 2 and name != _BIAS:  # matrices lie transposed, some side by side
        block, _, last = name.split("+")[0].rpartition(".")
        names = [f"{block}.{last}.weight", *(f"{part}.weight" for part in name.split("+")[1:])]
        parts = np.split(array, len(names), axis=1)
        return {full: np.ascontiguousarray(part.T) for full, part in zip(names, parts, strict=True)}
    return {name if name.endswith(".bias") else f"{name}.weight": array}


def _configuration(card: Card, weights: dict[str, Float32]) -> T5Config:
    layers = [
        1 + max(int(name.split(".")[2]) for name in weights if name.startswith(f"{side}.block."))
        for side in ("encoder", "decoder")
    ]
    heads = weights[f"{_BIAS}.weight"].shape[1]
    inner = len(weights["encoder.block.0.layer.0.SelfAttention.q.weight"])
    return architecture({
        "d_model": card.d_model, "d_kv": inner // heads, "num_heads": heads,
        "d_ff": len(weights["encoder.block.0.layer.1.DenseReluDense.wi.weight"]),
        "encoder_layers": layers[0], "decoder_layers": layers[1], "patch": card.patch,
        "horizon": card.horizon, "context_length": card.context_length,
        "quantiles": card.quantiles,
    })  # fmt: skip


def _load(model: ChronosBoltModelForForecasting, weights: dict[str, Float32]) -> None:
    """Fill a model; weights that no graph holds become 0."""
    state = model.state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            source = "shared.weight" if name.endswith("embed_tokens.weight") else name
            given = weights.get(source)
            if given is None:
                tensor.zero_()
            else:
                tensor.copy_(torch.tensor(given))
