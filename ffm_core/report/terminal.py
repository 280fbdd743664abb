"""The summary a run leaves on the terminal: readable without colour, 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ffm_core.report import numbers, questions, remarks, words
from ffm_core.report.failures import finding, place
from ffm_core.runs.record import ledger_since
from ffm_core.shown import one_line

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {
    "PASS": "bold green", "FAIL": "bold red", "INCONCLUSIVE": "bold yellow",
    "REFUSED": "bold magenta", "pass": "green", "fail": "red", "inconclusive": "yellow",
    "refused": "magenta",
}  # fmt: skip
_MOST_FINDINGS = 4


def summary(run: Mapping[str, Any], console: Console) -> None:
    """Print the verdict, its reasons, the checks, the arms and where the rest is.

    Parameters
    ----------
    run : mapping
        A run record of any schema; parts a run does not have may be absent or null.
    console : rich.console.Console
        Where to print. Text is never read as markup, so a name cannot style itself.
    """
    result: Mapping[str, Any] = run.get("result") or {}
    envelope: Mapping[str, Any] = run.get("envelope") or {}
    _verdict(result, console)
    _checks(result, console)
    _arms(words.arms_in_order(result), console)
    _certificate(result.get("certificate") or {}, console)
    _last_lines(result, envelope, console)


def _clean(text: object) -> str:
    """Return one line without control characters: a name must not steer the terminal."""
    return " ".join(one_line(text).split())


def _print(console: Console, text: str = "", style: str = "") -> None:
    from rich.text import Text

    console.print(Text(text, style=style), soft_wrap=True)


def _paragraph(
    console: Console, text: object, first: str = "", rest: str = "", style: str = ""
) -> None:
    width = max(40, min(console.width, 100))
    _print(
        console,
        textwrap.fill(
            _clean(text), width, initial_indent=first, subsequent_indent=rest,
            break_long_words=False, break_on_hyphens=False,  # paths and commands stay whole
        ),
        style,
    )  # fmt: skip


def _verdict(result: words.Result, console: Console) -> None:
    strategy, verdict = result.get("strategy") or {}, result.get("verdict") or {}
    decision = str(verdict.get("decision") or "INCONCLUSIVE")
    qualifier = f" (qualified: {verdict['qualifier']})" if verdict.get("qualifier") else ""
    _print(console)
    # What wraps is set in, so that no name begins a line like a verdict's.
    _paragraph(console, f"{decision}{qualifier}", "", "  ", _STYLES.get(decision, "bold"))
    _paragraph(console, words.headline(result))
    name = f"{strategy.get('name', '')} {strategy.get('version') or ''}".strip()
    where = ", ".join(remarks.markets(result))
    _paragraph(console, f"{name}, claim {words.claim_of(result)}, on {where}", "", "  ")
    _print(console)
    if tail := remarks.opened_tail(result):
        _paragraph(console, tail)
        _print(console)
    for title, text in words.reasons(result, findings=False):
        _paragraph(console, f"{title}: {text}" if title else text, "- ", "  ")
    _print(console)
    for sentence in words.conclusion(result):
        _paragraph(console, sentence)
    if remarks.is_simulated(result):
        _paragraph(console, "These markets are simulated: this says nothing about a real one.")


def _checks(result: words.Result, console: Console) -> None:
    checks = result.get("checks") or []
    if not checks:
        return
    rows = [
        (
            _short(str(c.get("outcome", "n/a")), 12),
            _short(questions.check_words(c["name"]).brief, 20), questions.measured(c),
            questions.interval(c).replace(" to ", "…"), questions.detectable(c),
            numbers.percent(c.get("power")),
        )
        for c in checks
    ]  # fmt: skip
    head = ("outcome", "check", "measured", "95 %", "sees", "power")
    _table(console, head, rows, left=2)


def _ends(interval: Sequence[object] | None) -> str:
    return numbers.interval(interval).replace(" to ", "…")


def _arms(arms: Sequence[tuple[str, Mapping[str, Any]]], console: Console) -> None:
    if not arms:
        return
    rows = []
    for name, arm in arms:
        rows.append((
            _short(name, 14), numbers.count(arm.get("n_trades")),
            numbers.decimal(arm.get("mean_r"), 3, signed=True),
            _ends(arm.get("mean_interval")),
            numbers.percent(arm.get("win_rate")), numbers.decimal(arm.get("profit_factor")),
            numbers.decimal(arm.get("total_r"), 1, signed=True),
            numbers.decimal(arm.get("max_drawdown_r"), 1),
        ))  # fmt: skip
    head = ("arm", "trades", "mean R", "95 %", "won", "factor", "total R", "drawdown")
    _table(console, head, rows, left=1)


def _table(
    console: Console, head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int
) -> None:
    """Print aligned columns, the first ``left`` of them to the left."""
    from rich.text import Text

    table = [[cell.replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in (head, *rows)]
    widths = [max(len(row[k]) for row in table) for k in range(len(head))]
    _print(console)
    for number, row in enumerate(table):
        line = Text()
        for k, cell in enumerate(row):
            padded = cell.ljust(widths[k]) if k < left else cell.rjust(widths[k])
            line.append(padded, style="dim" if number == 0 else _STYLES.get(cell, ""))
            line.append("  " if k + 1 < len(row) else "")
        line.rstrip()
        console.print(line, soft_wrap=True)


def _short(text: str, longest: int) -> str:
    flat = _clean(text)
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def _certificate(certificate: Mapping[str, Any], console: Console) -> None:
    failures = certificate.get("failures") or []
    if failures:
        _print(console)
    for found in failures[:_MOST_FINDINGS]:
        _paragraph(console, place(found), "! ", "  ")
        for part in finding(found):
            _paragraph(console, part, "  ", "    ")
    if len(failures) > _MOST_FINDINGS:
        _print(console, f"  and {len(failures) - _MOST_FINDINGS} more; the report lists all")


def _bounds(certificate: Mapping[str, Any]) -> str:
    """Say how rare a leak may be and still be seen."""
    rows = f"leaks above {numbers.percent(certificate.get('detection_bound'), 2)} of rows"
    bound = numbers.finite(certificate.get("decision_bound"))
    if bound is None:
        return rows
    decisions = f"above {numbers.percent(bound, 2)} of decisions" if bound else "any at a decision"
    return f"{rows}, and {decisions},"


def _last_lines(result: words.Result, envelope: Mapping[str, Any], console: Console) -> None:
    rows = [("data", _data_line(d)) for d in result.get("data") or []]
    rows += [("warning", warning) for warning in remarks.audit_warnings(result)]
    certificate, trials = result.get("certificate") or {}, result.get("trials") or {}
    if certificate.get("status") == "clean":
        cuts = numbers.count(certificate.get("cuts"))
        passed = certificate.get("proven_bars")
        tried = f"{cuts} cuts" + (f" and at {numbers.count(passed)} bars" if passed else "")
        rows.append(("look-ahead", f"none in {tried}; {_bounds(certificate)} would show"))
    rows += [("carries", "; ".join(remarks.carried(result)))] if remarks.carried(result) else []
    rows += [("embedder", line) for line in remarks.embedders(result)]
    rows += [("ablation", line) for line in remarks.ablation(result)]
    if told := remarks.intrabar(result):
        rows.append(("inside bars", told))
    if far := remarks.far_trades(result):
        rows.append(("far trades", far))
    if seal := remarks.seal_line(result):
        rows.append(("seal", seal))
    if trials:
        since = ledger_since(result, envelope)
        rows.append(("trials", _trials_line(trials, since, repeat=bool(envelope.get("repeat")))))
    if envelope.get("out") and envelope.get("run_id"):
        folder = str(envelope["out"]).rstrip("/")
        run_id = str(envelope["run_id"])
        place = folder if folder.endswith(run_id) else f"{folder}/{run_id}"
        rows.append(("report", f"{place}/report.html"))
    _print(console)
    for name, text in rows:
        _paragraph(console, text, f"{name:<10}  ", " " * 12)


def _data_line(data: Mapping[str, Any]) -> str:
    audit = (data.get("audit") or {}).get("level") or numbers.BLANK
    bars = numbers.count(data.get("rows"))
    return (
        f"{data.get('instrument')}/{data.get('timeframe')}, {bars} bars, "
        f"{numbers.day(data.get('first'))} to {numbers.day(data.get('last'))}, audit {audit}"
    )


def _trials_line(trials: Mapping[str, Any], since: object, *, repeat: bool) -> str:
    text = (
        f"{numbers.count(trials.get('n'))} counted on these days, ledger since {numbers.day(since)}"
    )
    return f"{text}; this one repeats an earlier run" if repeat else text
