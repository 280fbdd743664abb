"""Edits show, whatever way they are made."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sqlite3

import pytest

from ffm_core.errors import LedgerError, OutputError
from ffm_core.runs import chain as module
from ffm_core.runs.chain import Chain, check_chain


@pytest.fixture
def chain(tmp_path):
    made = Chain(tmp_path / "home" / "ledger.sqlite3")
    for day in range(4):
        with made.write() as writer:
            writer.append("sealed", {"instrument": f"I{day}", "day": day})
    return made


def tamper(chain, *statements):
    """Change the file the way a patient person would: without the triggers."""
    connection = sqlite3.connect(chain.path)
    with connection:
        for name in ("events_keep", "events_stay", "events_grow"):
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_the_first_row_is_the_genesis_and_each_follows_the_last(chain):
    events = chain.read()
    assert [e.kind for e in events] == ["genesis"] + ["sealed"] * 4
    assert [e.seq for e in events] == [1, 2, 3, 4, 5]
    assert events[0].payload["schema"] == "ffm-ledger/1"
    assert check_chain(events) is None


def test_the_hash_can_be_computed_without_us(chain):
    event = chain.read()[2]
    spelled = json.dumps(
        [event.seq, event.time, event.kind, event.text, event.prev_hash], separators=(",", ":")
    )
    assert hashlib.sha256(spelled.encode()).hexdigest() == event.hash


def test_reading_without_a_file_makes_none(tmp_path):
    assert Chain(tmp_path / "home" / "ledger.sqlite3").read() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("statement", "row", "words"),
    [
        ("UPDATE events SET payload = replace(payload, 'I1', 'I9') WHERE seq = 3", 3, "hash"),
        ("UPDATE events SET time = '2020-01-01T00:00:00Z' WHERE seq = 1", 1, "hash"),
        ("UPDATE events SET kind = 'closed' WHERE seq = 5", 5, "hash"),
        ("DELETE FROM events WHERE seq = 3", 3, "missing"),
        ("DELETE FROM events WHERE seq = 1", 1, "missing"),
        ("UPDATE events SET prev_hash = hash WHERE seq = 4", 4, "follow"),
    ],
)
def test_an_edit_names_its_row(chain, statement, row, words):
    tamper(chain, statement)
    broken = check_chain(chain.read())
    assert broken is not None
    assert broken[0] == row
    assert words in broken[1]


def test_a_row_with_a_recomputed_hash_breaks_the_next_one(chain):
    events = chain.read()
    forged = module._sealed(
        seq=3, time=events[2].time, kind="sealed", text='{"day":9,"instrument":"I1"}',
        prev_hash=events[1].hash,
    )  # fmt: skip
    tamper(chain, f"UPDATE events SET payload='{forged.text}', hash='{forged.hash}' WHERE seq=3")
    assert check_chain(chain.read()) == (4, "it does not follow the row before it")


def test_nothing_is_written_onto_an_edited_chain(chain):
    tamper(chain, "UPDATE events SET payload = '{}' WHERE seq = 2")
    with pytest.raises(LedgerError, match="row 2") as caught, chain.write() as writer:
        writer.append("sealed", {})
    assert "backup" in caught.value.fix
    assert len(chain.read()) == 5


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET payload = '{}' WHERE seq = 2",
        "DELETE FROM events WHERE seq = 5",
        "INSERT INTO events VALUES (9, '', 'sealed', '{}', '', 'x')",
        "INSERT OR REPLACE INTO events VALUES (2, '', 'sealed', '{}', '', 'x')",
    ],
)
def test_plain_sql_cannot_change_the_past(chain, statement):
    connection = sqlite3.connect(chain.path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


def test_an_exception_undoes_the_whole_transaction(chain):
    def fail():
        with chain.write() as writer:
            writer.append("sealed", {"instrument": "A", "day": 1})
            writer.append("sealed", {"instrument": "B", "day": 1})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert len(chain.read()) == 5


def test_an_unknown_kind_is_a_bug(chain):
    with pytest.raises(ValueError), chain.write() as writer:
        writer.append("deleted", {})


@pytest.mark.parametrize("content", [b"not a database at all, but long enough" * 99, b"short"])
def test_another_kind_of_file(tmp_path, content):
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(content)
    for attempt in (Chain(path).read, Chain(path).write().__enter__):
        with pytest.raises(LedgerError, match="cannot be read as a ledger"):
            attempt()
    assert path.read_bytes() == content


def test_a_folder_in_place_of_the_file_or_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "a" / "ledger.sqlite3").mkdir(parents=True)
    (tmp_path / "b").write_text("x")
    for home in ("a", "b"):
        with pytest.raises(OutputError), Chain(tmp_path / home / "ledger.sqlite3").write():
            pass


class FullDisk(sqlite3.Connection):
    def execute(self, statement, *args):
        if statement.startswith("INSERT"):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = "SQLITE_FULL"
            raise error
        return super().execute(statement, *args)


def test_a_full_disk_says_so_and_counts_nothing(chain, monkeypatch):
    real = sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, factory=FullDisk, **k))
        with pytest.raises(OutputError, match="disk is full"), chain.write() as writer:
            writer.append("sealed", {"instrument": "Z", "day": 1})
    assert check_chain(chain.read()) is None
    assert len(chain.read()) == 5


def test_a_lock_held_too_long_is_explained(chain, monkeypatch):
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    holder = sqlite3.connect(chain.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked by another process"), chain.write():
        pass
    assert len(chain.read()) == 5, "readers do not wait for a writer"
    holder.close()


def test_an_unreadable_home(tmp_path, monkeypatch):
    chain = Chain(tmp_path / "home" / "ledger.sqlite3")

    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "mkdir", refuse)
    with pytest.raises(OutputError, match="Permission denied"), chain.write():
        pass


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_home_and_ledger_are_for_their_owner_alone(tmp_path, umask):
    before = os.umask(umask)
    try:
        Chain(tmp_path / "deep" / "home" / "ledger.sqlite3").read()
        with Chain(tmp_path / "deep" / "home" / "ledger.sqlite3").write() as writer:
            home = tmp_path / "deep" / "home"
            modes = {path.name: path.stat().st_mode & 0o777 for path in home.iterdir()}
            writer.append("sealed", {"instrument": "ES", "day": 1})
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o777 == 0o700
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_an_older_home_is_closed_and_a_folder_of_other_things_is_left_alone(tmp_path):
    older, shared = tmp_path / "older", tmp_path / "shared"
    for home in (older, shared):
        (home / "cache").mkdir(parents=True)
        home.chmod(0o755)
        (home / "ledger.sqlite3").touch(0o644)
    (shared / "notes.txt").touch()
    for home in (older, shared):
        with Chain(home / "ledger.sqlite3").write():
            pass
        assert (home / "ledger.sqlite3").stat().st_mode & 0o777 == 0o600
    assert (older.stat().st_mode & 0o777, shared.stat().st_mode & 0o777) == (0o700, 0o755)
