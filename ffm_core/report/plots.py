"""The plots of a report as plotly figures, coloured by the page's own style variables."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ffm_core.report import numbers, words

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Arms differ by dash as well as by colour; the page's legend draws the same dashes.
STYLES = {
    "REAL": ("var(--arm-real)", "solid", 2.6),
    "NAIVE": ("var(--arm-naive)", "dash", 1.7),
    "ENTRY": ("var(--arm-entry)", "dot", 1.9),
    "RANDOM": ("var(--arm-random)", "dashdot", 1.6),
    "SHUFFLE": ("var(--arm-shuffle)", "longdash", 1.6),
}
_EXTRA = (("var(--arm-shuffle)", "longdash"), ("var(--arm-extra)", "longdashdot"))
_DOTS_UP_TO = 60  # fewer draws than this are shown one by one
_SIGNIFICANT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One line of a legend: an arm, how it is drawn, and where it ends."""

    name: str
    colour: str
    dash: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A plotly figure with the words that stand beside it and for it.

    ``figure`` is JSON whose colours are ``var(--name)``: the page resolves them
    when it draws, so that a plot follows the light or dark scheme.
    """

    id: str
    title: str
    label: str  # for screen readers: what the plot shows, with its main numbers
    caption: str
    figure: str
    height: int  # pixels
    legend: tuple[Key, ...] = ()


def style_of(arm: str, position: int = 0) -> tuple[str, str, float]:
    """Return colour, dash and width of an arm's line; extra arms go by position."""
    if arm in STYLES:
        return STYLES[arm]
    colour, dash = _EXTRA[position % len(_EXTRA)]
    return colour, dash, 1.6


def equity(result: words.Result) -> Plot | None:
    """Return cumulative R per arm over the test days, with REAL's band.

    Parameters
    ----------
    result : mapping
        The ``result`` part of a run record.

    Returns
    -------
    Plot or None
        None where the run holds no equity (REFUSED, or no trades).
    """
    data = (result.get("plots") or {}).get("equity") or {}
    days, arms = data.get("days") or [], data.get("arms") or {}
    if not days or not arms:
        return None
    figure = _figure(height=380)
    band = data.get("band") or {}
    if band.get("low") and band.get("high"):
        _add_band(figure, days, band["low"], band["high"])
    claim = words.claim_of(result)
    legend = []
    for k, name in enumerate(sorted(arms, key=_drawing_order)):
        colour, dash, width = style_of(name, k)
        figure.add_scatter(
            x=days, y=_short(arms[name]), mode="lines", name=_safe(name), line_shape="hv",
            line={"color": colour, "dash": dash, "width": width},
            hovertemplate="%{y:+.1f} R",
        )  # fmt: skip
        last = numbers.r_multiple(arms[name][-1], 1)
        legend.append(
            Key(name=name, colour=colour, dash=dash, note=f"{last}, {words.arm_words(name, claim)}")
        )
    figure.update_layout(hovermode="x unified", yaxis_title_text="cumulative R, after costs")
    figure.update_xaxes(type="date", hoverformat="%d %b %Y")
    legend.reverse()
    ends = ", ".join(f"{key.name} {key.note.split(',')[0]}" for key in legend)
    return Plot(
        id="equity", title="Equity in R by arm", figure=_json(figure), height=380,
        label=f"Line plot of cumulative R from {days[0]} to {days[-1]}. At the end: {ends}.",
        caption=_equity_caption(band), legend=tuple(legend),
    )  # fmt: skip


def _drawing_order(arm: str) -> tuple[int, str]:
    order = ("RANDOM", "SHUFFLE", "ENTRY", "NAIVE", "REAL")
    return (order.index(arm) if arm in order else -1, arm)


def _equity_caption(band: Mapping[str, Any]) -> str:
    text = (
        "One unit is the risk of one trade. Test months only, in order, costs taken off. Arms "
        "take different numbers of trades; the table below compares them per trade."
    )
    if band.get("low"):
        text += f" The shaded band is the 95 % confidence band of {band.get('arm', 'REAL')}."
    return text


def _add_band(
    figure: go.Figure, days: Sequence[str], low: Sequence[float], high: Sequence[float]
) -> None:
    edge = {"width": 0, "shape": "hv"}
    figure.add_scatter(x=days, y=_short(low), mode="lines", line=edge, hoverinfo="skip", name="low")
    figure.add_scatter(
        x=days, y=_short(high), mode="lines", line=edge, hoverinfo="skip", name="high",
        fill="tonexty", fillcolor="var(--arm-band)",
    )  # fmt: skip


def nulls(result: words.Result) -> list[Plot]:
    """Return one plot per null distribution, the real value marked in each."""
    data = (result.get("plots") or {}).get("nulls") or {}
    plots = []
    known = list(words.NULLS)
    order = sorted(data, key=lambda n: (known.index(n) if n in known else len(known), n))
    for position, name in enumerate(order):
        null = data[name]
        draws = [d for x in (null or {}).get("draws") or [] if (d := numbers.finite(x)) is not None]
        real = numbers.finite((null or {}).get("real"))
        if draws and real is not None:
            plots.append(_null(name, position, draws, real, null, _percentile(result, name)))
    return plots


def _percentile(result: words.Result, name: str) -> float | None:
    """Return where the random picks' 97.5th percentile lies: REAL less the check's low end."""
    if name != "random":
        return None
    checks = result.get("checks") or []
    lows = (numbers.finite((c.get("interval") or [None])[0]) for c in checks if c["name"] == name)
    real = numbers.finite(result["plots"]["nulls"][name].get("real"))
    low = next(lows, None)
    return None if low is None or real is None else real - low


def _null(
    name: str, position: int, draws: list[float], real: float,
    null: Mapping[str, Any], percentile: float | None,
) -> Plot:  # fmt: skip
    title, what = words.NULLS.get(name, (name.replace("_", " "), "draws of an extra control"))
    figure = _figure(height=250)
    one_by_one = len(draws) < _DOTS_UP_TO
    top = _add_dots(figure, draws) if one_by_one else _add_bars(figure, draws)
    who = "REAL, one seed" if name.startswith("shuffle") else "REAL"
    _add_mark(figure, real, top * 1.12, f"{who} {numbers.r_multiple(real)}", draws)
    if percentile is not None:
        figure.add_shape(
            type="line", x0=percentile, x1=percentile, y0=0, y1=top * 1.12,
            line={"color": "var(--ink-2)", "width": 1.2, "dash": "dot"},
        )  # fmt: skip
    span = [*draws, real]
    pad = 0.08 * (max(span) - min(span) or 1.0)
    figure.update_xaxes(range=[min(span) - pad, max(span) + pad], title_text="mean R per trade")
    figure.update_yaxes(range=[0, top * 1.3], title_text="draws", visible=not one_by_one)
    reached = sum(d >= real for d in draws)
    caption = f"{reached} of {len(draws)} {what} reach REAL's mean."
    if one_by_one:
        caption = f"Each dot is one draw. {caption}"
    if name.startswith("shuffle"):
        caption += " REAL is shown as fitted with one seed, like the draws."
    if percentile is not None:
        caption += f" The dotted line is their 97.5th percentile, {numbers.r_multiple(percentile)}."
    if null.get("stopped"):
        caption += (
            f" Stopped after {len(draws)} of {null.get('planned')}: the test could no longer "
            "pass, so its p-value is a bound."
        )
    return Plot(
        id=f"null-{position}", title=title, figure=_json(figure), height=250, caption=caption,
        label=f"Distribution of the mean R of {len(draws)} {what}, from "
        f"{numbers.r_multiple(min(draws))} to {numbers.r_multiple(max(draws))}; "
        f"{who} stands at {numbers.r_multiple(real)}.",
    )  # fmt: skip


def _bins(draws: list[float], n_bins: int) -> tuple[list[int], float, float]:
    low, high = min(draws), max(draws)
    width = (high - low) / n_bins or 1e-6
    return [min(n_bins - 1, int((d - low) / width)) for d in draws], low, width


def _add_bars(figure: go.Figure, draws: list[float]) -> float:
    n_bins = max(8, min(30, round(1.3 * math.sqrt(len(draws)))))
    place, low, width = _bins(draws, n_bins)
    heights = [place.count(k) for k in range(n_bins)]
    figure.add_bar(
        x=_short([low + (k + 0.5) * width for k in range(n_bins)]), y=heights, width=width,
        marker={"color": "var(--null)", "line": {"width": 1, "color": "var(--surface)"}},
        name="draws",
        hovertemplate="%{y} draws near %{x:+.3f} R<extra></extra>",
    )  # fmt: skip
    return float(max(heights))


def _add_dots(figure: go.Figure, draws: list[float]) -> float:
    place, _, _ = _bins(draws, 22)
    seen: dict[int, int] = {}
    heights = []
    for k in place:
        seen[k] = seen.get(k, 0) + 1
        heights.append(seen[k] - 0.5)
    figure.add_scatter(
        x=_short(draws), y=heights, mode="markers", name="draws",
        marker={"color": "var(--null)", "size": 9, "line": {"width": 0}},
        hovertemplate="%{x:+.3f} R<extra></extra>",
    )  # fmt: skip
    return float(max(seen.values()))


def _add_mark(figure: go.Figure, x: float, top: float, text: str, draws: list[float]) -> None:
    # The label leans towards the middle, so that it never leaves the plot.
    leans_left = x > (min([*draws, x]) + max([*draws, x])) / 2
    figure.add_scatter(
        x=[x, x], y=[0, top], mode="lines", name="REAL", hoverinfo="skip",
        line={"color": "var(--arm-real)", "width": 2.6},
    )  # fmt: skip
    figure.add_annotation(
        x=x, y=top, text=f"<b>{_safe(text)}</b>", showarrow=False, yanchor="bottom",
        xanchor="right" if leans_left else "left", font={"color": "var(--arm-real)", "size": 13},
    )  # fmt: skip


def calibration(result: words.Result) -> Plot | None:
    """Return predicted against observed shares of winners, or None without a model."""
    data = (result.get("plots") or {}).get("calibration") or {}
    bins = [b for b in data.get("bins") or [] if b.get("n")]
    if not bins:
        return None
    predicted = [float(b["predicted"]) for b in bins]
    observed = [float(b["observed"]) for b in bins]
    low, high = min(predicted + observed), max(predicted + observed)
    pad = 0.08 * (high - low or 0.1)
    ends = [max(0.0, low - pad), min(1.0, high + pad)]
    most = max(float(b["n"]) for b in bins)
    figure = _figure(height=340)
    figure.add_scatter(
        x=ends, y=ends, mode="lines", hoverinfo="skip", name="perfect",
        line={"color": "var(--ink-2)", "dash": "dot", "width": 1.2},
    )  # fmt: skip
    figure.add_scatter(
        x=_short(predicted), y=_short(observed), mode="lines+markers", name="model",
        line={"color": "var(--arm-real)", "width": 1.4},
        marker={"color": "var(--arm-real)", "line": {"width": 0}, "opacity": 1,
                "size": [round(6 + 12 * math.sqrt(b["n"] / most), 1) for b in bins]},
        customdata=[int(b["n"]) for b in bins],
        hovertemplate="said %{x:.0%}, was %{y:.0%}, %{customdata} decisions<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(range=ends, tickformat=".0%", title_text="the model said")
    figure.update_yaxes(range=ends, tickformat=".0%", title_text="share of winners")
    gap = f"mean gap {numbers.decimal(data.get('ece'), 3)}"
    return Plot(
        id="calibration", title="Said and seen", figure=_json(figure), height=340,
        caption="On the dotted line a probability means what it says. Larger dots hold more "
        "decisions.",
        label="Observed share of winners against predicted probability in "
        f"{len(bins)} bins; {gap}.",
    )  # fmt: skip


def _figure(*, height: int) -> go.Figure:
    import plotly.graph_objects as go

    axis = {
        "gridcolor": "var(--line)", "zerolinecolor": "var(--ink-3)", "zerolinewidth": 1,
        "linecolor": "var(--line)", "automargin": True, "fixedrange": True, "ticks": "",
        "title": {"standoff": 8, "font": {"size": 12, "color": "var(--ink-2)"}},
        "tickfont": {"size": 12, "color": "var(--ink-2)"},
    }  # fmt: skip
    return go.Figure(layout={
        "template": "none", "height": height, "showlegend": False,
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "dragmode": False,
        "font": {"family": "var(--font)", "color": "var(--ink)", "size": 13},
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8}, "bargap": 0,
        "xaxis": {**axis, "showgrid": False}, "yaxis": axis,
        "hoverlabel": {"bgcolor": "var(--surface)", "bordercolor": "var(--ink-3)",
                       "font": {"color": "var(--ink)", "family": "var(--font)", "size": 12}},
    })  # fmt: skip


def _short(values: Sequence[float | None]) -> list[float | None]:
    # Five digits are more than a screen shows and halve the size of the page.
    return [None if v is None else float(f"{v:.{_SIGNIFICANT}g}") for v in values]


def _safe(text: str) -> str:
    return html.escape(text, quote=False)  # plotly reads a little HTML in its labels


def _json(figure: go.Figure) -> str:
    return str(figure.to_json(remove_uids=True))
