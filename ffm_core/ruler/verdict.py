"""From checks to a verdict and the reasons for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from ffm_core.records import (
    Certificate,
    CheckResult,
    Evidence,
    Reason,
    Verdict,
    VerdictCheck,
    because,
)
from ffm_core.ruler.bootstrap import Estimate
from ffm_core.ruler.intervals import SAMPLING
from ffm_core.ruler.judging import (
    Constants,
    arm,
    bounds,
    difference_of,
    estimated,
    excludes,
    mean_of,
)

Decision = Literal["PASS", "FAIL", "INCONCLUSIVE", "REFUSED"]

_SELECTING = ("naive", "random", "shuffle")
_GROUNDWORK = ("certificate", "sample")
_HARMLESS = ("pass", "info", "n/a")
_FAILED = ("fail", "refused")  # only the certificate refuses a run; elsewhere it is a failure
# What must have passed before it is said that a claim holds, or that every check of FFM did.
_CARRIES = {"selection": ("profit", *_SELECTING), "trigger": ("profit", "entry")}
_FAR = 600  # months; beyond fifty years a number would mislead
_NAMED = 5  # failures of a broken certificate that are reasons by themselves
# Failures that need not be look-ahead.
_UNKEPT = ("access", "budget", "determinism", "history", "purity", "stored", "stream", "values")
UNSEEN = "unseen"  # the check that holds a verdict back where a model may have seen its months


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerEvidence:
    """What the strategy's own decisions do when all of them are taken.

    ``mean`` and ``over_entry`` are None where the arm is empty or missing.
    ``earns`` is True when the mean is above zero and, where random entry bars
    exist, above theirs too, both at the lower 95 % bound.
    """

    mean: Estimate | None
    over_entry: Estimate | None
    earns: bool

    @property
    def reason(self) -> Reason:
        """What came of it."""
        if self.mean is None:
            return because("no_decision")
        numbers = estimated("mean", self.mean)
        if self.over_entry is not None:
            numbers |= estimated("over", self.over_entry)
        if self.earns:
            return because("rule_earns", **numbers)
        return because("rule_drifts" if self.mean.low > 0 else "rule_flat", **numbers)

    def record(self) -> dict[str, object]:
        """Return the ``trigger`` block of a run record."""
        return {
            "mean_r": self.mean.value if self.mean else None,
            "interval": bounds(self.mean) if self.mean else None,
            "entry_difference": self.over_entry.value if self.over_entry else None,
            "entry_interval": bounds(self.over_entry) if self.over_entry else None,
            "reason": asdict(self.reason),
        }


def trigger_evidence(evidence: Evidence, constants: Constants = SAMPLING) -> TriggerEvidence:
    """Measure taking every decision, against zero and against random bars."""
    everything, random_bars = arm(evidence, "NAIVE"), arm(evidence, "ENTRY")
    if everything is None:
        return TriggerEvidence(mean=None, over_entry=None, earns=False)
    mean = mean_of(evidence, everything, constants)
    over = difference_of(evidence, everything, random_bars, constants) if random_bars else None
    earns = mean.low > 0 and (over is None or over.low > 0)
    return TriggerEvidence(mean=mean, over_entry=over, earns=earns)


def random_entries(evidence: Evidence, constants: Constants = SAMPLING) -> Estimate | None:
    """Return what random bars earn under the run's exits, where that is shown to be above zero.

    Costs are charged. No entry has an edge there: the market drifted, or the exit knows more
    than a trader could. What is left of the edge, the ``entry`` check decides.
    """
    random_bars = arm(evidence, "ENTRY")
    mean = None if random_bars is None else mean_of(evidence, random_bars, constants)
    return mean if mean is not None and mean.low > 0 else None


def decide(
    evidence: Evidence,
    checks: Sequence[VerdictCheck],
    *,
    qualifier: str = "",
    tightening: Sequence[CheckResult] = (),
) -> Verdict:
    """Judge the evidence and give the reasons.

    Parameters
    ----------
    evidence : Evidence
        Tables of one run.
    checks : sequence of VerdictCheck
        The pre-registered set; those of another claim are left out, but ``entry`` where
        random entries earn: it then judges, and gates, every claim.
    qualifier : str
        Set for any checks but ``strict``, or an override: a PASS is then a qualified one.
    tightening : sequence of CheckResult
        Results of checks offered by plug-ins. They can turn a PASS into a FAIL or
        an INCONCLUSIVE and do nothing else.

    Returns
    -------
    Verdict
        Broken certificate → REFUSED; any failed check → FAIL; all passed → PASS;
        otherwise INCONCLUSIVE.
    """
    free = random_entries(evidence)
    own = tuple(
        check.judge(evidence)
        for check in checks
        if evidence.claim in check.claims or (free is not None and check.name == "entry")
    )
    decision = _combine(own)
    if decision == "PASS" and tightening:
        decision = _tightened(tightening)
    results = own + tuple(tightening)
    return Verdict(
        decision=decision,
        reasons=tuple(_reasons(decision, evidence, own, tightening, free)),
        qualifier=qualifier,
        checks=results,
    )


def months_needed(verdict: Verdict) -> float | None:
    """Months of test data that would settle an INCONCLUSIVE verdict, None if unknown.

    Every open question must be settled, so the longest counts; one that no
    amount of data settles leaves the answer unknown.
    """
    if verdict.decision != "INCONCLUSIVE":
        return None
    needs = [r.months_needed for r in verdict.checks if r.gates and r.outcome == "inconclusive"]
    known = [need for need in needs if need is not None]
    return max(known) if known and len(known) == len(needs) else None


def _combine(results: Sequence[CheckResult]) -> Decision:
    gating = [result for result in results if result.gates]
    found = {result.outcome for result in gating}
    if any(r.outcome == "refused" and r.name == "certificate" for r in gating):
        return "REFUSED"
    if found.intersection(_FAILED):
        return "FAIL"
    # A clean certificate over a large sample is no edge: something must have measured one.
    measured = any(r.outcome == "pass" and r.name not in _GROUNDWORK for r in gating)
    return "PASS" if measured and "inconclusive" not in found else "INCONCLUSIVE"


def _tightened(results: Sequence[CheckResult]) -> Decision:
    """Return what plug-in checks leave of a PASS; they cannot refuse a run."""
    found = {result.outcome for result in results if result.gates}
    if found.intersection(_FAILED):
        return "FAIL"
    return "INCONCLUSIVE" if "inconclusive" in found else "PASS"


def refused(certificate: Certificate) -> Verdict:
    """Return the verdict on what the falsifier found at fault; nothing else is judged."""
    check = CheckResult(
        name="certificate", outcome="refused", value=float(len(certificate.failures)),
        threshold=0.0, reason=because("failures_found", count=len(certificate.failures)),
    )  # fmt: skip
    return Verdict(decision="REFUSED", reasons=refusal(certificate), checks=(check,))


def refusal(certificate: Certificate) -> tuple[Reason, ...]:
    """Return why a broken certificate refuses a run: the kind of fault, and the first failures."""
    named = len(certificate.failures[:_NAMED])
    found = tuple(because("failure", place=place) for place in range(named))
    return (because(f"refused_{_fault(certificate)}"), *found)


def _fault(certificate: Certificate) -> str:
    if not certificate.failures:
        return "look_ahead"
    first = certificate.failures[0]
    kind = first.subject.kind
    if first.check == "bytes":
        return "bytes"
    if kind in ("exit", "learner", "fold"):
        return kind
    if first.check in _UNKEPT:
        return "contract"
    return "embedder" if kind == "embedder" else "look_ahead"


def held_back(verdict: Verdict, overlaps: Sequence[Reason], *, accepted: bool) -> Verdict:
    """Return the verdict that is left when a model may have seen the test months.

    Neither a PASS nor a FAIL can rest on them then: it is INCONCLUSIVE, unless the overlap
    was accepted, which is said as a reason and qualifies a PASS.
    """
    if not overlaps or verdict.decision == "REFUSED":
        return verdict
    if accepted:
        told = (because("overlap_accepted"), *overlaps)
        return replace(verdict, reasons=(*told, *verdict.reasons))
    check = CheckResult(
        name=UNSEEN, outcome="inconclusive", value=float(len(overlaps)), threshold=0.0,
        reason=overlaps[0],
    )  # fmt: skip
    kept = verdict.reasons if verdict.decision == "INCONCLUSIVE" else ()
    return replace(
        verdict,
        decision="INCONCLUSIVE",
        reasons=(*overlaps, because("overlap_fix"), *kept),
        checks=(*verdict.checks, check),
    )


def unsteady(verdict: Verdict) -> Verdict:
    """Return the verdict that is left when runs of one trial found different results."""
    if verdict.decision == "REFUSED":
        return verdict
    kept = verdict.reasons if verdict.decision == "INCONCLUSIVE" else ()
    reasons = (because("not_deterministic"), *kept)
    return replace(verdict, decision="INCONCLUSIVE", reasons=reasons)


def _reasons(
    decision: Decision,
    evidence: Evidence,
    own: Sequence[CheckResult],
    tightening: Sequence[CheckResult],
    free: Estimate | None,
) -> list[Reason]:
    if decision == "REFUSED":
        return list(refusal(evidence.certificate))
    results = (*own, *tightening)
    told = () if free is None else (because("random_entries_earn", **estimated("mean", free)),)
    reasons = [*told, *_selection(decision, evidence, results)]
    reasons.append(_conclusion(decision, evidence, own, tightening))
    wanted = {"FAIL": _FAILED, "INCONCLUSIVE": ("inconclusive",), "PASS": ("pass",)}[decision]
    told_of = [r for r in results if r.gates and r.outcome in wanted and r.reason is not None]
    reasons += [because("check", check=result.name) for result in told_of]
    broken = [r for r in tightening if r.gates and r.outcome in _FAILED and r not in told_of]
    if broken and decision == "INCONCLUSIVE":
        reasons.append(because("house_rule_too", **_listed(r.name for r in broken)))
    reasons += [because("check", check=result.name) for result in broken]
    if decision == "INCONCLUSIVE":
        reasons.append(_settling(evidence, results))
    return reasons


def _selection(
    decision: Decision, evidence: Evidence, results: Sequence[CheckResult]
) -> list[Reason]:
    """Say what the rule does by itself when the model's choice is not shown to help."""
    missed = [r for r in results if r.name in _SELECTING and r.outcome in ("fail", "inconclusive")]
    if evidence.claim != "selection" or decision == "PASS" or not missed:
        return []
    trigger = trigger_evidence(evidence)
    if not trigger.earns:
        return []
    excluded = any(excludes(result) for result in missed)
    return [because("model_adds_nothing" if excluded else "model_not_shown"), trigger.reason]


def _conclusion(
    decision: Decision,
    evidence: Evidence,
    own: Sequence[CheckResult],
    tightening: Sequence[CheckResult],
) -> Reason:
    told = {"months": evidence.n_test_months, "claim": evidence.claim}
    passed = [r.name for r in own if r.gates and r.outcome == "pass"]
    carried = set(_CARRIES[evidence.claim]) <= set(passed)
    if decision == "PASS":
        if carried:
            return because(f"pass_{evidence.claim}", **told)
        return because("pass_set", months=evidence.n_test_months, **_listed(passed))
    # When only a plug-in's rule stands in the way, that is what is said.
    if _combine(own) == "PASS":
        stopped = [r.name for r in tightening if r.gates and r.outcome not in _HARMLESS]
        kind = "house_rule_failed" if decision == "FAIL" else "house_rule_open"
        return because(kind, whose="FFM" if carried else "the set", **_listed(stopped))
    if decision == "FAIL":
        return _on_failed([r for r in own if r.gates and r.outcome in _FAILED], told)
    return because("unsettled" if "profit" in passed else "undecided", **told)


def _on_failed(failed: Sequence[CheckResult], told: Mapping[str, float | str]) -> Reason:
    """Say what the failed checks exclude; that they failed, where they exclude nothing."""
    excluded = [result.name for result in failed if excludes(result)]
    if "profit" in excluded:
        return because("ruled_out", **told)
    if any(name in _SELECTING for name in excluded):
        return because("choice_ruled_out", **told)
    if "entry" in excluded:
        return because("timing_ruled_out", **told)
    return because("checks_failed", **told, **_listed(result.name for result in failed))


def _settling(evidence: Evidence, results: Sequence[CheckResult]) -> Reason:
    open_ones = [r for r in results if r.gates and r.outcome == "inconclusive"]
    needs = [r.months_needed for r in open_ones]
    known = [need for need in needs if need is not None]
    if not open_ones:
        return because("nothing_measured")
    if len(known) < len(needs):
        stuck = [r.name for r in open_ones if r.months_needed is None]
        return because("months_settle_nothing", **_listed(stuck))
    if max(known) > _FAR:
        return because("over_50_years")
    return because("months_to_settle", months=max(known), so_far=evidence.n_test_months)


def _listed(names: Iterable[str]) -> dict[str, str]:
    """Return names of checks as the names of a reason, in order."""
    return {str(place): name for place, name in enumerate(names, start=1)}
