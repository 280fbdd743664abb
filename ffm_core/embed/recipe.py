"""How bars become windows and windows become vectors; what a vector's identity hangs on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from ffm_core.errors import ConfigError
from ffm_core.runs.cache import key

Pool: TypeAlias = Literal["mean", "reg", "meanreg", "last2"]
Backend: TypeAlias = Literal["onnx", "torch", "openvino-bf16"]
POOLS: tuple[Pool, ...] = ("mean", "reg", "meanreg", "last2")
BACKENDS: tuple[Backend, ...] = ("onnx", "torch", "openvino-bf16")
EXTRAS = ("return_shape", "log_scale")
CONTEXT_BARS = 128
# Log closes are centred on the window's last one in float64 and divided by the window's
# standard deviation before any cast; another way of doing it is another embedding.
CENTRING = "last-close-float64-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRecipe:
    """The fixed choices behind a vector.

    Parameters
    ----------
    context_bars : int
        Bars of a window, a multiple of the model's patch.
    pool : {"mean", "reg", "meanreg", "last2"}
        Mean of all tokens; the last token, which stands for the whole window; both;
        the last two tokens side by side.
    extras : tuple of str
        Columns appended from the window before normalisation.
    backend : {"onnx", "torch", "openvino-bf16"}
        What computes it; they are not interchangeable to the last bit.
    """

    context_bars: int = CONTEXT_BARS
    pool: Pool = "mean"
    extras: tuple[str, ...] = EXTRAS
    backend: Backend = "onnx"
    centring: str = CENTRING

    def identity(self, weights_sha256: str) -> str:
        """Return the SHA-256 of weights and recipe; extras are computed anew and left out."""
        chosen = {name: value for name, value in asdict(self).items() if name != "extras"}
        return key("embedder-2", weights_sha256, chosen)

    def width(self, d_model: int) -> int:
        """Return how many numbers the pooled vector holds."""
        return d_model * (2 if self.pool in ("meanreg", "last2") else 1)


def parse_variant(text: str) -> EmbeddingRecipe:
    """Return the recipe of what follows a backbone's name and ``:``.

    Its parts, each optional and in this order, with ``-`` between them: a pool, ``bare``
    to leave the extra columns out, a backend. So ``reg``, ``mean-bare``, ``torch``,
    ``meanreg-openvino-bf16``, and "" for the default.

    Raises
    ------
    ConfigError
        When the text names no pool or no backend.
    """
    asked, backend = text, BACKENDS[0]
    for known in BACKENDS[1:]:
        if text == known or (text.endswith(f"-{known}") and text != f"-{known}"):
            asked, backend = text[: -len(known) - 1], known
    pool, dash, rest = asked.partition("-")
    if asked and (pool not in POOLS or (dash and rest != "bare")):
        raise ConfigError(
            f"{text!r} is not a variant of an embedder",
            fix=f"write one of {', '.join(POOLS)}; after it -bare leaves the extra columns out, "
            f"and one of -{', -'.join(BACKENDS[1:])} computes it another way",
        )
    chosen: Pool = next((known for known in POOLS if known == pool), "mean")
    return EmbeddingRecipe(pool=chosen, extras=() if rest == "bare" else EXTRAS, backend=backend)
