"""What an exhibit of the zoo is: a plug-in, what is wrong with it, and who must find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ffm_core.records import ExitPolicy, FeatureSet, Labeler, Learner, Target

Kind: TypeAlias = Literal["features", "labeler", "exit", "target", "learner"]
Record: TypeAlias = FeatureSet | Labeler | ExitPolicy | Target | Learner
KINDS: tuple[Kind, ...] = ("features", "labeler", "exit", "target", "learner")
MARK = "# fault: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Honest:
    """A plug-in that does what it declares and looks like one that does not.

    Parameters
    ----------
    name : str
        Unique in the zoo.
    kind : {"features", "labeler", "exit", "target", "learner"}
        What the record is.
    summary : str
        What it does, in a few words.
    record : FeatureSet, Labeler, ExitPolicy, Target or Learner
        The plug-in itself.
    source : str
        Path of the file it is written in.
    forget : callable, optional
        Clears what the plug-in keeps between calls.
    """

    name: str
    kind: Kind
    summary: str
    record: Record
    source: str
    forget: Callable[[], None] | None = None

    def make(self) -> Record:
        """Return the record as a process sees it that has never called it."""
        if self.forget is not None:
            self.forget()
        return self.record


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Honest):
    """A plug-in with one planted fault.

    Parameters
    ----------
    kills : tuple of str
        The detectors that find the fault on the zoo's own bars when they run alone.

    Notes
    -----
    The guilty line ends in ``# fault: <name>``; a message about the fault should
    name it.
    """

    kills: tuple[str, ...] = ()

    def lines(self) -> tuple[int, ...]:
        """Return the numbers of the guilty lines, from 1.

        Raises
        ------
        LookupError
            When no line of the source is marked.
        """
        text = Path(self.source).read_text(encoding="utf-8").splitlines()
        found = tuple(i for i, line in enumerate(text, 1) if _marks(line, self.name))
        if not found:
            raise LookupError(f"no line of {self.source} is marked '{MARK}{self.name}'")
        return found


def _marks(line: str, name: str) -> bool:
    _, mark, names = line.partition(MARK)
    return bool(mark) and name in (part.strip() for part in names.split(","))


__all__ = ["KINDS", "MARK", "Fault", "Honest", "Kind", "Record"]
