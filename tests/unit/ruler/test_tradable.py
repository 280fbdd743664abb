from __future__ import annotations

import numpy as np
import pytest

from ffm_core.records import VOIDS, CheckResult, Verdict, because
from ffm_core.ruler.tradable import TRADABLE, data_voids, held_by_data, untraded


def codes(n: int, **counts: int) -> np.ndarray:
    void = np.zeros(n, np.int8)
    start = 0
    for name, count in counts.items():
        void[start : start + count] = VOIDS.index(name)
        start += count
    return void


def verdict(decision: str) -> Verdict:
    return Verdict(decision=decision, reasons=(because("undecided"),),
                   checks=(CheckResult(name="profit", outcome="pass"),))  # fmt: skip


@pytest.mark.parametrize("decision", ["PASS", "FAIL", "INCONCLUSIVE"])
def test_what_could_not_be_traded_comes_first_and_leaves_no_answer(decision):
    void = codes(1000, hole=21, no_volume=30)
    held = held_by_data(verdict(decision), void)
    assert held.decision == "INCONCLUSIVE"
    assert held.reasons[0] == because(
        "untraded", decisions=1000, share=0.051, void_hole=21, void_no_volume=30
    )
    assert held.checks[-1].name == TRADABLE
    assert held.checks[-1].outcome == "inconclusive"
    assert (because("undecided") in held.reasons) == (decision == "INCONCLUSIVE")


def test_a_few_are_nothing_to_speak_of():
    assert untraded(codes(1000, hole=20, no_volume=30)) is None
    assert held_by_data(verdict("PASS"), codes(1000, hole=50)) == verdict("PASS")
    assert held_by_data(verdict("PASS"), codes(0)) == verdict("PASS")


def test_what_the_decision_itself_makes_void_is_not_the_datas_fault():
    void = codes(100, small_risk=30, roll=20, stop_beyond_open=20, data_end=5, hole=5)
    assert untraded(void) is None
    assert data_voids(void).tolist() == [VOIDS.index("hole")] * 5


def test_a_contract_without_a_name_counts():
    assert untraded(codes(100, contract_unknown=6)).numbers["void_contract_unknown"] == 6


def test_a_refusal_stays_one():
    assert held_by_data(verdict("REFUSED"), codes(100, hole=50)).decision == "REFUSED"
