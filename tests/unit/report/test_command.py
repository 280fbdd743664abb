"""``ffm report`` on a stored run."""

from __future__ import annotations

import json

import pytest

from ffm_core.cli import main
from ffm_core.report import html
from ffm_core.runs.record import load_run, write_run


@pytest.fixture
def stored(runs, tmp_path):
    run = runs.full()
    tables = {"trades": runs.trades(n=30)}
    return write_run(tmp_path / "ffm-runs", run["result"], run["envelope"], tables=tables,
                     html="an older page")  # fmt: skip


def ffm(*words):
    with pytest.raises(SystemExit) as stop:
        main(["report", *map(str, words)])
    return stop.value.code


def test_the_page_is_written_again_from_the_record(stored, runs, capsys):
    assert ffm(stored, "--quiet") == 0
    run = load_run(stored)
    record = {"result": run.result, "envelope": run.envelope, "result_hash": run.result_hash}
    page = (stored / "report.html").read_text(encoding="utf-8")
    assert page == html.render(record, runs.trades(n=30))
    out = capsys.readouterr()
    assert out.out.strip() == str(stored / "report.html")
    assert out.err == ""
    assert sorted(p.name for p in stored.iterdir()) == ["report.html", "run.json", "trades.parquet"]


def test_the_summary_goes_to_stderr_and_json_is_one_document(stored, capsys):
    assert ffm("latest", "--out", stored.parent) == 0
    assert "PASS" in capsys.readouterr().err
    assert ffm(stored.name, "--out", stored.parent, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "ffm-report/1"
    assert document["decision"] == "PASS"
    assert document["report"] == str(stored / "report.html")


def test_open_hands_the_page_to_the_browser(stored, monkeypatch):
    opened = []
    monkeypatch.setattr("click.launch", lambda url: opened.append(url) or 0)
    assert ffm(stored, "--quiet") == 0
    assert opened == []
    assert ffm(stored, "--open", "--quiet") == 0
    assert opened == [(stored / "report.html").resolve().as_uri()]


def test_an_edited_record_gets_no_report(stored, capsys):
    path = stored / "run.json"
    path.write_text(path.read_text().replace('"FAIL"', '"PASS"').replace("0.21", "0.91"))
    assert ffm(stored) == 4
    assert "edited" in capsys.readouterr().err
    assert (stored / "report.html").read_text() == "an older page"


def test_edited_trades_get_no_report(stored, runs, capsys):
    runs.trades(n=29).write_parquet(stored / "trades.parquet")
    assert ffm(stored) == 4
    assert "trades.parquet" in capsys.readouterr().err


def test_a_refused_run_without_tables_has_a_report(runs, tmp_path):
    run = runs.refused()
    folder = write_run(tmp_path, run["result"], run["envelope"], tables={}, html="")
    assert ffm(folder, "--quiet") == 0
    assert "REFUSED" in (folder / "report.html").read_text(encoding="utf-8")


def test_an_unknown_run_is_a_usage_error(tmp_path, capsys):
    assert ffm("nothing", "--out", tmp_path) == 2
    assert "nothing" in capsys.readouterr().err
