"""What the repository may not hold: data, reports, paths of somebody's machine."""

from __future__ import annotations

import re
import subprocess

import pytest

DATA = (".parquet", ".pq", ".csv", ".html", ".sqlite3", ".zip", ".dbn", ".zst", ".feather", ".npz",
        ".pkl")  # fmt: skip
MACHINE = re.compile(
    r"(?<![\w.])/(?:work|home|Users|root|mnt|tmp/[\w-]+)/[\w.-]+"
    r"|\b(?:\d{1,3}\.){3}\d{1,3}\b|localhost:\d+|file:/{2}"
)


@pytest.fixture(scope="module")
def tracked(docs):
    """Every file git tracks."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=docs.ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    found = [docs.ROOT / name for name in done.stdout.split("\0") if name]
    return [path for path in found if path.is_file()]


def offending(text):
    return [match[0] for match in MACHINE.finditer(text)]


def test_no_data_and_no_report_is_tracked(docs, tracked):
    assert len(tracked) > 100
    held = [str(p.relative_to(docs.ROOT)) for p in tracked if p.suffix in DATA]
    held += [str(p) for p in tracked if p.name in ("run.json", "report.html")]
    assert held == []


def test_no_tracked_file_is_large_but_the_model_in_the_box(docs, tracked):
    large = [str(p.relative_to(docs.ROOT)) for p in tracked if p.stat().st_size > 400_000]
    box = "ffm_core/embed/box/"
    assert sorted(large) == [f"{box}decoder.onnx", f"{box}encoder.onnx"]
    assert sum((docs.ROOT / name).stat().st_size for name in large) < 20_000_000


def test_no_text_names_a_machine(docs, tracked):
    found = {}
    for path in tracked:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if path.name == "constraints.txt":
            continue  # version numbers of four parts look like addresses
        if hits := offending(text):
            found[str(path.relative_to(docs.ROOT))] = hits[:3]
    assert found == {}


def test_a_machine_path_is_noticed():
    for text in (
        "see /" + "home/anna/ffm",
        "at /" + "work/main",
        "http://10." + "0.0.7:80",
        "file:/" + "/x",
    ):
        assert offending(text)
    for text in ("docs/how-to", "1/work/hour", "/dev/null", "10.0.1", "https://example.org/a"):
        assert not offending(text)


def test_run_folders_and_ledgers_are_ignored(docs):
    ignored = (docs.ROOT / ".gitignore").read_text()
    for name in ("ffm-runs/", ".venv/", ".numba-cache/"):
        assert name in ignored
