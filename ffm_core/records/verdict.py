"""What a verdict is made of: the certificate, the evidence, the checks and the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ffm_core.records.trades import Trades
from ffm_core.types import Float64, Int32

Claim: TypeAlias = Literal["selection", "trigger"]
Outcome: TypeAlias = Literal["pass", "fail", "inconclusive", "refused", "info", "n/a"]
TestColumn: TypeAlias = Literal["probability", "predicted_r", "peak_r", "r_dynamic"]
Luck: TypeAlias = tuple[float, float, float]  # trials, variance of their Sharpe, effective number
MAX_BOUND = 0.05  # share of rows: a certificate that could miss more proves too little
SubjectKind: TypeAlias = Literal[
    "labeler", "features", "exit", "learner", "embedder", "target", "fold", "function"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something was decided: what it is, and the numbers and names that belong to it.

    Reports make the words. Nothing reads a sentence to learn what happened.

    Parameters
    ----------
    kind : str
        What is meant, as listed in the reference of reasons.
    numbers, names : mapping
        What the words are about; not finite where there is no such number.
    """

    kind: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.kind, frozenset(self.numbers.items()), frozenset(self.names.items())))


def because(kind: str, /, **values: float | str) -> Reason:
    """Return a reason; texts among the values are its names, the rest its numbers."""
    names = {key: value for key, value in values.items() if isinstance(value, str)}
    numbers = {
        key: value if isinstance(value, int) else float(value)
        for key, value in values.items()
        if not isinstance(value, str)
    }
    return Reason(kind=kind, numbers=numbers, names=names)


def stated(text: str) -> Reason:
    """Return a reason in a plug-in's own words; reports show them as they are."""
    return Reason(kind="stated", names={"text": text})


def reason_of(stored: object) -> Reason | None:
    """Return a reason of a record; a sentence of an older one is taken as it stands."""
    if isinstance(stored, Reason):
        return stored
    if isinstance(stored, Mapping):
        return Reason(
            kind=str(stored.get("kind", "")),
            numbers=dict(stored.get("numbers") or {}),
            names=dict(stored.get("names") or {}),
        )
    return stated(str(stored)) if stored else None


@dataclass(frozen=True, slots=True)
class Examined:
    """What the falsifier examined.

    Parameters
    ----------
    kind : str
        ``labeler``, ``features``, ``exit``, ``learner``, ``embedder``, ``target``, ``fold`` or
        ``function``.
    name : str
        Its own name; a fold's number, empty for all folds.
    stream : str
        ``instrument/timeframe``, empty where it belongs to none.
    """

    kind: SubjectKind
    name: str
    stream: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One proof of look-ahead or impurity.

    Parameters
    ----------
    check : str
        The detector: ``purity``, ``prefix``, ``mutation``, ``history``, ``stream``, …
    reason : Reason
        What was seen; the first later bar and its stamp are ``later`` and ``later_stamp``.
    repair : Reason, optional
        The likely cause and what to do about it.
    line : str
        ``file.py:42: source``, where it could be found out.
    """

    subject: Examined
    check: str
    column: str
    bar: int
    stamp: str
    first_future_bar: int | None
    reason: Reason
    repair: Reason | None = None
    line: str = ""

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Failure:
        """Return a failure as it was stored; older ones said ``message`` and ``fix`` in words."""
        known = dict(stored)
        reason = reason_of(known.pop("message", "")) or reason_of(known["reason"])
        repair = reason_of(known.pop("fix", "")) or reason_of(known.get("repair"))
        assert reason is not None
        examined = Examined(**known["subject"])
        return cls(**{**known, "subject": examined, "reason": reason, "repair": repair})


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What the falsifier did and found, over all subjects of a run.

    Parameters
    ----------
    cuts, rows_compared : int
        Cuts made, and rows compared before them.
    detection_bound : float
        Smallest share of bars at which a leak would have shown with 99 %
        probability; 0 when every bar was proven.
    sampled : mapping of str to int
        Cuts by what they lie at (``decision``, ``session``, ``roll``, ``clock``,
        ``1h``, ``4h``, ``1d``, ``random``); one cut may count under several.
    proven_bars : int
        Bars at which a stream and its batch agreed, over all subjects.
    carries : tuple of Reason
        Tables, texts and files that plug-ins bring along and their answers can use.
    decision_bound : float, optional
        Smallest share of decisions at which a leak in their rows would have shown with
        99 % probability; 0 when the row of every decision was proven. None without any.
    """

    status: Literal["clean", "broken"]
    subjects: tuple[Examined, ...]
    cuts: int
    rows_compared: int
    detection_bound: float
    failures: tuple[Failure, ...] = ()
    sampled: Mapping[str, int] = field(default_factory=dict)
    proven_bars: int = 0
    carries: tuple[Reason, ...] = ()
    decision_bound: float | None = None

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Certificate:
        """Return the certificate that ``dataclasses.asdict`` and JSON made ``stored`` of."""
        failures = (Failure.read(failure) for failure in stored["failures"])
        subjects = (Examined(**subject) for subject in stored["subjects"])
        carries = (r for one in stored.get("carries") or () if (r := reason_of(one)) is not None)
        return cls(**{**stored, "failures": tuple(failures), "subjects": tuple(subjects),
                      "carries": tuple(carries)})  # fmt: skip

    @property
    def word(self) -> str:
        """``clean``, ``broken``, or ``unproven``: clean, but too little was shown to say so."""
        unproven = self.status == "clean" and self.detection_bound > MAX_BOUND
        return "unproven" if unproven else self.status

    @property
    def sentence(self) -> str:
        """What was tried, and the smallest leak that would have shown, in one sentence."""
        places = ", ".join(f"{count:,} {name}" for name, count in self.sampled.items() if count)
        tried = f"{self.cuts:,} cuts" + (f" ({places})" if places else "")
        if self.proven_bars:
            tried += f" and a streaming pass over {self.proven_bars:,} bars"
        if self.detection_bound == 0.0:
            return f"{tried}; every bar was proven"
        seen = (
            f"{tried}; a leak on {self.detection_bound:.2%} of the bars or more would have "
            "shown with 99 % probability"
        )
        if self.decision_bound is None:
            return seen
        if self.decision_bound == 0.0:
            return f"{seen}; the row of every decision was proven"
        return f"{seen}, and one on {self.decision_bound:.2%} of the decisions"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialContext:
    """What the ledger knew when this trial was first opened (frozen)."""

    n_trials: int
    sharpe_variance: float  # variance of per-day Sharpe over the lineage's trials
    effective_n: float
    ledger_since: str
    earlier: tuple[Luck, ...] = ()  # trials, variance, effective number before the last ones


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleResult:
    """One permutation test: REAL of one seed against the permuted refits."""

    real: float
    draws: Float64  # mean R per permutation actually run, in index order
    planned: int
    stopped: bool  # p ≤ threshold became unreachable; p_value is then a lower bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a verdict check may look at; tables, not where they came from."""

    claim: Claim
    certificate: Certificate
    days: Int32  # (D,) every trading day of the test folds, empty ones too
    n_test_months: int
    trades: Mapping[str, Trades]  # REAL, NAIVE, ENTRY, extra controls
    take_rate: float
    random_means: Float64  # mean R per RANDOM draw
    random_daily: Float64 | None = None  # (D,) net R by day, averaged over the RANDOM draws
    shuffle: Mapping[str, ShuffleResult]  # "full", "block"; empty without a learner
    validation_mean_r: float  # REAL's rows at its operating point on validation, NaN if none
    validation_trades: Trades | None
    trial: TrialContext
    streams: tuple[str, ...]
    currencies: tuple[str, ...]
    month_days: Int32  # (D,) month number (12·year + month − 1) of each day
    settings: Mapping[str, float]  # the constants of the check set
    extra: Mapping[str, Float64] = field(default_factory=dict)  # what checks read, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One line of the verdict."""

    name: str
    outcome: Outcome
    value: float | None = None
    interval: tuple[float, float] | None = None
    threshold: float | None = None
    effect: float | None = None  # asked for, in the unit of value
    power: float | None = None
    minimum_detectable: float | None = None
    months_needed: float | None = None
    gates: bool = True
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictCheck:
    """A pre-registered check; from a plug-in it can only tighten.

    Parameters
    ----------
    reads : tuple of str
        Columns of the test decisions that it needs beside the trades. They lie in
        ``evidence.extra`` under their names, float64 ``(N,)`` in one order: ``probability``
        is the calibrated chance of a net gain, ``predicted_r`` and ``peak_r`` the peak
        excursion predicted and realised, ``r_dynamic`` net R with the predicted target.
        A column that the learner cannot give is absent.
    """

    name: str
    judge: Callable[[Evidence], CheckResult]
    claims: tuple[Claim, ...] = ("selection", "trigger")
    constants: Mapping[str, float] = field(default_factory=dict)
    summary: str = ""
    reads: tuple[TestColumn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSet:
    """Checks that judge in place of ``strict`` when a run names them; a PASS is then qualified."""

    name: str
    checks: tuple[VerdictCheck, ...]
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer and its reasons.

    Parameters
    ----------
    reasons : tuple of Reason
        The first says the most. One of kind ``check`` refers to the check of that name,
        one of kind ``failure`` to a failure of the certificate, by its place.
    """

    decision: Literal["PASS", "FAIL", "INCONCLUSIVE", "REFUSED"]
    reasons: tuple[Reason, ...]
    qualifier: str = ""
    checks: tuple[CheckResult, ...] = ()


__all__ = [
    "Certificate",
    "CheckResult",
    "CheckSet",
    "Claim",
    "Evidence",
    "Examined",
    "Failure",
    "Luck",
    "Outcome",
    "Reason",
    "ShuffleResult",
    "SubjectKind",
    "TestColumn",
    "TrialContext",
    "Verdict",
    "VerdictCheck",
    "because",
    "reason_of",
    "stated",
]
