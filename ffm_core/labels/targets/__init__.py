"""Targets: what a head may learn about the future of a bar.

Groups: ``context`` (state of the market), ``barrier`` (direction), ``ladder`` (how far
a trade goes). ``target("context/trendiness").compute(bars)`` gives a value and an end bar
for every bar. Labels that overlap are weighted by :func:`uniqueness`.

A target of fixed horizon is undefined in the last ``horizon_bars`` bars. One that
ends when something happens (``barrier``, ``ladder``) is defined there if it has
happened: those rows hold quick endings only, so leave them out of training.
"""

from __future__ import annotations

from ffm_core.errors import UnknownNameError
from ffm_core.labels.targets.barrier import BARRIER
from ffm_core.labels.targets.context import CONTEXT, context_values
from ffm_core.labels.targets.ladder import LADDER, RUNGS, Ladder, ladder
from ffm_core.labels.targets.uniqueness import uniqueness
from ffm_core.records import Target
from ffm_core.wording import suggest

__all__ = [
    "RUNGS",
    "TARGETS",
    "Ladder",
    "context_values",
    "ladder",
    "target",
    "uniqueness",
]

TARGETS: tuple[Target, ...] = (*CONTEXT, *BARRIER, *LADDER)
_BY_NAME = {one.name: one for one in TARGETS}


def target(name: str) -> Target:
    """Return a target by its name, for example ``context/trendiness``.

    Raises
    ------
    UnknownNameError
        When there is none of that name; the message names the nearest.
    """
    found = _BY_NAME.get(name)
    if found is None:
        raise UnknownNameError(
            f"there is no target {name!r}", fix=suggest(name, _BY_NAME, noun="targets")
        )
    return found
