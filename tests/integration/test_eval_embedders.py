"""``ffm eval --features`` with embedders: plug-ins', killed, shared, faulty and private ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from helpers.processes import was_killed

pytestmark = pytest.mark.slow  # whole evaluations

EMBEDDER = """
import hashlib
import time
from pathlib import Path

from ffm_core import Embedder, hookimpl


def embed(windows):
    time.sleep(0.3 if len(windows) == 64 else 0.0)  # the driver below decides
    found = np.column_stack([windows[:, -1], windows[:, -1] - windows[:, -9]])
    {body}
    return found.astype(np.float32)


def made(name, cutoff, private):
    columns = (Column(name="hidden_place", unit="1"), Column(name="hidden_move", unit="1"))
    return Embedder(name=name, context_bars=32, columns=columns, embed=embed,
                    identity=hashlib.sha256(name.encode()).hexdigest(), fit_cutoff=cutoff,
                    source="/lab/secret/ends.bin", private=private)


@hookimpl
def ffm_labelers():
    return [LABELER]


@hookimpl
def ffm_embedders():
    return [made("ends", "", False), made("late", "2031-01-01", False),
            made("own", "2031-01-01", True)]
"""
SECRETS = ("hidden_place", "hidden_move", "/lab/", "secret", "tide.py:")
FAULTS = {
    "found = found + len(Path(__file__).with_name('scale.txt').read_text()) % 7": ("access", 6),
    "found[windows[:, -1] > 1.0] = np.nan": ("expected a finite number", 3),
}
# So few windows between two writes that a kill finds some written and some not.
# What the plug-in reads of the environment would be part of it, so the driver is slow instead.
FEW = """
import os
import sys
import time

plain = time.sleep
time.sleep = lambda seconds: plain(seconds if seconds != 0.3 or "ENDS_SLOW" in os.environ else 0)
from ffm_core.embed import vectors
vectors.CHUNK_ROWS = 64
from ffm_core.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def write(tide_code):
    def write(folder, body="pass"):
        path = folder / "tide.py"
        path.write_text(tide_code + EMBEDDER.format(body=body))
        path.with_name("scale.txt").write_text("2")
        return path

    return write


@pytest.fixture(scope="module")
def words(tidal_market):
    return ["--data", tidal_market, "--learner", "none", "--jobs", "1", "--features"]


@pytest.fixture(scope="module")
def desk(new_desk):
    return new_desk()


@pytest.fixture(scope="module")
def idea(desk, write):
    return write(desk.folder)


@pytest.fixture(scope="module")
def done(desk, idea, words):
    return desk.run("eval", idea, *words, "trivial8,ends")


def test_a_plug_ins_embedder_is_stamped_proven_and_named_in_the_report(desk, done):
    assert done.returncode == 0, done.stderr
    stamps = [line for line in done.stderr.splitlines() if line.startswith("embedder ")]
    assert stamps == ["embedder ends: FROZEN, 2 columns of 32 bars, has seen no market"]
    assert "embedding " in done.stderr
    assert "embedder    ends: frozen" in done.stdout
    (page,) = desk.runs.glob("*/report.html")
    assert "<b>Embedder.</b> ends: frozen" in page.read_text()


def test_quiet_says_nothing_and_what_is_cached_is_not_embedded_again(desk, done, idea, words):
    again = desk.run("eval", idea, *words, "trivial8,ends", "--quiet", "--json")
    assert (again.returncode, again.stderr) == (0, "")
    record = json.loads(again.stdout)
    assert record["envelope"]["embedded"]["ends"]["computed"] == 0
    first, second = (json.loads((p / "run.json").read_text()) for p in sorted(desk.runs.glob("2*")))
    assert first["result_hash"] == second["result_hash"] == record["result_hash"]
    assert "/lab/" not in again.stdout


def test_what_may_have_seen_the_test_months_is_held_back_unless_accepted(desk, idea, words):
    held = desk.run("eval", idea, *words, "late")
    assert (held.returncode, held.stdout.split()[0]) == (5, "INCONCLUSIVE"), held.stderr
    sentence = "mbedder late may have been fitted to the test months: its cut-off is 2031-01-01"
    assert sentence in " ".join(held.stdout.split())
    assert f"warning: e{sentence}" in " ".join(held.stderr.split())
    own = desk.run("eval", idea, *words, "own", "--accept-overlap", "--json")
    assert own.returncode == 5, own.stderr
    document = json.loads(own.stdout)
    verdict = document["result"]["verdict"]
    assert verdict["decision"] == "PASS"
    assert verdict["qualifier"] == "judged with accept_overlap=True"
    assert [reason["kind"] for reason in verdict["reasons"][:2]] == [
        "overlap_accepted", "seen_cutoff",
    ]  # fmt: skip
    assert "Embedder own may have been fitted" in document["words"]["reasons"][1]
    assert not [secret for secret in SECRETS if secret in own.stdout + own.stderr]


def test_check_and_dry_run_name_the_embedders(desk, idea, words):
    plain = [*words[:2], *words[4:]]
    checked = desk.run("check", idea, *plain, "ends", "--quiet")
    assert checked.returncode == 0, checked.stderr
    assert "feature set windows of 32 bars, " in checked.stdout
    assert "embedder ends" in checked.stdout
    dry = desk.run("eval", idea, *words, "late", "--dry-run", "--quiet")
    assert "embedder late: FROZEN" in dry.stdout
    assert "overlap     embedder late may have been fitted" in dry.stdout


@pytest.mark.parametrize("body", FAULTS)
def test_a_faulty_embedder_is_refused_or_an_error_of_its_plug_in(ffm, tmp_path, write, words, body):
    what, code = FAULTS[body]
    few = ["--out", tmp_path, "--to", "2022-02-20", "--quiet"]
    found, out, err = ffm("eval", write(tmp_path, body), *words, "ends", *few)
    assert found == code, err
    assert what in (out if code == 6 else err)
    if code == 6:
        assert "embedder ends" in out
        assert "tide.py:" not in out  # a private embedder lies in the same file


@pytest.mark.parametrize(
    ("body", "what", "code"),
    [
        ("found = found - found.mean(axis=0)", "rowwise", 6),
        ("found[windows[:, -1] > 1.0] = np.nan", "expected a finite number", 3),
        ("found = found[:, :1]", "returned shape", 3),
    ],
)
def test_a_private_embedder_that_is_refused_tells_no_secret(
    ffm, tmp_path, write, words, body, what, code
):
    few = ["--out", tmp_path, "--to", "2022-02-20", "--json"]
    found, out, err = ffm("eval", write(tmp_path, body), *words, "own", *few)
    assert found == code, err
    assert what in out + err
    assert not [secret for secret in SECRETS if secret in out + err]


def test_an_unknown_or_absent_embedder_is_said_at_once(ffm, idea, words):
    for name, code, text in (
        ("stat", 2, "did you mean 'stats'?"),
        ("enids", 2, "did you mean 'ends'?"),
        ("chronos-2", 7, "ffm backbone add chronos-2"),
        ("stats:reg", 2, "stats"),
    ):
        found, _, err = ffm("eval", idea, *words, name, "--quiet")
        assert (found, text in err) == (code, True), err


def segments(desk):
    return list(desk.home.glob("vectors/*/*/*.ffmv"))


def test_killed_while_embedding_it_goes_on_where_it_stopped(desk, done, idea, words):
    assert done.returncode == 0
    judge = ["eval", str(idea), *map(str, words), "trivial8,ends", "--json", "--quiet"]
    driver = [sys.executable, "-c", FEW, *judge]
    place = {**os.environ, "FFM_HOME": str(desk.home)}

    def start(**more):
        return subprocess.Popen(
            driver, cwd=desk.folder, env={**place, **more}, stdout=subprocess.PIPE, text=True
        )

    shutil.rmtree(desk.home / "vectors")
    first = start(ENDS_SLOW="1")
    assert desk.until(lambda: len(segments(desk)) >= 2 or first.poll() is not None)
    first.kill()
    first.communicate()
    assert was_killed(first.returncode)
    # Two at once on what is left: neither waits for the other, and both find the same.
    both = [start(), start()]
    records = [json.loads(process.communicate(timeout=180)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    made = [record["envelope"]["embedded"]["ends"] for record in records]
    assert all(one["computed"] <= one["windows"] - 128 for one in made)
    assert max(one["computed"] for one in made) > 0
    shutil.rmtree(desk.home / "vectors")
    alone = desk.record(idea, *words, "trivial8,ends", "--quiet")
    assert alone["envelope"]["embedded"]["ends"]["computed"] == made[0]["windows"]
    assert {record["result_hash"] for record in (*records, alone)} == {alone["result_hash"]}
