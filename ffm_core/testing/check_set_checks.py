"""The contract of check sets, one named check at a time."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from typing import get_args

import numpy as np

from ffm_core.records import (
    Certificate,
    CheckResult,
    CheckSet,
    Claim,
    Evidence,
    Examined,
    Outcome,
    ShuffleResult,
    TestColumn,
    Trades,
    TrialContext,
    VerdictCheck,
)
from ffm_core.testing.checks import Check
from ffm_core.testing.report import CheckFailed
from ffm_core.testing.subject import UnderTest
from ffm_core.types import Bool, Float64, Int32

_DAYS, _PER_DAY, _MONTHS = 240, 6, 12


class CheckSetUnderTest(UnderTest):
    """One set of checks under check, and evidence made from numbers alone.

    Parameters
    ----------
    check_set : CheckSet
        The set.
    """

    def __init__(self, check_set: CheckSet) -> None:
        self.check_set = check_set
        self.name = check_set.name

    @cached_property
    def evidence(self) -> Mapping[str, Evidence]:
        """Evidence of a run with a learner, of one without, and of one that took nothing."""
        return all_evidence()

    @property
    def certificate(self) -> Certificate:
        """The certificate in its evidence."""
        return next(iter(self.evidence.values())).certificate

    def asked(self) -> Iterator[tuple[str, VerdictCheck, Evidence, CheckResult]]:
        """Yield what every check answers to every evidence of its claims."""
        for what, evidence in self.evidence.items():
            for check in self.check_set.checks:
                if evidence.claim in check.claims:
                    yield what, check, evidence, self.call(check.judge, evidence)


def all_evidence() -> dict[str, Evidence]:
    """Return made-up evidence of several kinds of run, the same on every call."""
    return {
        "a run with a learner": made_evidence("selection", learner=True),
        "a run without a learner": made_evidence("trigger", learner=False),
        "a run that took no trade": made_evidence("selection", learner=True, taken=False),
    }


def made_evidence(claim: Claim, *, learner: bool, taken: bool = True) -> Evidence:
    """Return evidence of made-up trades; the same on every call."""
    rng = np.random.default_rng(7)
    days = np.arange(19_000, 19_000 + _DAYS, dtype=np.int32)
    day = np.repeat(days, _PER_DAY)
    r = np.where(rng.random(len(day)) < 0.3, 3.0, -1.0)
    kept = rng.random(len(day)) < 0.5 if learner else np.ones(len(day), bool)
    real = _trades(day, r, kept & taken)
    test = ShuffleResult(real=0.2, draws=rng.normal(0.2, 0.1, 39), planned=39, stopped=False)
    columns = {
        "probability": rng.random(len(day)), "predicted_r": rng.gamma(2.0, 1.0, len(day)),
        "peak_r": rng.gamma(2.0, 1.0, len(day)), "r_dynamic": r,
    }  # fmt: skip
    return Evidence(
        claim=claim,
        certificate=Certificate(
            status="clean", subjects=(Examined("labeler", "made-up", "ES/5m"),), cuts=1_000,
            rows_compared=2_000, detection_bound=0.005,
        ),
        days=days, n_test_months=_MONTHS,
        trades={"REAL": real, "NAIVE": _trades(day, r, r == r), "ENTRY": _trades(day, -r, r == r)},
        take_rate=float((kept & taken).mean()), random_means=rng.normal(0.2, 0.1, 200),
        shuffle={"full": test, "block": test} if learner else {},
        validation_mean_r=0.2 if learner else float("nan"),
        validation_trades=_trades(day, r, kept) if learner else None,
        trial=TrialContext(n_trials=1, sharpe_variance=0.0, effective_n=1.0, ledger_since=""),
        streams=("ES/5m",), currencies=("USD",),
        month_days=(24_000 + np.arange(_DAYS) * _MONTHS // _DAYS).astype(np.int32),
        settings={"seed": 0.0}, extra=columns if learner else {},
    )  # fmt: skip


def _trades(day: Int32, r: Float64, kept: Bool) -> Trades:
    """Return the trades that were kept, one after the other."""
    n, t = int(kept.sum()), day[kept].astype(np.int64) * 86_400_000_000
    r, ones = r[kept], np.ones(n)
    return Trades(
        row=np.flatnonzero(kept), day=day[kept], stream=np.zeros(n, np.int16),
        side=np.ones(n, np.int8), quantity=ones, t_entry=t, t_exit=t + 60_000_000,
        entry_price=100.0 * ones, exit_price=100.0 + r, risk=ones, point_value=50.0 * ones,
        currency=np.full(n, "USD"), r_net=r, r_gross=r + 0.05, worst_r=np.minimum(r, 0.0),
        best_r=np.maximum(r, 0.0), weight=ones,
    )  # fmt: skip


def set_is_sound(subject: CheckSetUnderTest) -> None:
    """Hold checks with names of their own, finite constants, a claim, and known columns."""
    checks = subject.check_set.checks
    names = [check.name for check in checks]
    if not names or len(set(names)) < len(names):
        raise CheckFailed(f"its checks are {names}", fix="give every check a name of its own")
    for check in checks:
        if not all(np.isfinite(value) for value in check.constants.values()):
            raise CheckFailed(
                f"{check.name} has the constants {dict(check.constants)}",
                fix="constants are hashed before the run and must be finite",
            )
        for what, given, known in (
            ("claims", check.claims, get_args(Claim)),
            ("reads", check.reads, get_args(TestColumn)),
        ):
            if not set(given) <= set(known) or (what == "claims" and not given):
                raise CheckFailed(
                    f"{what} of {check.name} is {given}", fix=f"choose from {', '.join(known)}"
                )


def answers_in_form(subject: CheckSetUnderTest) -> None:
    """Return a ``CheckResult`` of the check's own name, whatever the evidence lacks."""
    for what, check, _, answer in subject.asked():
        if not isinstance(answer, CheckResult):
            raise CheckFailed(
                f"{check.name} returned {type(answer).__name__} of {what}",
                fix="return ffm_core.records.CheckResult(name=..., outcome=...)",
            )
        if answer.name != check.name or answer.outcome not in get_args(Outcome):
            raise CheckFailed(
                f"{check.name} returned the outcome {answer.outcome!r} under {answer.name!r}",
                fix=f"name it {check.name!r}; outcomes are {', '.join(get_args(Outcome))}",
            )


def calls_agree(subject: CheckSetUnderTest) -> None:
    """Answer the same evidence in the same way, and leave it alone."""
    untouched = {what: pickle.dumps(asdict(one)) for what, one in all_evidence().items()}
    for what, check, evidence, answer in subject.asked():
        if repr(subject.call(check.judge, evidence)) != repr(answer):
            raise CheckFailed(
                f"{check.name} answers the same evidence of {what} in two ways",
                fix="draw from evidence.settings['seed'], and keep nothing between calls",
            )
        if pickle.dumps(asdict(evidence)) != untouched[what]:
            raise CheckFailed(f"{check.name} changes its evidence", fix="work on a copy")


def columns_are_declared(subject: CheckSetUnderTest) -> None:
    """Read no column of the test decisions that ``reads`` does not name."""
    for what, check, evidence, answer in subject.asked():
        reads = {str(name) for name in check.reads}
        own = {name: column for name, column in evidence.extra.items() if name in reads}
        if repr(subject.call(check.judge, replace(evidence, extra=own))) != repr(answer):
            raise CheckFailed(
                f"{check.name} reads more of {what} than {check.reads}",
                fix="name every column of evidence.extra in reads",
            )


_FORM = ("set_is_sound", "answers_in_form")
_LIST: tuple[tuple[Callable[[CheckSetUnderTest], None], tuple[str, ...]], ...] = (
    (set_is_sound, ()),
    (answers_in_form, ("set_is_sound",)),
    (calls_agree, _FORM),
    (columns_are_declared, (*_FORM, "calls_agree")),
)

CHECK_SET_CHECKS: tuple[Check, ...] = tuple(
    Check(run.__name__, run, needs, (run.__doc__ or "").strip()) for run, needs in _LIST
)
