from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("numpy", "polars", "numba", "pyarrow", "pandas", "plotly", "xgboost", "torch")


def test_loading_the_plugin_imports_nothing_heavy():
    script = (
        "import sys, json, ffm_core.testing.pytest_plugin\n"
        f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


def test_the_bars_fixture_is_long_enough_to_trade_on(bars):
    assert len(bars) == 2_000
    assert bars.stream == "ES/5m"


def test_the_host_fixture_opens_what_is_named(host, tmp_path):
    assert host().feature_set("trivial8").record.name == "trivial8"
    idea = tmp_path / "idea.py"
    idea.write_text("from ffm_core.testing.specimens import CLEAN_LABELER as LABELER\n")
    assert host(str(idea)).labeler().record.name == "clean"


def test_run_ffm_gives_exit_code_and_both_outputs(run_ffm):
    helped = run_ffm("--help")
    assert helped.exit_code == 0
    assert "Usage" in helped.stdout
    wrong = run_ffm("no-such-command")
    assert wrong.exit_code == 2
    assert wrong.stderr
    assert wrong.args == ("no-such-command",)


def test_run_ffm_reads_json_and_keeps_to_the_tests_own_folder(run_ffm, tmp_path):
    listed = run_ffm("plugins", "list", "--json", FFM_PLUGINS="")
    assert listed.exit_code == 0, listed.stderr
    assert isinstance(listed.json, dict)
    assert not (tmp_path / "ffm-runs").exists()
