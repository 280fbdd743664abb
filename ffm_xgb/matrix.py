"""What all arms and seeds of a fold share: quantised bins and z-scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ffm_core.container import numbers, spelled
from ffm_core.records import View
from ffm_core.types import Float32, Float64, Int16, Int64
from ffm_xgb.settings import CLIP_Z, INNER_WATCH_SHARE, SIGNAL


@dataclass(frozen=True, slots=True)
class Standardiser:
    """Clipped z-scores per stream, fitted on training rows.

    A stream absent from train is scaled with the pooled moments; missing values
    become 0, the mean.
    """

    mean: dict[int, Float64]
    scale: dict[int, Float64]

    @classmethod
    def fit(cls, x: Float32, stream: Int16) -> Standardiser:
        """Take moments of each stream's rows (N, F) and of all rows (key -1)."""
        mean: dict[int, Float64] = {}
        scale: dict[int, Float64] = {}
        groups = {-1: np.ones(len(x), dtype=bool)}
        groups |= {int(s): stream == s for s in np.unique(stream)}
        for key, rows in groups.items():
            part = x[rows].astype(np.float64)
            seen = np.isfinite(part)
            count = np.maximum(seen.sum(axis=0), 1)
            centre = np.where(seen, part, 0.0).sum(axis=0) / count
            spread = np.where(seen, part - centre, 0.0)
            deviation = np.sqrt((spread**2).sum(axis=0) / count)
            mean[key] = centre
            scale[key] = np.where(deviation > 1e-12, deviation, np.inf)  # constant: z = 0
        return cls(mean, scale)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Standardiser:
        """Read back what :meth:`stored` gave."""
        mean, scale = (
            {int(key): numbers(values) for key, values in stored[name].items()}
            for name in ("mean", "scale")
        )
        return cls(mean, scale)

    def stored(self) -> dict[str, Any]:
        """Return the moments of each stream as JSON types."""
        return {
            "mean": {str(key): spelled(values) for key, values in self.mean.items()},
            "scale": {str(key): spelled(values) for key, values in self.scale.items()},
        }

    def apply(self, x: Float32, stream: Int16) -> Float64:
        """Return z-scores (N, F) in [-3, 3]."""
        out = np.zeros(x.shape, dtype=np.float64)
        for key in np.unique(stream):
            rows = stream == key
            use = int(key) if int(key) in self.mean else -1
            out[rows] = (x[rows].astype(np.float64) - self.mean[use]) / self.scale[use]
        return np.nan_to_num(np.clip(out, -CLIP_Z, CLIP_Z), nan=0.0)


@dataclass(frozen=True, slots=True)
class FoldMatrix:
    """Bins and z-scores of one fold's training rows, shared by arms and seeds.

    ``whole`` holds every training row, ``early`` the older part and ``late`` the
    newest part that decides the number of trees. Rows of ``early`` whose label was
    not yet known when ``late`` begins are left out.
    """

    whole: Any
    early: Any
    late: Any
    early_rows: Int64
    late_rows: Int64
    standardiser: Standardiser
    z: Float64


def inner_split(t_us: Int64, t_end: Int64) -> tuple[Int64, Int64]:
    """Split training rows in time order into an older and a newest part.

    Returns
    -------
    early, late : int64 arrays
        Row numbers; every label of ``early`` is known before ``late`` begins.
    """
    order = np.argsort(t_us, kind="stable")
    n_late = max(1, round(len(order) * INNER_WATCH_SHARE))
    late = np.sort(order[-n_late:])
    early = np.sort(order[:-n_late])
    known = t_end[early] < t_us[late].min()
    return early[known], late


def build(train: View) -> FoldMatrix:
    """Quantise the training rows once for every fit of the fold."""
    import xgboost as xgb

    x = np.ascontiguousarray(train.design.x)
    early, late = inner_split(train.t_us, train.known.t_end)
    options = {"max_bin": SIGNAL.max_bin, "nthread": 1, "missing": np.nan}
    whole = xgb.QuantileDMatrix(x, **options)
    older = xgb.QuantileDMatrix(x[early], **options) if len(early) else None
    newest = xgb.QuantileDMatrix(x[late], ref=older, **options) if older is not None else None
    standardiser = Standardiser.fit(train.design.x, train.stream)
    return FoldMatrix(
        whole, older, newest, early, late, standardiser,
        standardiser.apply(train.design.x, train.stream),
    )  # fmt: skip
