"""How often the intervals of the verdict miss the truth, each end by itself.

Days of trades are drawn whose true mean, or true difference, is 0. An interval that lies above
0 misses below (it would pass what has no edge), one that lies below 0 misses above (it would
exclude what is there); 2.5 % of each is nominal. Run with ``python -m benchmarks.coverage``;
``--sims 400`` for a quick look, ``--case rare`` for one kind, ``--percentile`` for the plain
percentile interval of blocks of five days beside it.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ffm_core.jit import kernel
from ffm_core.ruler.bootstrap import DaySums
from ffm_core.ruler.intervals import SAMPLING, day_draws, influence, lag_of, mean_block, outer_ends
from ffm_core.statistics import next_day
from ffm_core.types import Float64

DAYS = (60, 126, 440)
ALLOWED = {60: 0.04, 126: 0.035, 440: 0.035}  # misses of either end
SIMS = 4_000
VALIDATION_LAG = 21  # days between a validation month and its test month
_COMMON_SD = 2.0  # R, of what the trades of a day have in common; of their own, 1.7
_RARE, _RARE_LOSS = 0.03, -0.03 * 20.0 / 0.97


@dataclass(frozen=True, slots=True)
class Case:
    """Trades of some days: what a day's trades have in common, and which arms are compared."""

    name: str
    words: str
    dependence: float = 0.0  # of one day's common part on that of the day before
    common: float = 0.0  # standard deviation of that part, R
    rare: bool = False
    pair: str = ""  # the other arm: all, entries, another, validation; none for a mean
    held: bool = True  # whether the promise is about it


CASES = (
    Case("independent", "independent days"),
    Case("clustered", "trades of a day move together", common=_COMMON_SD),
    Case("dependent-0.3", "daily dependence 0.3", 0.3, _COMMON_SD),
    Case("dependent-0.6", "daily dependence 0.6", 0.6, _COMMON_SD),
    Case("dependent-0.85", "daily dependence 0.85", 0.85, _COMMON_SD, held=False),
    Case("rare", "wins of 10 to 30 R at 3 %", rare=True),
    Case("picks", "picks − all decisions, dependence 0.6", 0.6, _COMMON_SD, pair="all"),
    Case("rare-picks", "the same, wins of 10 to 30 R at 3 %", rare=True, pair="all"),
    Case("entries", "decisions − random entries, dependence 0.6", 0.6, _COMMON_SD, pair="entries"),
    Case("another", "picks of two models, dependence 0.6", 0.6, _COMMON_SD, pair="another"),
    Case("gap", "validation − test, dependence 0.6", 0.6, _COMMON_SD, pair="validation"),
)


def draw(case: Case, n_days: int, rng: np.random.Generator) -> tuple[DaySums, DaySums | None]:
    """Draw an arm, and the one it is compared with; about five trades a day."""
    size = n_days + VALIDATION_LAG
    common = case.common * _autoregressive(rng.standard_normal(size), case.dependence)
    day = np.repeat(np.arange(size), rng.poisson(10.0, size))
    r = _bets(rng, len(day), rare=case.rare) + common[day]
    mine = rng.random(len(day)) < 0.5
    real = _sums(day[mine], r[mine], size)
    if case.pair == "validation":
        later = _bets(rng, len(day), rare=case.rare) + common[day]
        seen, tested = mine & (day < n_days), ~mine & (day >= VALIDATION_LAG)
        return _sums(day[seen], r[seen], size), _sums(day[tested], later[tested], size)
    real = _first(real, n_days)
    if not case.pair:
        return real, None
    if case.pair == "all":
        return real, _first(_sums(day, r, size), n_days)
    if case.pair == "entries":
        noise = rng.standard_normal(n_days) * np.sqrt(3.0 * real.weight / 20.0)
        return real, DaySums(total=noise, weight=real.weight)
    other = np.where(rng.random(len(day)) < 0.7, mine, rng.random(len(day)) < 0.5)
    return real, _first(_sums(day[other], r[other], size), n_days)


def _bets(rng: np.random.Generator, n: int, *, rare: bool) -> Float64:
    if rare:
        return np.where(rng.random(n) < _RARE, rng.uniform(10.0, 30.0, n), _RARE_LOSS)
    return np.where(rng.random(n) < 0.25, 3.0, -1.0)


def _sums(day: np.ndarray, r: Float64, size: int) -> DaySums:
    return DaySums(total=np.bincount(day, weights=r, minlength=size).astype(float),
                   weight=np.bincount(day, minlength=size).astype(float))  # fmt: skip


def _first(sums: DaySums, n_days: int) -> DaySums:
    return DaySums(total=sums.total[:n_days], weight=sums.weight[:n_days])


@kernel
def _autoregressive(noise: Float64, memory: float) -> Float64:
    out = np.empty(len(noise))
    out[0] = noise[0]
    for i in range(1, len(noise)):
        out[i] = memory * out[i - 1] + np.sqrt(1.0 - memory * memory) * noise[i]
    return out


Interval = Callable[[DaySums, DaySums | None, list[Float64]], tuple[float, float]]


def outer(left: DaySums, right: DaySums | None, draws: list[Float64]) -> tuple[float, float]:
    """Return the interval of the verdict."""
    off = influence(left) - (0.0 if right is None else influence(right))
    value = left.mean - (0.0 if right is None else right.mean)
    n_days = len(off)
    below, above = outer_ends(
        off, draws, block=mean_block(n_days, SAMPLING["block_days"]),
        lag=lag_of(n_days, SAMPLING["lag"]), level=SAMPLING["level"],
    )  # fmt: skip
    return value + below, value + above


def percentile(left: DaySums, right: DaySums | None, draws: list[Float64]) -> tuple[float, float]:
    """Return the plain percentile interval of blocks of five days, for comparison."""
    arms = [left] if right is None else [left, right]
    means = [
        np.concatenate([_means(arm.total, arm.weight, part) for part in draws]) for arm in arms
    ]
    low, high = np.quantile(means[0] - (means[1] if right is not None else 0.0), (0.025, 0.975))
    return float(low), float(high)


@kernel
def _means(total: Float64, weight: Float64, draws: Float64) -> Float64:
    out = np.empty(len(draws))
    for b in range(len(draws)):
        place, r, w = 0, 0.0, 0.0
        for i in range(len(total)):
            one = draws[b, i] if i == 0 else draws[b, i] / 0.2
            place = next_day(place, one, len(total))
            r += total[place]
            w += weight[place]
        out[b] = r / w
    return out


def misses(
    case: Case, n_days: int, sims: int, interval: Interval = outer, *, resamples: int = 1000
) -> tuple[float, float]:
    """Return the shares of intervals that lie above the truth, and below it."""
    size = n_days + (VALIDATION_LAG if case.pair == "validation" else 0)
    draws = list(day_draws(size, resamples))
    above = below = 0
    for sim in range(sims):
        rng = np.random.default_rng([sim, n_days])
        low, high = interval(*draw(case, n_days, rng), draws)
        above += low > 0
        below += high < 0
    return above / sims, below / sims


def kept(share: float, n_days: int, sims: int) -> bool:
    """Whether a rate of misses is within what is allowed, up to the error of the simulation."""
    allowed = ALLOWED[n_days]
    return share <= allowed + 2.0 * math.sqrt(allowed * (1.0 - allowed) / sims)


def main() -> int:
    """Print a table of misses; exit code 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(description="Coverage of the verdict's intervals.")
    parser.add_argument("--sims", type=int, default=SIMS)
    parser.add_argument("--days", type=int, nargs="*", default=list(DAYS))
    parser.add_argument("--case", nargs="*", default=[case.name for case in CASES])
    parser.add_argument("--percentile", action="store_true")
    asked = parser.parse_args()
    broken, began = False, time.process_time()
    print(f"misses below / above in %, {asked.sims} simulations each; 2.5 is nominal")
    print("| case | " + " | ".join(f"{n} days" for n in asked.days) + " |")
    print("| --- |" + " --- |" * len(asked.days))
    interval = percentile if asked.percentile else outer
    for case in (case for case in CASES if case.name in asked.case):
        cells = []
        for n_days in asked.days:
            found = misses(case, n_days, asked.sims, interval)
            cells.append(" / ".join(f"{100 * share:.1f}" for share in found))
            held = case.held and n_days in ALLOWED
            broken |= held and not all(kept(share, n_days, asked.sims) for share in found)
        print(f"| {case.words} | " + " | ".join(cells) + " |", flush=True)
    said = "promised rates are exceeded" if broken else "every promised rate is kept"
    print(f"{time.process_time() - began:.0f} s of processor time; {said}")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
