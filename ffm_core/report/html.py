"""One self-contained HTML page from a run record: works from disk, loads nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ffm_core.report import failures, numbers, plots, questions, reasons, remarks, sections, words
from ffm_core.runs.record import ledger_since

if TYPE_CHECKING:
    import jinja2
    import polars as pl

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DASHES = {"solid": "none", "dash": "7 4", "dot": "2 3.5", "dashdot": "7 3 2 3",
           "longdash": "11 4", "longdashdot": "11 3 2 3"}  # fmt: skip
_PARTS = (("checks", "Checks"), ("equity", "Controls"), ("chance", "Chance"),
          ("months", "Months"), ("splits", "Sides, hours, costs"),
          ("calibration", "Calibration"), ("folds", "Folds"), ("trades", "Trades"),
          ("limits", "Limits"), ("certificate", "Certificate"), ("data", "Data"),
          ("again", "Run it again"))  # fmt: skip
_MAPPINGS = ("strategy", "verdict", "certificate", "decisions", "trials", "prereg", "trigger")


def render(run: Mapping[str, Any], trades: pl.DataFrame) -> str:
    """Return the report of a run as one HTML document.

    Parameters
    ----------
    run : mapping
        A run record of any schema; parts a run does not have may be absent or null.
    trades : polars.DataFrame
        Rows of ``trades.parquet``; may be empty.

    Returns
    -------
    str
        HTML that opens from disk without network. The same run gives the same text.
    """
    return _environment().get_template("report.html.j2").render(_context(run, trades))


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    """Return the templates, compiled once in a process."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ffm_core.report"),
        autoescape=True,  # names come from packages and files; none is trusted
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_filters())
    return environment


def _context(run: Mapping[str, Any], trades: pl.DataFrame) -> dict[str, Any]:
    result: Mapping[str, Any] = run.get("result") or {}
    parts = {key: result.get(key) or {} for key in _MAPPINGS}
    found, envelope = result.get("plots") or {}, run.get("envelope") or {}
    since = ledger_since(result, envelope)
    context = {
        **parts, "run": run, "envelope": envelope, "blank": numbers.BLANK,
        "decision": parts["verdict"].get("decision") or "INCONCLUSIVE",
        "headline": words.headline(result), "conclusion": words.conclusion(result),
        "tail": remarks.opened_tail(result),
        "limits": remarks.limits(result), "claim": words.claim_of(result),
        "broken": bool(parts["certificate"].get("failures")), "reasons": words.reasons(result),
        "markets": remarks.markets(result), "simulated": remarks.is_simulated(result),
        "since": since, "span": _span(result), "facts": facts(result, since),
        "outcomes": questions.OUTCOMES,
        "checks": sections.checks(result.get("checks") or []),
        "arms": words.arms_in_order(result), "ablation": remarks.ablation(result),
        "embedders": remarks.embedders(result), "carried": remarks.carried(result),
        "of_draws": _of_draws(result), "equity": plots.equity(result),
        "nulls": plots.nulls(result),
        "calibration": plots.calibration(result),
        "calibration_facts": sections.calibration(result), "calendar": sections.calendar(result),
        "rule": remarks.trigger(result),
        "sides": found.get("side") or [], "hours": sections.hours(result),
        "zone": remarks.hour_zone(result),
        "costs": found.get("costs") or [], "cost_arms": _cost_arms(found.get("costs") or []),
        "timeline": sections.timeline(result), "seal_line": remarks.seal_line(result),
        "trained": (result.get("config") or {}).get("learner") not in (None, "none"),
        "trades": sections.trades(trades), "data": result.get("data") or [],
        "findings": _findings(result), "month_names": _MONTHS, "dashes": _DASHES,
        "config_text": _pretty(result.get("config") or {}),
        "prereg_text": _pretty(parts["prereg"]),
    }  # fmt: skip
    shown = [(key, name) for key, name in _PARTS if key in _ALWAYS or _has(context, key)]
    if context["broken"]:  # what was found comes first on the page, so in its contents too
        shown.sort(key=lambda part: part[0] != "certificate")
    context["parts"] = shown
    return {**context, **_assets(drawn=bool(context["equity"] or context["nulls"]
                                            or context["calibration"]))}  # fmt: skip


_ALWAYS = ("limits", "data", "again")
_SHOWN_BY = {"equity": ("arms",), "chance": ("nulls",), "months": ("calendar",),
             "splits": ("sides", "hours"), "folds": ("timeline",)}  # fmt: skip


def _has(context: Mapping[str, Any], part: str) -> bool:
    return any(context[key] for key in _SHOWN_BY.get(part, (part,)))


def facts(result: words.Result, since: object) -> list[tuple[str, str, str]]:
    """Return the few numbers that stand beside the verdict: name, value, second line."""
    real = (result.get("arms") or {}).get("REAL") or {}
    if not real:
        return []
    profit: Mapping[str, Any] = next(
        (c for c in result.get("checks") or [] if c["name"] == "profit"), {}
    )
    trials = result.get("trials") or {}
    months_up = f"{numbers.count(real.get('positive_months'))} of "
    months_up += numbers.count(real.get("n_months"))
    smallest = numbers.r_multiple(profit.get("minimum_detectable")).removeprefix("+")
    return [
        ("Net result per trade", numbers.r_multiple(real.get("mean_r")),
         f"95 %: {numbers.interval(real.get('mean_interval'))}"),
        ("Trades in the test", numbers.count(real.get("n_trades")),
         f"on {numbers.count(real.get('n_days'))} days"),
        ("Test months up", months_up, f"total {numbers.r_multiple(real.get('total_r'), 1)}"),
        ("Smallest edge it could see", smallest, "per trade, 80 % power"),
        ("Trials counted", numbers.count(trials.get("n")),
         f"ledger since {numbers.day(since)}"),
    ]  # fmt: skip


def _span(result: words.Result) -> tuple[str, str] | None:
    data = result.get("data") or []
    firsts = [d["first"] for d in data if d.get("first")]
    lasts = [d["last"] for d in data if d.get("last")]
    return (min(firsts), max(lasts)) if firsts and lasts else None


def _of_draws(result: words.Result) -> list[str]:
    return [name for name, arm in words.arms_in_order(result) if arm.get("n_draws")]


def _cost_arms(costs: Sequence[Mapping[str, Any]]) -> list[str]:
    arms = {name for cost in costs for name in cost.get("arms") or {}}
    return [name for name, _ in words.arms_in_order({"arms": dict.fromkeys(arms)})]


def _findings(result: words.Result) -> list[tuple[str, Mapping[str, Any]]]:
    return [
        (market, finding)
        for market, data in zip(remarks.markets(result), result.get("data") or [], strict=True)
        for finding in (data.get("audit") or {}).get("findings") or []
    ]


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


def _filters() -> dict[str, Any]:
    from jinja2 import Undefined
    from markupsafe import Markup

    def shown(value: object, blank: str = numbers.BLANK) -> str:
        return blank if value is None or isinstance(value, Undefined) or value == "" else str(value)

    def pairs(value: object) -> str:
        if not isinstance(value, Mapping) or not value:
            return numbers.BLANK
        return ", ".join(f"{key} {item}" for key, item in sorted(value.items()))

    def ends(value: object) -> str:
        return f"{value[0]} to {value[1]}" if isinstance(value, list) and len(value) == 2 else ""

    def embed(figure: str) -> Markup:
        # JSON inside a script element: no character may end the element or open a comment.
        safe = figure.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        return Markup(safe)

    def a_list(value: object) -> Sequence[object] | None:
        return value if isinstance(value, list | tuple) else None

    return {
        "r": numbers.r_multiple, "decimal": numbers.decimal, "percent": numbers.percent,
        "count": numbers.count, "day": lambda v: numbers.day(shown(v, "")),
        "minute": lambda v: numbers.minute(shown(v, "")),
        "beside": lambda v, marks, digits: numbers.decimal(v, numbers.beside([v], marks, digits)),
        "signed": lambda v, digits=2: numbers.decimal(v, digits, signed=True),
        "interval": lambda v: numbers.interval(a_list(v)), "dates": ends, "pairs": pairs,
        "shown": shown, "subject": reasons.subject, "embed": embed,
        "seen": failures.seen, "repair": failures.repair_of,
    }  # fmt: skip


def _assets(*, drawn: bool) -> dict[str, Any]:
    from markupsafe import Markup

    folder = files("ffm_core.report") / "templates"
    css = (folder / "report.css").read_text(encoding="utf-8")
    script = (folder / "report.js").read_text(encoding="utf-8")
    packed, digest = _plot_library() if drawn else ("", "")
    hashes = [_csp_hash(script.encode()), digest] if drawn else []
    sources = " ".join(f"'{h}'" for h in hashes) or "'none'"
    # The page may run these two scripts and nothing else, and may fetch nothing at all.
    policy = (
        f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; img-src data: blob:"
    )
    return {"css": Markup(css), "script": Markup(script), "library": Markup(packed),
            "policy": Markup(policy)}  # fmt: skip


@lru_cache(maxsize=1)
def _plot_library() -> tuple[str, str]:
    """Return plotly.js packed for the page, and the hash that allows it to run.

    The library ships whole, 4.8 MB; packed with gzip it adds 2 MB to a page, and a
    browser unpacks it with its own means. It is the very build plotly's Python side
    was made for, so figures and library always agree.
    """
    from plotly.offline import get_plotlyjs

    source = get_plotlyjs().encode("utf-8")
    packed = base64.b64encode(gzip.compress(source, 9, mtime=0)).decode("ascii")
    return packed, _csp_hash(source)


def _csp_hash(source: bytes) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source).digest()).decode("ascii")
