"""Faulty packages: each fault is one clear line and code 3, and nobody else suffers."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.slow  # whole evaluations

HOOK = (
    "\n\nfrom ffm_core import hookimpl\n\n\n@hookimpl\ndef ffm_labelers():\n    return [LABELER]\n"
)
# What a package's decide does before it answers.
MEDDLES = {
    "raises": "raise KeyError('lost')",
    "answers-junk": "return [bars, params]",
    "is-not-sure": "at = np.arange(9, len(bars), 9)\n"
    "    risk = np.where(at == 90, np.nan, 9.0)\n"
    "    return Decisions(bar=at, side=at // at, risk=risk, columns={'reach': risk})",
    "seeds-numpy": "np.random.seed(len(bars))",
    "edits-bars": "bars.close[:] = bars.close[::-1]",
    "prints": "print('a line that is no JSON')",
    "dies": "import multiprocessing, os\n"
    "    if multiprocessing.current_process().name != 'MainProcess':\n        os._exit(9)",
}
BROKEN = {
    "dies-at-import": "raise RuntimeError('no licence')",
    "misspells": "import ffm_core\n\n\n@ffm_core.hookimpl\ndef ffm_labeler():\n    return []\n",
    "fails-in-hook": HOOK.replace("return [LABELER]", "return [{}['lost']]"),
    "newer": "FFM_HOOK_API = 99" + HOOK,
}

EXTENSIONS = {
    "ffm_feature_sets": "FeatureSet(name='odd', columns=(), batch=odd, warmup_bars=0, "
    "history_bars=None)",
    "ffm_verdict_checks": "VerdictCheck(name='odd', judge=odd)",
    "ffm_controls": "Control(name='odd', change=odd)",
}
EXTENSION = """
from ffm_core import Control, FeatureSet, VerdictCheck, hookimpl


def odd(*anything):
    raise KeyError("gone")


@hookimpl
def {hook}():
    return [{record}]
"""


def install(site, name, code, distribution="", group="ffm.strategies"):
    distribution = distribution or f"ffm-strategy-{name}"
    module = distribution.replace("-", "_")
    info = site / f"{module}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
    (site / f"{module}.py").write_text(code)


@pytest.fixture(scope="module")
def site(tmp_path_factory, tide_code):
    """One good package among many faulty ones."""
    folder = tmp_path_factory.mktemp("site")
    good = tide_code + HOOK
    start = '    """Trade the announced drift, or against it."""\n'
    install(folder, "tide", good)
    for name, code in BROKEN.items():
        install(folder, name, code)
    for name, code in MEDDLES.items():
        meddling = good.replace(start, f"{start}    {code}\n").replace('"tide"', f'"{name}"')
        assert meddling.count(code) == 1
        install(folder, name, meddling)
    for hook, record in EXTENSIONS.items():
        code = EXTENSION.format(hook=hook, record=record)
        install(folder, hook, code, f"extra-{hook}", "ffm.extensions")
    for distribution in ("taken-by-one", "taken-by-two"):
        install(folder, "taken", good, distribution)
    return folder


FAULTS = {
    "dies-at-import": "failed to load: RuntimeError: no licence",
    "misspells": "unknown hook 'ffm_labeler'",
    "fails-in-hook": "hook 'ffm_labelers': KeyError: 'lost'",
    "newer": "needs hook API 99",
    "raises": "labeler 'raises': KeyError: 'lost' (ffm_strategy_raises.py:8)",
    "answers-junk": "decide on SIMT5/30m returned list, expected Decisions",
    "is-not-sure": "risk of decision 9 is nan",
    "seeds-numpy": "decide changes numpy's global random state",
    "edits-bars": "assignment destination is read-only",
}


@pytest.fixture(scope="module")
def judge(new_desk, site, tidal_market):
    twin = site / "SIMU5_30m.parquet"
    twin.write_bytes(tidal_market.read_bytes())
    path = os.pathsep.join(part for part in (str(site), os.environ.get("PYTHONPATH")) if part)

    def judge(name, *words, jobs="1"):
        data = ["--data", tidal_market, "--learner", "none", "--jobs", jobs]
        if jobs != "1":
            data += ["--data", twin]  # streams are prepared in parallel
        return new_desk(lend=True, PYTHONPATH=path).run("eval", name, *data, "--quiet", *words)

    return judge


@pytest.fixture(scope="module")
def judged(judge):
    """Every package judged by itself, two at a time."""
    names = ["tide", "taken", *FAULTS]
    with ThreadPoolExecutor(2) as threads:
        return dict(zip(names, threads.map(judge, names), strict=True))


def test_a_good_package_among_them_is_judged(judged):
    done = judged["tide"]
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "PASS", "")


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_with_its_owner_and_code_3(judged, name):
    done = judged[name]
    assert (done.returncode, done.stdout) == (3, "")
    problem, fix = done.stderr.splitlines()
    assert problem.startswith(f"error: ffm-strategy-{name} 1.2")
    assert FAULTS[name] in problem
    assert fix.startswith("  fix: ")


def test_a_name_claimed_twice_names_both(judged):
    done = judged["taken"]
    assert (done.returncode, done.stdout) == (3, "")
    assert "taken-by-one 1.2" in done.stderr
    assert "taken-by-two 1.2" in done.stderr


def test_a_fault_in_a_worker_reads_the_same(judge, judged):
    done = judge("raises", jobs="2")
    assert done.returncode == 3
    assert done.stderr == judged["raises"].stderr


def test_a_worker_that_dies_is_explained(judge):
    done = judge("dies", jobs="2")
    assert done.returncode == 7
    problem, fix = done.stderr.splitlines()
    assert problem.startswith("error: a worker process died")
    assert "--jobs 1" in fix


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_a_package_prints_is_no_result(judge, jobs):
    done = judge("prints", "--json", jobs=jobs)
    assert json.loads(done.stdout)["schema"] == "ffm-run/2"
    assert "a line that is no JSON" in done.stderr


@pytest.mark.parametrize(
    ("hook", "words", "says"),
    [
        ("ffm_feature_sets", ["--features", "odd"], "feature set 'odd'"),
        ("ffm_controls", ["--learner", "xgb", "--permutations", "1"], "control 'odd'"),
    ],
)
def test_a_fault_of_an_extension_is_laid_at_its_own_door(judge, hook, words, says):
    done = judge("tide", "--with", hook, *words)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: extra-{hook} 1.2: {says}: KeyError: 'gone' (extra")


def test_a_house_check_that_raises_holds_the_verdict_back_and_is_named(judge):
    done = judge("tide", "--with", "ffm_verdict_checks")
    assert (done.returncode, done.stdout.split()[0]) == (5, "INCONCLUSIVE"), done.stderr
    said = " ".join(done.stdout.split())
    assert "odd" in said
    assert "it raised an error instead of answering" in said
    assert "KeyError" in said
