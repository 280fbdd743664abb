"""A small plot as SVG: the close above, one feature below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ffm_core.bars.sessions import to_stamp, trading_days
from ffm_core.bars.table import Bars
from ffm_core.types import Float32, Float64

WIDTH, LEFT, RIGHT = 720, 72, 12
PRICE, FEATURE = (10, 90), (112, 240)  # top and bottom of the panels
HEIGHT = 268
# Mid-tones, readable on light and dark pages.
GREY, BLUE, TEXT = "#8a8f98", "#3b82d0", "#7a7f87"


def panel_svg(bars: Bars, values: Float32, facts: Mapping[str, Any]) -> str:
    """Return the plot of a feature over ``bars``; both of length T."""
    x = np.linspace(LEFT, WIDTH - RIGHT, len(bars))
    feature = values.astype(np.float64)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'font-family="sans-serif" font-size="11" fill="{TEXT}">'
        ),
        f"<title>{facts['set']}/{facts['name']}</title>",
        *_days(bars, x),
        *_axis(bars.close, PRICE, "close"),
        *_axis(feature, FEATURE, facts["unit"]),
        _line(x, bars.close, PRICE, GREY),
        _line(x, feature, FEATURE, BLUE),
        *_times(bars, x),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _bounds(values: Float64) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _line(x: Float64, values: Float64, panel: tuple[int, int], colour: str) -> str:
    low, high = _bounds(values)
    y = panel[1] - (values - low) / (high - low) * (panel[1] - panel[0])
    commands = []
    pen_down = False
    for at, height in zip(x, y, strict=True):
        if not np.isfinite(height):
            pen_down = False
            continue
        commands.append(f"{'L' if pen_down else 'M'}{at:.0f} {height:.0f}")
        pen_down = True
    return f'<path d="{"".join(commands)}" fill="none" stroke="{colour}" stroke-width="1.2"/>'


def _axis(values: Float64, panel: tuple[int, int], unit: str) -> Iterator[str]:
    low, high = _bounds(values)
    for value, y in ((high, panel[0]), (low, panel[1])):
        yield f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="{GREY}" stroke-opacity=".35"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.5g}</text>'
    middle = (panel[0] + panel[1]) // 2
    yield (
        f'<text x="12" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 12 {middle})">{unit}</text>'
    )


def _days(bars: Bars, x: Float64) -> Iterator[str]:
    for bar in np.flatnonzero(np.diff(trading_days(bars))) + 1:
        yield (
            f'<path d="M{x[bar]:.0f} {PRICE[0]}V{FEATURE[1]}" stroke="{GREY}" '
            'stroke-dasharray="2 3"/>'
        )


def _times(bars: Bars, x: Float64) -> Iterator[str]:
    last = len(bars) - 1
    for bar, anchor in ((0, "start"), (last // 2, "middle"), (last, "end")):
        stamp = to_stamp(int(bars.ts_us[bar])).replace("T", " ").replace("Z", " UTC")
        yield f'<text x="{x[bar]:.0f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{stamp}</text>'
