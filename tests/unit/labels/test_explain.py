from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from ffm_core.errors import UsageError
from ffm_core.labels.explain import explain
from ffm_core.labels.outcomes import outcomes
from ffm_core.labels.policies import ATR_TRAIL, FIXED_RR
from ffm_core.records import REASONS, VOIDS, Decisions


@pytest.fixture
def judged(wave, es):
    bars = replace(wave, instrument=es)
    bar = np.append(np.arange(30, 1460, 37), 1497)
    side = np.where(np.arange(len(bar)) % 2, 1, -1)
    rows = Decisions(bar=bar, side=side, risk=np.full(len(bar), 6.0))
    return bars, rows, outcomes(bars, rows, FIXED_RR, horizon_bars=60)


def evaluate(line):
    """Recompute ``a − b = c`` as printed and return both sides."""
    left, right = line.split(maxsplit=1)[1].split(" = ")
    shown = float(re.match(r"[+-]?[\d.]+", right)[0])
    return eval(left.replace("−", "-").replace("×", "*")), shown


def test_every_printed_sum_is_right(judged):
    bars, rows, found = judged
    checked = 0
    for row in np.flatnonzero(found.valid):
        for line in explain(bars, rows, found, int(row), FIXED_RR):
            if line.startswith(("stop", "target", "gross", "net")):
                computed, shown = evaluate(line)
                assert computed == pytest.approx(shown, abs=5e-6)
                checked += 1
    assert checked == 4 * found.valid.sum() > 100


def test_the_deciding_bar_and_the_costs_are_named(judged):
    bars, rows, found = judged
    row = int(np.flatnonzero(found.valid)[0])
    lines = explain(bars, rows, found, row, FIXED_RR)
    deciding = next(line for line in lines if "←" in line)
    assert deciding.split()[1] == str(found.exit_bar[row])
    assert f"← {REASONS[found.reason[row]]}:" in deciding
    text = "\n".join(lines)
    assert "= 0.090000 points" in text
    assert "slippage 2 × 1 ticks × 0.25 = 0.500000 points" in text
    assert f"known at the close of bar {rows.bar[row]}" in lines[0]


def test_a_void_row_says_why_and_shows_no_result(judged):
    bars, rows, found = judged
    row = int(np.flatnonzero(found.void_reason == VOIDS.index("data_end"))[0])
    lines = explain(bars, rows, found, row, FIXED_RR)
    assert lines[-1].startswith("void     data_end: the data stop")
    assert not any(line.startswith(("gross", "net", "label")) for line in lines)


def test_a_row_without_an_entry_is_still_explained(wave):
    rows = Decisions(bar=np.array([100, 200, 1499]), side=np.array([1, 1, 1]),
                     stop_price=np.array([9000.0, 5000.0, 4000.0]))  # fmt: skip
    found = outcomes(wave, rows, FIXED_RR, horizon_bars=10)
    wrong = explain(wave, rows, found, 0, FIXED_RR)
    assert "stop at 9000" in wrong[1]
    assert "stop_beyond_open" in wrong[-1]
    last = explain(wave, rows, found, 2, FIXED_RR)
    assert len(last) == 2
    assert "no_next_bar" in last[-1]


def test_a_trail_shows_its_settings_instead_of_a_target(wave):
    rows = Decisions(bar=np.array([99]), side=np.array([-1]), risk=np.array([4.0]))
    found = outcomes(wave, rows, ATR_TRAIL, {"trail_atr": 1.5}, horizon_bars=130)
    text = "\n".join(explain(wave, rows, found, 0, ATR_TRAIL, {"trail_atr": 1.5}))
    assert "atr_trail: trail_atr 1.5, activate_r 1.0; no fixed target" in text
    assert "target " not in text


@pytest.mark.parametrize("row", [-1, 400])
def test_a_row_that_is_not_there_is_refused(judged, row):
    bars, rows, found = judged
    with pytest.raises(UsageError, match=f"no decision {row} on ES/5m"):
        explain(bars, rows, found, row, FIXED_RR)
