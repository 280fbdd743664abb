"""The original: a checkpoint as ``chronos-forecasting`` itself loads and runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from chronos import BaseChronosPipeline, Chronos2Pipeline, ChronosBoltPipeline
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

from ffm_core.embed.verification import checkpoint_sha256
from ffm_core.embed.workers.graph_chronos2 import HORIZON
from ffm_core.errors import ModelError, UnavailableError
from ffm_core.types import Float32

_Answer: TypeAlias = tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], torch.Tensor]

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


class Reference:
    """A Chronos-Bolt or Chronos-2 pipeline on the CPU in float32.

    Parameters
    ----------
    source : str
        Folder, or a name on the hub.
    rounded : bool
        Round every weight to float16 first, as a model file with such weights holds them.

    Raises
    ------
    UnavailableError
        When the hub cannot be reached and has not been before.
    ModelError
        When the checkpoint cannot be loaded or is of another architecture.
    """

    def __init__(self, source: str, *, rounded: bool = False) -> None:
        try:
            pipeline = BaseChronosPipeline.from_pretrained(
                source, device_map="cpu", dtype=torch.float32
            )
        except Exception as error:
            raise _unusable(source, error) from error
        if not isinstance(pipeline, ChronosBoltPipeline | Chronos2Pipeline):
            raise ModelError(
                f"architecture {type(pipeline).__name__.removesuffix('Pipeline')} is not "
                f"converted yet, found in {source}",
                fix="choose a Chronos-Bolt or Chronos-2 checkpoint",
            )
        self.pipeline: Any = pipeline
        self._answer = _bolt if isinstance(pipeline, ChronosBoltPipeline) else _chronos2
        self.model: Any = pipeline.model.eval()
        if rounded:
            with torch.no_grad():
                for parameter in self.model.parameters():
                    parameter.copy_(parameter.half().float())
        self.folder = Path(cached_file(source, "config.json")).parent

    @property
    def sha256(self) -> str:
        """Hash over the checkpoint's files, names included."""
        return checkpoint_sha256(self.folder)

    def weights(self) -> dict[str, Float32]:
        """Return every weight by its name in the Hugging Face layout."""
        state = self.model.state_dict()
        return {name: tensor.detach().float().numpy() for name, tensor in state.items()}

    def tokens(self, values: Float32) -> Float32:
        """Return what ``pipeline.embed`` does, float32 (N, P + 1, d_model)."""
        tokens, _, _ = self._answer(self.pipeline, torch.from_numpy(values))
        return np.ascontiguousarray(tokens.numpy())

    def quantiles(self, values: Float32) -> Float32:
        """Return what ``pipeline.predict`` does, float32 (N, levels, horizon).

        It answers in the units of its input and norms every window again, so a window of
        zeros comes back divided by its floor; that is undone here.
        """
        given = torch.from_numpy(values)
        _, (loc, scale), found = self._answer(self.pipeline, given, forecast=True)
        return np.ascontiguousarray(((found - loc[:, None, None]) / scale[:, None, None]).numpy())


def _bolt(pipeline: Any, given: torch.Tensor, *, forecast: bool = False) -> _Answer:
    tokens, norm = pipeline.embed(given)
    return tokens, norm, pipeline.predict(given) if forecast else tokens


def _chronos2(pipeline: Any, given: torch.Tensor, *, forecast: bool = False) -> _Answer:
    """Ask window by window: in company, patches without a bar answer from their neighbours.

    The last token, a patch to be forecast, is left out: before it stands the one for the
    whole window.
    """
    alone = given[:, None, :]
    tokens, norms = pipeline.embed(alone, batch_size=1)
    loc, scale = (torch.cat([norm[k].reshape(1) for norm in norms]) for k in (0, 1))
    found = torch.cat(tokens)[:, :-1]
    if not forecast:
        return found, (loc, scale), found
    patch = pipeline.model.chronos_config.output_patch_size
    bars = min(HORIZON // patch * patch, pipeline.model_prediction_length)
    ahead = pipeline.predict(alone, prediction_length=bars, batch_size=1)
    return found, (loc, scale), torch.cat(ahead)


def _unusable(source: str, error: Exception) -> Exception:
    said = " ".join(str(error).split())[:300]
    if Path(source).is_dir():
        return ModelError(
            f"{source} cannot be loaded: {said}",
            fix="give a folder with config.json and model.safetensors",
        )
    short = source.rpartition("/")[2]
    return UnavailableError(
        f"{source} is not on this machine, and the hub cannot be reached: {said}",
        fix=f"on a machine with a network run 'hf download {source} --local-dir {short}', copy "
        f"the folder here, and run 'ffm backbone add ./{short} --name {short} --released' with "
        "its release date",
    )
