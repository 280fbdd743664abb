"""What hangs on a few trades, and what the formerly sealed months show by themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ffm_core.bars.sessions import to_stamp
from ffm_core.evaluate.pool import Folded
from ffm_core.records import Evidence
from ffm_core.ruler.intervals import SAMPLING
from ffm_core.ruler.judging import bounds, mean_of, number
from ffm_core.ruler.metrics import mean_of_middle
from ffm_core.ruler.power import minimum_detectable

FAR_R = 5.0  # a trade beyond it is named
_NAMED = 5
_SHARE = 0.01  # of the trades, at either end


def far_trades(evidence: Evidence) -> dict[str, Any]:
    """Return REAL's trades beyond 5 R, their share of its result, and its mean without the ends."""
    real = evidence.trades["REAL"]
    if len(real) == 0:
        return {}
    far = np.flatnonzero(np.abs(real.r_net) > FAR_R)
    total, theirs = float(real.r_net.sum()), float(real.r_net[far].sum())
    largest = far[np.argsort(-np.abs(real.r_net[far]), kind="stable")][:_NAMED]
    return {
        "limit_r": FAR_R,
        "n": len(far),
        "total_r": theirs,
        "share": theirs / total if total else None,
        "largest": [
            {
                "stream": evidence.streams[real.stream[row]],
                "entry_time": to_stamp(int(real.t_entry[row])),
                "r_net": float(real.r_net[row]),
            }
            for row in largest
        ],
        "mean_r": float(real.r_net.mean()),
        "middle_mean_r": mean_of_middle(real.r_net, real.weight, _SHARE),
    }


def opened_tail(folded: Folded, evidence: Evidence) -> dict[str, Any]:
    """Return what REAL did in the months that were sealed; empty unless they were opened."""
    days = evidence.days[evidence.days >= folded.seal.day]
    if not folded.seal.opened or len(days) == 0:
        return {}
    real = evidence.trades["REAL"]
    trades = real.take(np.flatnonzero(real.day >= folded.seal.day))
    if len(trades) == 0:
        return {"n_trades": 0, "mean_r": None, "interval": None, "minimum_detectable": None}
    found = mean_of(replace(evidence, days=days), trades, SAMPLING)
    return {
        "n_trades": len(trades),
        "mean_r": found.value,
        "interval": bounds(found),
        "minimum_detectable": number(minimum_detectable(found.se)),
    }


__all__ = ["FAR_R", "far_trades", "opened_tail"]
