"""Several forecasters as one, with how far they disagree.

A member that is not on this machine is an error, unless the caller allows for it; a
member that fails while forecasting is left out and named. What is left shares the
weights anew, and the answer says who was used, who failed and who was absent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ffm_core.errors import ConfigError, FFMError
from ffm_core.types import Float64
from ffm_forecast import curve
from ffm_forecast.curve import Tail
from ffm_forecast.distribution import Forecast, Forecasts
from ffm_forecast.errors import EnsembleError
from ffm_forecast.forecasters import Forecaster, control

Pooling: TypeAlias = Literal["linear", "vincent"]
Variance: TypeAlias = Literal["total", "seed"]
NORMAL_90 = 1.645
_STEPS = 80  # halvings of the bracket when the mixture is inverted
_SPARE = 1e-8
WINDOWS, DECAY, FLOOR = 30, 0.94, 0.05


@dataclass(frozen=True, kw_only=True)
class Combined:
    """One forecast made of several; ``H`` steps.

    Parameters
    ----------
    forecast : Forecast
        The pooled quantiles.
    point : float64 (H,)
        Weighted mean of the members' medians.
    std : float64 (H,)
        Square root of the weighted mean variance plus the squared disagreement.
    disagreement, disagreement_unweighted : float64 (H,)
        Weighted, and plain, standard deviation of the members' means.
    normal_approx : pair of float64 (H,)
        ``point ± 1.645 std``, a 90 % band if the mixture were normal.
    confidence : float64 (H,)
        ``1 / (1 + disagreement / σ of naive_last)``; that it says something about the
        error is to be shown, not assumed.
    used : mapping of str to float
        Members and the weights they had.
    failed : mapping of str to str
        Members that raised, and what they said.
    absent : mapping of str to str
        Members that are not on this machine, and why.
    """

    forecast: Forecast
    point: Float64
    std: Float64
    disagreement: Float64
    disagreement_unweighted: Float64
    normal_approx: tuple[Float64, Float64]
    confidence: Float64
    used: Mapping[str, float]
    failed: Mapping[str, str]
    absent: Mapping[str, str]


def shares(names: Sequence[str], given: Mapping[str, float] | None) -> dict[str, float]:
    """Return weights that sum to one, equal ones by default.

    Raises
    ------
    ConfigError
        When a weight names no member, is negative or not finite, or all are zero.
    """
    if len(set(names)) != len(names) or not names:
        raise ConfigError("an ensemble needs members, each listed once", fix="write --ensemble a,b")
    weights = dict.fromkeys(names, 1.0) if given is None else dict(given)
    odd = sorted(set(weights) - set(names))
    if odd:
        raise ConfigError(
            f"a weight is given for {odd[0]!r}, which is not a member",
            fix=f"members are {', '.join(names)}",
        )
    bad = [n for n, w in weights.items() if not (math.isfinite(w) and w >= 0.0)]
    if bad:
        raise ConfigError(
            f"the weight of {bad[0]} is {weights[bad[0]]:g}", fix="give weights of 0 or more"
        )
    total = sum(weights.values())
    if total <= 0.0:
        raise ConfigError("all weights are zero", fix="give at least one member a weight above 0")
    return {name: weights.get(name, 0.0) / total for name in names}


def combine(
    members: Mapping[str, Forecaster | FFMError],
    contexts: Mapping[str, Float64],
    horizon: int,
    *,
    weights: Mapping[str, float] | None = None,
    pooling: Pooling = "linear",
    variance: Variance = "total",
    tail: Tail = "normal",
    allow_partial: bool = False,
) -> Combined:
    """Forecast with several members from one origin, and pool what they say.

    Parameters
    ----------
    members : mapping of str to Forecaster or FFMError
        Forecasters; an error stands for one that is absent.
    contexts : mapping of str to float64 (1, L)
        What each member looks at, ending at the same origin.
    weights : mapping of str to float, optional
        Default equal.
    pooling : {"linear", "vincent"}
        Mix the distributions, or average the quantiles.
    variance : {"total", "seed"}
        ``seed`` squares the mean deviation instead of averaging variances.
    tail : {"normal", "student_t"}
        What a member is taken to mean beyond its outermost levels when the mixture
        reaches there.
    allow_partial : bool
        Go on without absent members.

    Raises
    ------
    EnsembleError
        When a member is absent and that is not allowed, or all failed.
    ConfigError
        When the weights cannot be used.
    """
    wanted = shares(list(members), weights)
    absent = {n: m.problem for n, m in members.items() if isinstance(m, FFMError)}
    if absent and not allow_partial:
        name, why = next(iter(absent.items()))
        error = members[name]
        fix = error.fix if isinstance(error, FFMError) else ""
        raise EnsembleError(f"member {name} is missing: {why}", fix=fix)
    found: dict[str, Forecasts] = {}
    failed: dict[str, str] = {}
    for name, member in members.items():
        if isinstance(member, FFMError):
            continue
        try:
            found[name] = member.forecast(contexts[name], horizon)
        except Exception as error:
            failed[name] = " ".join(str(error).split())
    if not found or sum(wanted[name] for name in found) <= 0.0:
        why = "; ".join(f"{name}: {text}" for name, text in (failed | absent).items())
        raise EnsembleError(f"no member could make a forecast ({why})", fix="choose other members")
    used = shares(list(found), {name: wanted[name] for name in found})
    walk = _walk_deviation(contexts[next(iter(found))], horizon)
    return _combined(found, used, failed, absent, walk, pooling, variance, tail)


def _combined(
    found: Mapping[str, Forecasts], used: Mapping[str, float], failed: Mapping[str, str],
    absent: Mapping[str, str], walk: Float64, pooling: Pooling, variance: Variance, tail: Tail,
) -> Combined:  # fmt: skip
    w = np.array(list(used.values()))
    each = [forecasts.one(0) for forecasts in found.values()]
    means, stds = np.stack([f.mean for f in each]), np.stack([f.std for f in each])
    apart, plain = disagreement(means, w)
    std = total_deviation(stds, apart, w) if variance == "total" else np.hypot(apart, w @ stds)
    levels = common_levels([f.levels for f in each])
    if pooling == "vincent":
        parts = [curve.quantiles_at(f.quantiles, f.levels, levels, None) for f in each]
        quantiles = np.einsum("k,khq->hq", w, np.stack(parts))
    else:
        quantiles = linear_pool([(f.quantiles, f.levels) for f in each], w, levels, tail)
    point = w @ np.stack([f.point for f in each])
    first = each[0]
    return Combined(
        forecast=Forecast(
            quantiles=np.sort(quantiles, axis=1),
            levels=levels,
            space=first.space,
            reference=first.reference,
            crossings=sum(f.crossings for f in each),
            provenance={
                "model": "ensemble",
                "pooling": pooling,
                "members_tail": tail,
                "horizon": first.horizon,
                "members": [dict(f.provenance) for f in each],
                "weights": dict(used),
            },
        ),
        point=point,
        std=std,
        disagreement=apart,
        disagreement_unweighted=plain,
        normal_approx=(point - NORMAL_90 * std, point + NORMAL_90 * std),
        confidence=1.0 / (1.0 + apart / walk),
        used=used,
        failed=failed,
        absent=absent,
    )


def _walk_deviation(context: Float64, horizon: int) -> Float64:
    """Return the spread of naive_last from the same origin, float64 (H,)."""
    spread = control("naive_last").forecast(context, horizon).moments[1][0]
    return np.where(spread > 0.0, spread, np.inf)


def disagreement(means: Float64, weights: Float64) -> tuple[Float64, Float64]:
    """Return the weighted and the plain deviation of members' means (K, H), two (H,)."""
    centre = weights @ means
    return np.sqrt(weights @ (means - centre) ** 2), np.asarray(means.std(axis=0))


def total_deviation(stds: Float64, apart: Float64, weights: Float64) -> Float64:
    """Return the deviation of the mixture by the law of total variance, (H,)."""
    return np.asarray(np.sqrt(weights @ stds**2 + apart**2))


def common_levels(given: Sequence[Float64]) -> Float64:
    """Return every level of any member that lies within the native range of all.

    Raises
    ------
    EnsembleError
        When fewer than two do.
    """
    low, high = max(at[0] for at in given), min(at[-1] for at in given)
    every = np.unique(np.round(np.concatenate(list(given)), 12))
    kept = every[(every >= low - _SPARE) & (every <= high + _SPARE)]
    if len(kept) < 2:
        raise EnsembleError("the members have no levels in common", fix="choose other members")
    return np.asarray(kept)


def linear_pool(
    members: Sequence[tuple[Float64, Float64]], weights: Float64, levels: Float64, tail: Tail
) -> Float64:
    """Return quantiles of the mixture of distributions, float64 (H, Q).

    The mixture's distribution function is inverted by bisection between the smallest
    and the largest of the members' own quantiles at each level.

    Parameters
    ----------
    members : sequence of (float64 (H, Qk), float64 (Qk,))
        Quantiles and levels.
    """
    own = np.stack([curve.quantiles_at(q, at, levels, tail) for q, at in members])
    low, high = own.min(axis=0), own.max(axis=0)
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        mixed = np.zeros_like(middle)
        for weight, (q, at) in zip(weights.tolist(), members, strict=True):
            for k in range(len(levels)):
                mixed[:, k] += weight * curve.cdf_at(q, at, middle[:, k], tail)
        under = mixed < levels
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return np.asarray(high)
