"""Where the falsifier cuts: at random, at decisions, and at every kind of edge.

A leak that shows on few bars hides between random cuts. Most such leaks show at
known places: around decisions, where sessions and contracts change, and where a
bar of a higher timeframe closes. Those are sampled by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.keyed import keyed
from ffm_core.types import Int64

MIN_RANDOM = 300
REPLAYED_BARS = 12_000_000  # shown in all when the decisions of one subject are replayed
# Share of the cuts that each family may take at most; the rest is drawn at random.
_SHARES = {"decision": 0.40, "session": 0.12, "roll": 0.05, "clock": 0.02,
           "1d": 0.08, "4h": 0.05, "1h": 0.10}  # fmt: skip
_RARE = ("clock", "roll", "session")
_HIGHER_US = {"1h": 3_600_000_000, "4h": 14_400_000_000, "1d": 86_400_000_000}


@dataclass(frozen=True, slots=True)
class Cuts:
    """Sampled cuts; a cut ``c`` withholds bar ``c`` and all later ones.

    Parameters
    ----------
    at : int64 (n,)
        All cuts, ascending, unique.
    drawn : int64 (r,)
        Those that were drawn uniformly, a subset of ``at``.
    families : mapping of str to int64
        Which cuts lie at decisions and at each kind of edge, and which were
        drawn (``random``); a cut may belong to several.
    """

    at: Int64
    drawn: Int64
    families: Mapping[str, Int64] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.at)


def detection_bound(n_random: int) -> float:
    """Return the smallest leak rate that ``n_random`` clean cuts exclude at 99 %.

    A column whose value at bar ``t`` depends on later bars at a share ``q`` of
    all bars shows at a uniformly drawn cut with probability ``q`` or more, so it
    escapes ``n`` cuts with probability at most ``(1 - q)**n``. Setting that to
    1 % gives ``q = 1 - 0.01**(1 / n)``: 1.52 % for 300 cuts. The cuts at
    decisions and edges come on top and are not counted here.

    Parameters
    ----------
    n_random : int
        Number of cuts drawn uniformly.

    Returns
    -------
    float
        A rate per column, in [0, 1]; 1 when nothing was drawn.

    References
    ----------
    Binomial rule: Hanley and Lippman-Hand (1983), *If nothing goes wrong, is
    everything all right?*
    """
    return 1.0 if n_random <= 0 else float(1.0 - 0.01 ** (1.0 / n_random))


def replayed(
    decision_bars: Int64,
    total: int,
    start: Callable[[int], int],
    *,
    seed: int,
    subject: str,
    max_cuts: int,
) -> Int64:
    """Return the cuts that show each decision's bar last, all of them where that is cheap.

    Cheap is at most one and a half replays per cut, which show :data:`REPLAYED_BARS` bars
    or fewer in all. Where it is not, as many decisions as that allows are drawn.

    Parameters
    ----------
    decision_bars : int64
        Bars of decisions.
    total : int
        Bars of the series; a decision at the last one needs no cut.
    start : callable
        Returns the first bar that is shown for a cut.
    seed, subject, max_cuts
        As in :func:`sample_cuts`.

    Returns
    -------
    int64
        Ascending, unique.
    """
    cuts = np.unique(decision_bars.astype(np.int64)) + 1
    cuts = cuts[(cuts > 0) & (cuts < total)]
    if len(cuts) == 0:
        return cuts
    spread = cuts[np.linspace(0, len(cuts) - 1, min(len(cuts), 64)).astype(np.int64)]
    shown = float(np.mean([cut - start(cut) for cut in spread.tolist()]))
    most = min(max_cuts * 3 // 2, int(REPLAYED_BARS / max(shown, 1.0)))
    return _draw(cuts, most, keyed(seed, "replays", subject))


def edges(bars: Bars) -> dict[str, Int64]:
    """Return the first bar of every session, contract and higher-timeframe bar.

    Returns
    -------
    dict of str to int64
        Keys ``session`` (after a hole in the stamps), ``roll``, ``clock`` (the
        exchange's clock was put forward or back since the bar before), ``1h``,
        ``4h`` and ``1d`` (boundaries in UTC and in exchange time together).
    """
    stamps = bars.ts_us
    found = {"session": _changes(np.diff(stamps) > bars.timeframe.us)}
    found["roll"] = _changes(np.diff(bars.rolls) != 0)
    local = _local_us(bars)
    found["clock"] = _changes(np.diff(local - stamps) != 0)
    for name, size in _HIGHER_US.items():
        if size <= bars.timeframe.us:
            found[name] = np.empty(0, np.int64)
            continue
        crossed = (np.diff(stamps // size) != 0) | (np.diff(local // size) != 0)
        found[name] = _changes(crossed)
    return found


def _changes(mask: np.ndarray) -> Int64:
    return np.flatnonzero(mask).astype(np.int64) + 1


def _local_us(bars: Bars) -> Int64:
    stamps = bars.frame["ts"].dt.convert_time_zone(bars.instrument.timezone)
    naive = stamps.dt.replace_time_zone(None).dt.timestamp("us")
    return np.asarray(naive.to_numpy(), dtype=np.int64)


def sample_cuts(
    bars: Bars,
    decision_bars: Int64,
    *,
    seed: int,
    subject: str,
    max_cuts: int = 2_000,
    replays: Int64 | None = None,
) -> Cuts:
    """Choose the cuts of one stream, its declared warm-up included.

    Parameters
    ----------
    bars : Bars
        The stream, ``T`` bars.
    decision_bars : int64
        Bars of decisions; cuts lie at each of them ± 2.
    seed : int
        Seed of the run.
    subject : str
        Keys the draws, so that subjects do not share cuts.
    max_cuts : int
        Upper limit of those placed and drawn; 300 or more are random (all bars if there
        are fewer).
    replays : int64, optional
        Cuts that are made whatever the limit says; see :func:`replayed`.

    Returns
    -------
    Cuts
        Every cut ``c`` has ``1 <= c < T``.
    """
    total = len(bars)
    pool = np.arange(1, total, dtype=np.int64)
    rng = keyed(seed, "cuts", subject, bars.stream)
    near = {"decision": _around(np.asarray(decision_bars), pool)}
    for name, places in edges(bars).items():
        # Cut c ends the series at bar c-1: c-1, c and c+1 straddle the edge.
        at = np.unique(np.concatenate([places - 1, places, places + 1]))
        near[name] = at[(at >= 1) & (at < total)]
    given = np.empty(0, np.int64) if replays is None else replays
    if len(pool) <= max_cuts:
        return Cuts(at=pool, drawn=pool, families={**near, "random": pool})
    chosen = {name: _draw(at, _quota(name, max_cuts), rng) for name, at in near.items()}
    placed = np.unique(np.concatenate(list(chosen.values())))
    n_random = min(max(MIN_RANDOM, max_cuts - len(placed)), max_cuts)
    placed = _thinned(chosen, placed, max(max_cuts - n_random, 0), rng)
    drawn = np.sort(rng.choice(pool, size=n_random, replace=False))
    at = np.unique(np.concatenate([placed, drawn, given]))
    families = {name: np.intersect1d(places, at) for name, places in near.items()}
    return Cuts(at=at, drawn=drawn, families={**families, "random": drawn})


def _thinned(
    chosen: Mapping[str, Int64], placed: Int64, limit: int, rng: np.random.Generator
) -> Int64:
    """Return at most ``limit`` places; those of the rare kinds first, which chance would miss."""
    if len(placed) <= limit:
        return placed
    rare = np.empty(0, np.int64)
    for name in _RARE:
        rare = np.union1d(rare, _draw(chosen[name], limit // 2 - len(rare), rng))
    rest = _draw(np.setdiff1d(placed, rare), limit - len(rare), rng)
    return np.union1d(rare, rest)


def _quota(name: str, max_cuts: int) -> int:
    return int(_SHARES[name] * max_cuts)


def _around(decision_bars: Int64, pool: Int64) -> Int64:
    # A cut c shows bar c-1 last, so last bars b-2 ... b+2 are cuts b-1 ... b+3.
    offsets = np.arange(-1, 4, dtype=np.int64)
    near = np.unique((decision_bars.astype(np.int64)[:, None] + offsets).ravel())
    kept: Int64 = near[np.isin(near, pool)]
    return kept


def _draw(places: Int64, limit: int, rng: np.random.Generator) -> Int64:
    if len(places) <= limit:
        return places
    return np.sort(rng.choice(places, size=max(limit, 0), replace=False))


__all__ = ["MIN_RANDOM", "Cuts", "detection_bound", "edges", "replayed", "sample_cuts"]
