"""From checks to a verdict, in words an honest trader would use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ffm_core.records import CheckResult, Evidence, Verdict, VerdictCheck
from ffm_core.ruler.bootstrap import Estimate
from ffm_core.ruler.judging import (
    SAMPLING,
    Constants,
    arm,
    bounds,
    difference_of,
    in_words,
    mean_of,
)

Decision = Literal["PASS", "FAIL", "INCONCLUSIVE", "REFUSED"]

RULE_EARNS = "the rule earns; the model adds nothing"
_SELECTING = ("naive", "random", "shuffle")
_GROUNDWORK = ("certificate", "sample")
_FAR = 600  # months; beyond fifty years a number would mislead


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
    sentence: str

    def record(self) -> dict[str, object]:
        """Return the ``trigger`` block of a run record."""
        return {
            "mean_r": self.mean.value if self.mean else None,
            "interval": bounds(self.mean) if self.mean else None,
            "entry_difference": self.over_entry.value if self.over_entry else None,
            "entry_interval": bounds(self.over_entry) if self.over_entry else None,
            "sentence": self.sentence,
        }


def trigger_evidence(evidence: Evidence, constants: Constants = SAMPLING) -> TriggerEvidence:
    """Measure taking every decision, against zero and against random bars."""
    everything, random_bars = arm(evidence, "NAIVE"), arm(evidence, "ENTRY")
    if everything is None:
        sentence = "The strategy made no decision in the test months."
        return TriggerEvidence(mean=None, over_entry=None, earns=False, sentence=sentence)
    mean = mean_of(evidence, everything, constants)
    over = difference_of(evidence, everything, random_bars, constants) if random_bars else None
    earns = mean.low > 0 and (over is None or over.low > 0)
    return TriggerEvidence(
        mean=mean, over_entry=over, earns=earns, sentence=_trigger_sentence(mean, over, earns)
    )


def _trigger_sentence(mean: Estimate, over: Estimate | None, earns: bool) -> str:
    text = f"Taking every decision earns {in_words(mean)} after costs"
    if over is not None:
        text += f", {in_words(over)} more than random bars of the same months and hours"
    if earns:
        return text + ": the rule has an edge of its own."
    if mean.low > 0:
        return text + ": a profit, but not one the rule's timing is shown to make."
    return text + ": no edge of the rule is shown."


def decide(
    evidence: Evidence,
    checks: Sequence[VerdictCheck],
    *,
    qualifier: str = "",
    tightening: Sequence[CheckResult] = (),
) -> Verdict:
    """Judge the evidence and say why.

    Parameters
    ----------
    evidence : Evidence
        Tables of one run.
    checks : sequence of VerdictCheck
        The pre-registered set; those of another claim are left out.
    qualifier : str
        Set for a custom or ``classic`` set, or an override: a PASS is then a
        qualified one.
    tightening : sequence of CheckResult
        Results of checks offered by plug-ins. They can turn a PASS into a FAIL or
        an INCONCLUSIVE and do nothing else.

    Returns
    -------
    Verdict
        Broken certificate → REFUSED; any failed check → FAIL; all passed → PASS;
        otherwise INCONCLUSIVE.
    """
    own = tuple(check.judge(evidence) for check in checks if evidence.claim in check.claims)
    decision = _combine(own)
    if decision == "PASS" and tightening:
        decision = _tightened(tightening)
    results = own + tuple(tightening)
    return Verdict(
        decision=decision,
        reasons=tuple(_reasons(decision, evidence, results)),
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
    if "refused" in found:
        return "REFUSED"
    if "fail" in found:
        return "FAIL"
    # A clean certificate over a large sample is no edge: something must have measured one.
    measured = any(r.outcome == "pass" and r.name not in _GROUNDWORK for r in gating)
    return "PASS" if measured and "inconclusive" not in found else "INCONCLUSIVE"


def _tightened(results: Sequence[CheckResult]) -> Decision:
    """Return what plug-in checks leave of a PASS; they cannot refuse a run."""
    found = {result.outcome for result in results if result.gates}
    if found & {"fail", "refused"}:
        return "FAIL"
    return "INCONCLUSIVE" if "inconclusive" in found else "PASS"


def _reasons(decision: Decision, evidence: Evidence, results: Sequence[CheckResult]) -> list[str]:
    if decision == "REFUSED":
        first = next(result for result in results if result.outcome == "refused")
        return [
            "the strategy or a feature reads the future; no figure of this run can be trusted",
            first.reason,
        ]
    reasons = [*_selection_words(decision, evidence, results), _conclusion(decision, evidence)]
    wanted = {"FAIL": ("fail", "refused"), "INCONCLUSIVE": ("inconclusive",), "PASS": ("pass",)}
    reasons += [
        f"{result.name}: {result.reason}"
        for result in results
        if result.gates and result.outcome in wanted[decision] and result.reason
    ]
    if decision == "INCONCLUSIVE":
        reasons.append(_settling(evidence, results))
    return reasons


def _selection_words(
    decision: Decision, evidence: Evidence, results: Sequence[CheckResult]
) -> list[str]:
    """Say what the rule does by itself when the model's choice is not shown to help."""
    missed = [r for r in results if r.name in _SELECTING and r.outcome in ("fail", "inconclusive")]
    if evidence.claim != "selection" or decision == "PASS" or not missed:
        return []
    trigger = trigger_evidence(evidence)
    if not trigger.earns:
        return []
    excluded = any(result.outcome == "fail" for result in missed)
    words = RULE_EARNS if excluded else f"{RULE_EARNS} that these data can show"
    return [words, trigger.sentence]


def _conclusion(decision: Decision, evidence: Evidence) -> str:
    selecting = evidence.claim == "selection"
    months = f"{evidence.n_test_months} test months"
    if decision == "PASS":
        what = (
            "the model picks better than taking everything, random picks and permuted labels"
            if selecting
            else "the strategy's own decisions earn after costs and beat random bars"
        )
        return f"{what} over {months}; the past, not a promise"
    subject = "the model's choice" if selecting else "these decisions"
    if decision == "FAIL":
        return f"do not trade {subject}: an edge worth having is ruled out over {months}"
    return f"no conclusion about {subject}: {months} neither show an edge nor rule one out"


def _settling(evidence: Evidence, results: Sequence[CheckResult]) -> str:
    open_ones = [r for r in results if r.gates and r.outcome == "inconclusive"]
    needs = [r.months_needed for r in open_ones]
    known = [need for need in needs if need is not None]
    if not known or len(known) < len(needs):
        stuck = ", ".join(r.name for r in open_ones if r.months_needed is None)
        return f"more months of the same would not settle: {stuck or 'nothing is being asked'}"
    if max(known) > _FAR:
        return "settling it would take more than 50 years of such data"
    return (
        f"about {max(known):.0f} test months would settle it if the figures stay as they are "
        f"({evidence.n_test_months} so far)"
    )
