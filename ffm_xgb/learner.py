"""The learner behind ``--learner xgb`` and its named heads ``xgb:<head>``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ffm_core.container import pack, unpack
from ffm_core.errors import ModelError, UnavailableError
from ffm_core.records import Answer, Plan, View
from ffm_core.types import Float32, Float64
from ffm_xgb.calibrate import Platt, fit_platt
from ffm_xgb.heads import Scorer, blend, fit_linear, fit_trees, scorer_of
from ffm_xgb.matrix import FoldMatrix, build
from ffm_xgb.risk import RiskHead, fit_risk
from ffm_xgb.settings import CLASSIC, SIGNAL
from ffm_xgb.storing import booster_bytes, booster_of
from ffm_xgb.targets import TreeTarget, fit_target_trees, load_target_trees

Head = Literal["xgb", "linear", "blend", "classic"]
DEFAULT_HEAD: Head = "blend"  # the choice and its table: docs/decisions
SCHEMA = "ffm-xgb-heads/1"
_RISK = "risk"  # name of the block that holds the risk head's trees


@dataclass(frozen=True, slots=True)
class FittedHeads:
    """A fitted signal head; where they were asked for, its calibration and a risk head."""

    scorer: Scorer
    platt: Platt | None
    risk: RiskHead | None

    def plan(self, view: View) -> Plan:
        """Score the rows of ``view``."""
        score = self.scorer.score(view)
        return Plan(
            score=score,
            probability=None if self.platt is None else self.platt.apply(score),
            predicted_r=None if self.risk is None else self.risk.predict(view),
        )

    def to_bytes(self) -> bytes:
        """Return the heads without code; :meth:`XGBLearner.load` reads them back."""
        blocks: dict[str, bytes] = {}
        value = {
            "scorer": self.scorer.stored(blocks),
            "platt": None if self.platt is None else self.platt.stored(),
        }
        if self.risk is not None:
            blocks[_RISK] = booster_bytes(self.risk.booster)
        return pack(SCHEMA, value, blocks)


@dataclass(frozen=True, slots=True)
class XGBLearner:
    """Boosted trees, a sparse linear head, or the rank mean of both.

    Parameters
    ----------
    name : str
        What the user types after ``--learner``.
    head : str
        ``xgb`` (depth-2 trees), ``linear`` (L1 logistic), ``blend`` (their rank
        mean) or ``classic`` (two hundred trees of depth four, kept for comparison).
    """

    name: str
    head: Head
    summary: str = ""
    does: ClassVar[Literal["selects"]] = "selects"
    reads_bars: ClassVar[bool] = False

    def prepare(self, train: View) -> FoldMatrix:
        """Quantise and standardise the training rows once per fold.

        Raises
        ------
        UnavailableError
            When xgboost or scikit-learn is not installed.
        """
        _require_libraries()
        return build(train)

    def fit(
        self,
        handle: object,
        train: View,
        validation: View,
        *,
        seed: int,
        answers: Collection[Answer],
    ) -> FittedHeads:
        """Fit the signal head; calibrate it on validation and add the risk head if asked."""
        assert isinstance(handle, FoldMatrix)
        scorer = self._fit_signal(handle, train, seed)
        platt, risk = None, None
        if "probability" in answers:
            platt = fit_platt(scorer.score(validation), validation.known.label)
        if "predicted_r" in answers:
            risk = fit_risk(handle, train.known.peak_r, seed)
        return FittedHeads(scorer, platt, risk)

    def load(self, data: bytes) -> FittedHeads:
        """Read back what :meth:`FittedHeads.to_bytes` gave; it answers the same bits.

        Raises
        ------
        ModelError
            When the bytes were changed, or hold something else.
        UnavailableError
            When xgboost or scikit-learn is not installed.
        """
        _require_libraries()
        value, blocks = unpack(data, SCHEMA)
        try:
            return _heads_of(value, blocks)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"a stored {SCHEMA} lacks {error}", fix="fit it again") from error

    def fit_target(
        self,
        x: Float32,
        y: Float64,
        *,
        kind: Literal["regression", "binary"],
        x_validation: Float32 | None = None,
        y_validation: Float64 | None = None,
        weight: Float64 | None = None,
        seed: int = 0,
        rounds: int | None = None,
    ) -> TreeTarget:
        """Fit trees to a target; every head of this learner fits targets with trees."""
        _require_libraries()
        return fit_target_trees(
            x, y, kind=kind, x_validation=x_validation, y_validation=y_validation,
            weight=weight, seed=seed, rounds=rounds,
        )  # fmt: skip

    def load_target(self, data: bytes) -> TreeTarget:
        """Read back a fitted target."""
        _require_libraries()
        return load_target_trees(data)

    def _fit_signal(self, matrix: FoldMatrix, train: View, seed: int) -> Scorer:
        label = train.known.label
        if self.head == "xgb":
            return fit_trees(matrix, label, SIGNAL, seed)
        if self.head == "classic":
            return fit_trees(matrix, label, CLASSIC, seed)
        if self.head == "linear":
            return fit_linear(matrix, label)
        trees = fit_trees(matrix, label, SIGNAL, seed)
        return blend((trees, fit_linear(matrix, label)), train)


def _heads_of(value: Any, blocks: dict[str, bytes]) -> FittedHeads:
    platt = None if value["platt"] is None else Platt(*value["platt"])
    risk = RiskHead(booster_of(blocks[_RISK])) if _RISK in blocks else None
    return FittedHeads(scorer_of(value["scorer"], blocks), platt, risk)


def _require_libraries() -> None:
    try:
        import sklearn  # noqa: F401
        import xgboost  # noqa: F401
    except ImportError as err:
        raise UnavailableError(
            f"the boosted-tree heads need {err.name}", fix='pip install "ffm-core[xgb]"'
        ) from err


LEARNERS = (
    XGBLearner("xgb", DEFAULT_HEAD, f"the default head ({DEFAULT_HEAD})"),
    XGBLearner("xgb:xgb", "xgb", "depth-2 trees, their number from inside train"),
    XGBLearner("xgb:linear", "linear", "L1 logistic regression on clipped z-scores"),
    XGBLearner("xgb:blend", "blend", "rank mean of trees and linear"),
    XGBLearner("xgb:classic", "classic", "200 trees of depth 4, for comparison only"),
)
