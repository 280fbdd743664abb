"""What loaded bars hold, as plain facts for people and programs."""

from __future__ import annotations

from typing import Any

from ffm_core.bars._profile import profile
from ffm_core.bars.readers.loading import LoadedBars
from ffm_core.bars.sessions import to_stamp


def describe(item: LoadedBars) -> dict[str, Any]:
    """Return the facts of one stream.

    Parameters
    ----------
    item : LoadedBars
        What a reader returned.

    Returns
    -------
    dict
        Stream, source, rows, span (UTC), prices, sessions, gaps, contracts,
        costs of a round trip, hash, dropped rows and the audit.
    """
    bars, row = item.bars, item.bars.instrument
    facts = profile(bars)
    per_session = len(bars) / max(len(facts.first_row), 1)
    contracts = bars.frame["contract"].n_unique() if "contract" in bars.frame.columns else "unknown"
    return {
        "stream": bars.stream,
        "source": item.source_name,
        "instrument": f"{row.name}, {row.exchange}, {row.kind}",
        "rows": len(bars),
        "first": to_stamp(int(bars.ts_us[0])),
        "last": to_stamp(int(bars.ts_us[-1])),
        "low": float(bars.low.min()),
        "high": float(bars.high.max()),
        "tick_size": row.tick_size,
        "tick_value": row.tick_value,
        "currency": row.currency,
        "round_trip_points": row.cost_points(price=float(bars.close[-1])),
        "sessions": len(facts.first_row),
        "bars_per_session": round(per_session, 1),
        "gaps": {"sessions": len(facts.absent_us), "bars": facts.n_missing_bars},
        "contracts": contracts,
        "sha256": bars.sha256,
        "dropped": dict(item.counts),
        "audit": {
            "level": item.audit.level,
            "codes": list(dict.fromkeys(item.audit.codes())),
            "findings": [
                {
                    "level": f.level,
                    "code": f.code,
                    "message": f.message,
                    "count": f.count,
                    "first": f.first,
                }
                for f in item.audit.findings
            ],
        },
    }
