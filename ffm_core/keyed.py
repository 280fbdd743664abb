"""Random generators that depend on what they are for, not on who ran before."""

from __future__ import annotations

import hashlib

import numpy as np


def keyed(seed: int, *key: str | int) -> np.random.Generator:
    """Return a generator for one purpose.

    The key is hashed, so draws do not depend on the order of calls, on the
    number of workers or on Python's hash seed.

    Parameters
    ----------
    seed : int
        Seed of the run.
    *key : str or int
        What the draws are for, for example ``"random", fold, draw``. The text
        ``"1"`` and the number ``1`` are different keys.

    Returns
    -------
    numpy.random.Generator
        PCG64, seeded with the SHA-256 of the key.
    """
    parts = [f"i{int(seed)}"]
    parts += [f"s{len(part)}:{part}" if isinstance(part, str) else f"i{int(part)}" for part in key]
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    words = np.frombuffer(digest, dtype="<u4").astype(np.uint32)
    return np.random.default_rng(np.random.SeedSequence(words.tolist()))
