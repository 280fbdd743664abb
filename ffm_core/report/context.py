"""The page of a certificate of context heads: what was said against what followed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ffm_core.report import html, numbers, plots

_ALL = "all"


def page(certificate: Mapping[str, Any]) -> str:
    """Return a certificate as one HTML document that loads nothing from elsewhere.

    Parameters
    ----------
    certificate : mapping
        The document of ``ffm context certify --json``.
    """
    findings = certificate["findings"]
    whole = [finding for finding in findings if finding["scope"] == _ALL]
    figures = [deciles(finding) for finding in whole]
    context = {
        "certificate": certificate,
        "findings": findings,
        "calibrated": [f["head"] for f in whole if f["calibrated"]],
        "figures": figures,
        "blank": numbers.BLANK,
        "outcomes": (),
        "dashes": {},
        **html._assets(drawn=bool(figures)),
    }
    return html._environment().get_template("context.html.j2").render(context)


def deciles(finding: Mapping[str, Any]) -> plots.Plot:
    """Return the ten groups of a head, said against seen, as a plot."""
    said = [float(one["said"]) for one in finding["deciles"]]
    seen = [float(one["seen"]) for one in finding["deciles"]]
    low, high = min(said + seen), max(said + seen)
    pad = 0.08 * (high - low or 0.1)
    ends = [low - pad, high + pad]
    figure = plots._figure(height=300)
    figure.add_scatter(
        x=ends, y=ends, mode="lines", hoverinfo="skip", name="perfect",
        line={"color": "var(--ink-2)", "dash": "dot", "width": 1.2},
    )  # fmt: skip
    figure.add_scatter(
        x=plots._short(said), y=plots._short(seen), mode="lines+markers", name=finding["head"],
        line={"color": "var(--arm-real)", "width": 1.4},
        marker={"color": "var(--arm-real)", "size": 9, "line": {"width": 0}},
        hovertemplate="said %{x:.3f}, was %{y:.3f}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(range=ends, title_text="said, mean of a tenth")
    figure.update_yaxes(range=ends, title_text="seen, mean of a tenth")
    score = f"{finding['measure']} {numbers.decimal(finding['score']['value'], 3)}"
    return plots.Plot(
        id=finding["head"], title=f"ctx_{finding['head']}", figure=plots._json(figure), height=300,
        caption=f"{score}; {finding['verdict']}.",
        label=f"Ten groups of {finding['n']:,} rows: said {said[0]:.3f} to {said[-1]:.3f}, "
        f"seen {seen[0]:.3f} to {seen[-1]:.3f}.",
    )  # fmt: skip
