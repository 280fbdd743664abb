"""Ask a labeler for its decisions; neither the answer nor the asking may harm what follows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ffm_core.bars import Bars
from ffm_core.errors import StrategyError
from ffm_core.records import Decisions, Labeler, Params, answers


def ask(labeler: Labeler, bars: Bars, params: Params) -> Decisions:
    """Return the decisions of a labeler on one stream.

    Parameters
    ----------
    labeler : Labeler
        Asked once, with parameters of its own to scribble on.
    bars : Bars
        The whole stream.
    params : mapping
        Parameters of the run.

    Returns
    -------
    Decisions
        With every declared column; all bars exist, all numbers can be traded.

    Raises
    ------
    StrategyError
        When the answer is something else, or asking changed what other code relies on.
    """
    with _state_kept():
        answer = labeler.decide(bars, dict(params))
    return answers.decisions(labeler, answer, bars)


@contextmanager
def _state_kept() -> Iterator[None]:
    """Notice when plug-in code changes the state that all code of a process shares.

    The next strategy, or this one asked again, would otherwise answer differently.
    """
    before = _state()
    yield
    for (what, old, fix), (_, new, _) in zip(before, _state(), strict=True):
        if old != new:
            raise StrategyError(f"decide changes {what}", fix=fix)


def _state() -> tuple[tuple[str, object, str], ...]:
    generator = "use a generator of your own: np.random.default_rng(seed)"
    words, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - that one is meant
    numpy_state = (words, np.asarray(keys).tobytes(), *rest)
    return (
        ("numpy's global random state", numpy_state, generator),
        ("Python's global random state", random.getstate(), generator),
        ("how numpy treats floating-point errors", np.geterr(), "use 'with np.errstate(...)'"),
        ("the working folder", Path.cwd(), "open files by their whole path"),
    )
