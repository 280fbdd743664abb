"""An append-only, hash-chained table of events in one SQLite file.

Each row holds the hash of the one before it, so that an edit anywhere shows.
SQLite keeps the file whole when a writer is killed; triggers refuse changes made
through SQL, and :func:`check_chain` finds those made around them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ffm_core.errors import FFMError, LedgerError, OutputError
from ffm_core.runs.atomic import make_home, output_error
from ffm_core.runs.canonical import canonical_json, utc_text

SCHEMA = "ffm-ledger/1"
KINDS = ("genesis", "opened", "closed", "aborted", "repeated", "recorded", "market", "sealed",
         "unsealed")  # fmt: skip
BUSY_SECONDS = 60.0
_NO_HASH = "0" * 64
_OBJECTS = 5  # the table, the index of its hashes, three triggers
_TABLE = """
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY, time TEXT NOT NULL, kind TEXT NOT NULL,
  payload TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL UNIQUE
) STRICT;
CREATE TRIGGER IF NOT EXISTS events_keep BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_grow BEFORE INSERT ON events
WHEN NEW.seq != (SELECT coalesce(max(seq), 0) + 1 FROM events)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One row of the ledger; ``payload`` is parsed JSON, ``text`` as stored."""

    seq: int
    time: str
    kind: str
    text: str
    prev_hash: str
    hash: str

    @property
    def payload(self) -> dict[str, Any]:
        """The payload, parsed anew at each call."""
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed


class Writer:
    """Appends events inside one exclusive transaction; see :meth:`Chain.write`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.events = _read(connection)

    def append(self, kind: str, payload: Mapping[str, Any]) -> Event:
        """Add one event and return it."""
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is not a kind of event")
        last = self.events[-1] if self.events else None
        event = _sealed(
            seq=last.seq + 1 if last else 1,
            time=utc_text(dt.datetime.now(dt.UTC)),
            kind=kind,
            text=canonical_json(payload).decode("ascii"),
            prev_hash=last.hash if last else _NO_HASH,
        )
        self._connection.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
            (event.seq, event.time, event.kind, event.text, event.prev_hash, event.hash),
        )
        self.events.append(event)
        return event


class Chain:
    """The file of events; every call opens it anew, so it may cross processes.

    Parameters
    ----------
    path : pathlib.Path
        The SQLite file; created by the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Hold the only write lock; commit at the end, undo everything on an error.

        Raises
        ------
        LedgerError
            When the chain is broken, or the file is no ledger, or another process
            holds the lock for more than a minute.
        OutputError
            When the file cannot be written.
        """
        with self._errors(), closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                writer = Writer(connection)
                if not writer.events:
                    writer.append("genesis", {"schema": SCHEMA, "id": uuid.uuid4().hex})
                self.require_whole(writer.events)
                yield writer
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def read(self, kind: str | None = None) -> list[Event]:
        """Return all events, or those of one kind, oldest first; none without a ledger.

        Raises
        ------
        LedgerError
            When the file cannot be read, or is no ledger.
        """
        try:
            self.path.stat()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LedgerError(
                f"cannot read the ledger {self.path}: {error.strerror}",
                fix="set FFM_HOME to a folder you can write to",
            ) from error
        with self._errors(), closing(self._connect()) as connection:
            return _read(connection, kind)

    def _connect(self) -> sqlite3.Connection:
        make_home(self.path.parent)
        made = not self.path.exists()
        self.path.touch(0o600)
        if (
            made or self.path.stat().st_mode & 0o077
        ):  # SQLite gives its other files the same permissions
            with suppress(PermissionError):  # somebody else's
                self.path.chmod(0o600)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _patiently(connection, "PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            known = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if known[0] < _OBJECTS:
                _create(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def require_whole(self, events: Sequence[Event]) -> None:
        """Raise a ``LedgerError`` that names the first broken row, if there is one."""
        broken = check_chain(events)
        if broken is not None:
            raise LedgerError(
                f"the ledger {self.path} was edited: row {broken[0]}: {broken[1]}",
                fix="restore the file from a backup, or start a new ledger with FFM_HOME",
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FFMError:
            raise
        except OSError as error:
            raise output_error(self.path, error) from error
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def _explain(self, error: sqlite3.Error) -> FFMError:
        code = getattr(error, "sqlite_errorname", "")
        if code.startswith("SQLITE_BUSY"):
            return LedgerError(
                f"the ledger {self.path} is locked by another process",
                fix="wait until the other evaluation has finished, then run again",
            )
        if code.startswith(("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR")):
            return OutputError(
                f"cannot write the ledger {self.path}: {error}",
                fix="free some space, grant write permission, or move it with FFM_HOME",
            )
        return LedgerError(
            f"{self.path} cannot be read as a ledger: {error}",
            fix="restore the file from a backup, or start a new ledger with FFM_HOME",
        )


def check_chain(events: Sequence[Event]) -> tuple[int, str] | None:
    """Return the first broken row and what is wrong with it, or None.

    A chain cut off at its end is whole in itself; a run record keeps the head it saw,
    so that ``ffm runs verify RUN`` can tell.
    """
    previous = _NO_HASH
    for expected, event in enumerate(events, start=1):
        if event.seq != expected:
            return expected, "the row is missing"
        if event.prev_hash != previous:
            return event.seq, "it does not follow the row before it"
        if event.hash != _hash(event.seq, event.time, event.kind, event.text, event.prev_hash):
            return event.seq, "its content does not match its hash"
        # A kind we do not know is a newer version's: kept, and reported as such.
        if (event.kind == "genesis") != (expected == 1):
            return event.seq, f"a row of kind {event.kind!r} is out of place here"
        previous = event.hash
    return None


def _create(connection: sqlite3.Connection) -> None:
    # One transaction: a process killed in between leaves an empty file, not half a ledger.
    connection.executescript(f"BEGIN IMMEDIATE; {_TABLE} COMMIT;")


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    # Switching a new file to WAL can report "locked" at once, without the usual waiting.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            locked = getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")
            if not locked or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _read(connection: sqlite3.Connection, kind: str | None = None) -> list[Event]:
    rows = connection.execute(
        "SELECT seq, time, kind, payload, prev_hash, hash FROM events "
        "WHERE ?1 IS NULL OR kind = ?1 ORDER BY seq",
        (kind,),
    )
    return [Event(seq=seq, time=when, kind=kind, text=text, prev_hash=prev, hash=own)
            for seq, when, kind, text, prev, own in rows]  # fmt: skip


def _sealed(*, seq: int, time: str, kind: str, text: str, prev_hash: str) -> Event:
    own = _hash(seq, time, kind, text, prev_hash)
    return Event(seq=seq, time=time, kind=kind, text=text, prev_hash=prev_hash, hash=own)


def _hash(seq: int, when: str, kind: str, text: str, prev_hash: str) -> str:
    return hashlib.sha256(canonical_json([seq, when, kind, text, prev_hash])).hexdigest()
