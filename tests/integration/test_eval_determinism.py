"""The same question gets the same answer, byte for byte, and is counted once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ffm_core.runs.canonical import canonical_json

pytestmark = pytest.mark.slow  # whole evaluations

UNNAMED = {
    "ffm_strategy_noisy": "from ffm_core import hookimpl\n\n1 / 0\n",
    "noisy_extension": "import numpy\nnumpy.random.seed(7)\nraise SystemExit(1)\n",
}


DECLARED = '[instrument.ZZZ]\nlike = "ES"\nname = "A contract of mine"\nfees_per_side = {}\n'


# For what is about the counting of trials, not about what is computed.
QUICK = ("--learner", "none", "--features", "", "--jobs", "1")


WHOLE = ("--features", "trivial8")


def evaluation(market, *words):
    return ["supertrend", *(word for path in market for word in ("--data", path)), *words]


@pytest.fixture(scope="module")
def other_plugins(tmp_path_factory):
    """A folder with an installed strategy and an installed extension, both broken."""
    site = tmp_path_factory.mktemp("site")
    groups = {"ffm_strategy_noisy": "ffm.strategies", "noisy_extension": "ffm.extensions"}
    for module, code in UNNAMED.items():
        (site / f"{module}.py").write_text(code)
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{groups[module]}]\nnoisy = {module}\n")
    return str(site)


OTHER_SYSTEM = Path(__file__).parent.parent / "other_system"  # without what only Linux has


def test_workers_hash_seed_folder_system_and_unnamed_plugins_change_no_byte(
    new_desk, quiet_market, undisturbed, other_plugins
):
    other = new_desk(PYTHONHASHSEED="20")
    words = evaluation(
        quiet_market, *WHOLE, "--jobs", "2", "--out", str(other.folder / "elsewhere")
    )
    path = os.pathsep.join([other_plugins, str(OTHER_SYSTEM)])
    record = other.record(*words, PYTHONPATH=path)
    assert record["envelope"]["jobs"] == 2
    assert record["envelope"]["cache"]["hits"] == 0  # computed, not remembered
    assert canonical_json(record["result"]) == canonical_json(undisturbed[1]["result"])


def test_a_repeat_has_the_same_bytes_and_is_not_counted(new_desk, quiet_market, undisturbed):
    desk, before = undisturbed
    repeats = desk.verified().repeats
    again = new_desk(desk.home).record(*evaluation(quiet_market, *WHOLE, "--jobs", "1"))
    assert again["result_hash"] == before["result_hash"]
    assert canonical_json(again["result"]) == canonical_json(before["result"])
    assert (before["envelope"]["repeat"], again["envelope"]["repeat"]) == (False, True)
    assert again["envelope"]["trial_count_today"] == 1
    assert again["envelope"]["cache"]["misses"] == 0
    report = desk.verified()
    assert (report.trials["closed"], report.repeats) == (1, repeats + 1)


def test_the_same_question_asked_twice_at_once_is_one_trial(new_desk, quiet_market):
    desk = new_desk()
    words = evaluation(quiet_market[:1], *QUICK)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda _: desk.record(*words), range(2)))
    assert found[0]["result_hash"] == found[1]["result_hash"]
    assert sorted(record["envelope"]["repeat"] for record in found) == [False, True]
    assert {record["result"]["trials"]["n"] for record in found} == {1}
    assert desk.verified().trials == {"open": 0, "closed": 1, "aborted": 0}
    assert len(list(desk.runs.iterdir())) == 2


def test_two_questions_asked_at_once_are_two_trials(new_desk, quiet_market):
    desk = new_desk()
    words = evaluation(quiet_market[:1], *QUICK, "--seed")
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda seed: desk.record(*words, str(seed)), (1, 2)))
    assert sorted(record["result"]["trials"]["n"] for record in found) == [1, 2]
    assert [record["envelope"]["repeat"] for record in found] == [False, False]
    assert canonical_json(found[0]["result"]) != canonical_json(
        found[1]["result"]
    )  # the comparisons above can fail
    assert desk.verified().trials == {"open": 0, "closed": 2, "aborted": 0}


def test_the_order_of_the_files_does_not_matter(new_desk, quiet_market, undisturbed):
    record = new_desk(undisturbed[0].home).record(
        *evaluation(quiet_market[::-1], *WHOLE, "--jobs", "1")
    )
    assert record["envelope"]["repeat"]
    assert record["result_hash"] == undisturbed[1]["result_hash"]


def test_other_costs_are_another_trial(new_desk, quiet_market):
    """What an instrument costs is declared beside the bars, and changes every outcome."""
    desk = new_desk()
    bars = desk.folder / "ZZZ_30m.parquet"
    bars.write_bytes(quiet_market[0].read_bytes())
    words = evaluation([bars], *QUICK)
    desk.home.mkdir()
    n_trials, mean_r = [], []
    for fees in (0.5, 50.5):
        (desk.home / "instruments.toml").write_text(DECLARED.format(fees))
        result = desk.record(*words)["result"]
        n_trials.append(result["trials"]["n"])
        mean_r.append(result["arms"]["NAIVE"]["mean_r"])
    assert n_trials == [1, 2]
    assert mean_r[0] > mean_r[1]
