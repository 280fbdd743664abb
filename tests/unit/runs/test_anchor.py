"""A signed head that is kept elsewhere shows a ledger that was written anew."""

from __future__ import annotations

import json
import sqlite3
import subprocess

import pytest

from ffm_core.errors import LedgerError, RecordError, UsageError
from ffm_core.paths import ffm_home
from ffm_core.runs.anchor import broken_promise, read_head, sign_head
from ffm_core.runs.chain import Chain
from ffm_core.runs.ledger import Ledger


@pytest.fixture
def ledger():
    made = Ledger(ffm_home())
    for number in range(4):
        made.seal_day(f"I{number}", 20_000 + number)
    return made


def rebuild(ledger, *, change):
    """Write the whole ledger anew, every hash right, with other rows."""
    kept = [(e.kind, change(e.payload)) for e in ledger.events()]
    genesis = ledger.events()[0]
    ledger.path.unlink()
    chain = Chain(ledger.path)
    with chain.write():
        pass
    connection = sqlite3.connect(ledger.path)
    with connection:
        connection.execute("DROP TRIGGER events_stay")
        connection.execute("DELETE FROM events")
        row = (genesis.seq, genesis.time, genesis.kind, genesis.text, genesis.prev_hash,
               genesis.hash)  # fmt: skip
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", row)
    connection.close()
    with chain.write() as writer:
        for kind, payload in kept[1:]:
            writer.append(kind, payload)


def another_day(payload):
    return {**payload, "day": 1} if payload.get("instrument") == "I2" else payload


def test_a_head_stays_true_while_the_ledger_grows(ledger):
    head = sign_head(ledger.events(), ffm_home())
    ledger.seal_day("LATER", 1)
    assert broken_promise(ledger.events(), head) == ""


def test_a_ledger_written_anew_is_whole_in_itself_and_found_by_the_head(ffm, ledger):
    assert ffm("runs", "anchor").exit_code == 0
    rebuild(ledger, change=another_day)
    assert ffm("runs", "verify").exit_code == 0, "the chain alone cannot tell"
    done = ffm("runs", "verify", "--head", "ffm-head.json")
    assert done.exit_code == 4
    assert "BROKEN  head: the rows up to 5 were written anew" in done.stdout
    assert "fix:" in done.stderr


def test_a_shorter_and_another_ledger_are_found(ledger, tmp_path):
    head = sign_head(ledger.events(), ffm_home())
    assert "2 rows fewer" in broken_promise(ledger.events()[:-2], head)
    other = Ledger(tmp_path / "other")
    other.seal_day("I0", 20_000)
    assert "another ledger" in broken_promise(other.events(), head)
    assert "another ledger" in broken_promise([], head)


def test_verify_says_what_a_head_holds(ffm, ledger, tmp_path):
    assert ffm("runs", "anchor", "--to", "heads/today.json").stdout == "heads/today.json\n"
    done = ffm("runs", "verify", "--head", "heads/today.json")
    assert done.exit_code == 0
    assert "ok      head: the 5 rows up to" in done.stdout
    assert "signed with key" not in done.stderr
    found = json.loads(ffm("runs", "verify", "--head", "heads/today.json", "--json").stdout)
    assert found["head"]["problem"] == ""


def test_a_key_of_another_home_is_named(ffm, ledger):
    ffm("runs", "anchor")
    (ffm_home() / "anchor.key").unlink()
    done = ffm("runs", "verify", "--head", "ffm-head.json")
    assert done.exit_code == 0
    assert "make sure that it is its author's" in done.stderr


def test_the_key_is_for_its_owner_alone_and_kept(ledger):
    first = sign_head(ledger.events(), ffm_home())
    key = ffm_home() / "anchor.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert sign_head(ledger.events(), ffm_home()) == first


@pytest.mark.parametrize("field", ["rows", "head", "ledger", "time", "public_key", "signature"])
def test_an_edited_head_does_not_match_its_signature(ledger, tmp_path, field):
    head = sign_head(ledger.events(), ffm_home())
    head[field] = head[field] - 1 if field == "rows" else head[field][::-1]
    path = tmp_path / "head.json"
    path.write_text(json.dumps(head))
    with pytest.raises(RecordError, match="does not match its signature"):
        read_head(path)


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "ffm-head/1"}', "[" * 60_000, "\x00"])
def test_what_is_no_head_is_an_error_not_a_crash(tmp_path, text):
    path = tmp_path / "head.json"
    path.write_text(text)
    with pytest.raises(RecordError):
        read_head(path)


@pytest.mark.parametrize("place", ["/dev/zero", "absent.json", "."])
def test_a_place_without_a_file(place):
    from pathlib import Path

    with pytest.raises(RecordError):
        read_head(Path(place))


def test_nothing_to_sign_and_nothing_to_sign_with(ffm, ledger):
    with pytest.raises(UsageError, match="no ledger yet"):
        sign_head([], ffm_home())
    (ffm_home() / "anchor.key").write_text("junk")
    with pytest.raises(LedgerError, match="cannot read the key"):
        sign_head(ledger.events(), ffm_home())


def test_the_head_can_be_kept_in_git(ffm, ledger, tmp_path):
    ffm("runs", "anchor", "--to", "ffm-head.json")
    text = (tmp_path / "ffm-head.json").read_text()
    assert text.endswith("}\n")
    assert subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=False).returncode == 0
    ffm("runs", "anchor", "--to", "ffm-head.json")
    assert (tmp_path / "ffm-head.json").read_text() == text  # no new commit without new rows
