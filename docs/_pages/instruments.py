"""``instruments.md``: the contract table."""

from __future__ import annotations

from collections import defaultdict

from _pages import markdown as md
from _pages.records import fields_of
from ffm_core.bars.instrument import Instrument
from ffm_core.bars.instruments import known

_INTRO = """# Instruments

What FFM knows about contracts. Commissions and fees are estimates per contract and side
that a declaration of your own may replace; see
[Bring your data](../how-to/bring-your-data.md#declare-an-instrument). The last column is
the cost of one round trip, commission, fees and slippage on both sides, in points.

Symbols that begin with `SIM` are simulated markets and carry their seed, such as `SIMA7`.

"""


def page() -> str:
    """Return the page."""
    groups: dict[str, list[Instrument]] = defaultdict(list)
    for row in known():
        groups[row.group].append(row)
    parts = [_INTRO]
    for group, members in sorted(groups.items()):
        parts.append(f"## {group.replace('_', ' ')}\n")
        parts.append(md.table(_HEAD, [_row(item) for item in members]))
        sources = sorted({item.source for item in members if item.source})
        parts.append("Source: " + "; ".join(sources) + ".\n" if sources else "")
    parts.append("## Fields of an instrument\n")
    parts.append(fields_of(Instrument, md.sections(Instrument)["Parameters"]))
    return md.join(parts)


_HEAD = ("symbol", "name", "kind", "exchange", "tick", "point value", "months", "calendar",
         "session (local)", "per side", "round trip, points")  # fmt: skip


def _row(item: Instrument) -> tuple[str, ...]:
    hours = "around the clock"
    if not item.around_the_clock:
        hours = f"{item.session_open}–{item.session_close} {item.timezone}"
    per_side = item.commission_per_side + item.fees_per_side
    charged = f"{per_side:.2f} {item.currency}"
    if item.fee_rate_per_side:
        charged = f"{100 * item.fee_rate_per_side:g} % of the price"
    return (
        md.code(item.symbol), item.name, item.kind, item.exchange, f"{item.tick_size:g}",
        f"{item.point_value:g} {item.currency}", item.months or "–", item.calendar, hours,
        f"{charged} + {item.slippage_ticks:g} tick",
        f"{item.cost_points():.6g}",
    )  # fmt: skip
