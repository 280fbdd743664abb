"""Holding stored runs to the ledger: what was edited after the run shows.

A record agrees with itself as soon as whoever edits it hashes it again; the ledger has
its own hashes of the result, and of the record and the tables as they were written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ffm_core.errors import RecordError
from ffm_core.runs.chain import Event
from ffm_core.runs.record import (
    Run,
    RunReport,
    differing,
    ledger_since,
    read_record,
    verify_run,
)

_CHANGED = "is not what the ledger says was written: it was changed after the run"


class Book:
    """What the ledger knows of stored runs, read once for all of them.

    Parameters
    ----------
    events : sequence of Event
        All rows of the ledger.
    """

    def __init__(self, events: Sequence[Event]) -> None:
        self.since = events[0].time if events else ""
        self.heads = {event.hash for event in events}
        self.records: dict[str, dict[str, Any]] = {}
        self.results: dict[str, set[str]] = defaultdict(set)
        self.closed: dict[str, str] = {}  # trial → when its first result was written down
        self.first_record = ""
        for event in events:
            if event.kind == "recorded":
                payload = event.payload
                self.records[payload["run"]] = payload
                self.first_record = self.first_record or event.time
            elif event.kind in ("closed", "repeated"):
                payload = event.payload
                self.results[payload["trial"]].add(payload.get("result_hash", ""))
                self.closed.setdefault(payload["trial"], event.time)

    def verified(self, folder: Path) -> RunReport:
        """Hold the run in a folder to itself and to the ledger."""
        try:
            checked, run = verify_run(folder), read_record(folder)
        except RecordError as error:
            return RunReport(run_id=folder.name, result_hash="", recomputed="",
                             problems=(error.problem,))  # fmt: skip
        problems, held = self._held(run)
        return replace(checked, problems=(*checked.problems, *problems), held=held)

    def _held(self, run: Run) -> tuple[list[str], Literal["files", "result", "nothing"]]:
        """Return what the ledger says otherwise, and what of the run it knows."""
        head, trial = (str(run.envelope.get(key) or "") for key in ("ledger_head", "trial"))
        ours = ledger_since(run.result, run.envelope) == self.since or head in self.heads
        problems = []
        # A chain cut off at its end is whole in itself; only a run that saw more can tell.
        if ours and head and head not in self.heads:
            problems.append("the ledger no longer contains the event that closed this run: "
                            "rows were removed")  # fmt: skip
        if (row := self.records.get(run.run_id)) is not None:
            return problems + differing(run.path, row["files"], _CHANGED), "files"
        if trial not in self.results and (not ours or not self.since):
            return problems, "nothing"
        if trial in self.results and run.result_hash not in self.results[trial]:
            problems.append(f"the ledger holds another result of {trial}")
        elif self._must_know(trial, str(run.envelope.get("started"))):
            problems.append("the ledger does not know a run of this name")
        return problems, "result" if trial in self.results else "nothing"

    def _must_know(self, trial: str, started: str) -> bool:
        """Whether a run was written by a version that had the ledger take its hashes."""
        if any(row["trial"] == trial for row in self.records.values() if trial):
            return True
        return bool(self.first_record) and self.closed.get(trial, started) >= self.first_record
