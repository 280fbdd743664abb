"""The leak zoo: plug-ins with one planted fault each, and honest ones that look alike.

``FAULTS`` is what the falsifier must find, ``CLEAN`` what it must leave alone. Every
module of this package can also be read as a collection of mistakes: the guilty line
ends in a mark with the fault's name.
"""

from __future__ import annotations

from dataclasses import replace

from ffm_core.errors import UnknownNameError
from zoo import (
    chance,
    declaring,
    exits,
    frames,
    inputs,
    keeping,
    labelers,
    learners,
    rare,
    stored,
    streaming,
    targets,
    timing,
    whole_file,
)
from zoo.clean import CLEAN as PLAIN
from zoo.exact import features as exact_features
from zoo.exact import honest
from zoo.exact import labelers as exact_labelers
from zoo.fault import KINDS, Fault, Honest, Kind
from zoo.kills import KILLS

_ROOMS = (timing, whole_file, frames, rare, keeping, chance, declaring, streaming, labelers,
          stored, inputs, exits, targets, learners, exact_features, exact_labelers)  # fmt: skip

CLEAN: tuple[Honest, ...] = (*PLAIN, *inputs.CLEAN, *honest.CLEAN)

FAULTS: tuple[Fault, ...] = tuple(
    replace(fault, kills=KILLS.get(fault.name, ())) for room in _ROOMS for fault in room.FAULTS
)


def exhibit(name: str) -> Honest:
    """Return a fault or an honest plug-in by name.

    Raises
    ------
    UnknownNameError
        When the zoo holds nothing of that name.
    """
    for one in (*FAULTS, *CLEAN):
        if one.name == name:
            return one
    raise UnknownNameError(f"the zoo holds no {name!r}", fix="see zoo.FAULTS and CLEAN")


__all__ = ["CLEAN", "FAULTS", "KINDS", "Fault", "Honest", "Kind", "exhibit"]
