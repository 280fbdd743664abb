"""What stands beside the verdict."""

from __future__ import annotations

from ffm_core.report import remarks
from helpers.reading import plain


def test_limits_name_what_applies_to_this_run(runs):
    result = runs.full()["result"]
    text = plain(" ".join(remarks.limits(result)))
    assert "simulated" in text
    assert "2025-03-03" in text
    assert "SIMB7/5m" in text
    assert "38 % of the decisions overlap" in text
    assert "private" not in text
    assert "private" in " ".join(remarks.limits(runs.private()["result"]))
    result["data"][0]["instrument"] = "REALISH"
    result["data"][1]["audit"] = {"level": "info", "findings": []}
    result["decisions"]["overlap_share"] = 0.0
    text = " ".join(remarks.limits(result))
    assert "simulated" not in text
    assert "audit" not in text
    assert "overlap" not in text


def test_what_hangs_on_the_order_inside_a_bar_is_told(runs):
    result = runs.full()["result"]
    assert remarks.intrabar(result) == ""
    result["intrabar"] = {
        "counted": "stop_first", "trades": 12, "total_r": -12.6, "total_r_other": 35.1,
        "mean_r": 0.101, "mean_r_other": 0.117,
    }  # fmt: skip
    text = plain(remarks.intrabar(result))
    assert text.startswith("In 12 of 3,016 trades one bar touches stop and target")
    assert "the stop counts. Had the target come first in all of them" in text
    assert "+35.1 R instead of −12.6 R" in text
    assert "+0.117 R instead of +0.101 R" in text
    assert remarks.intrabar(result) in remarks.limits(result)
    result["intrabar"]["counted"] = "target_first"
    assert "the target counts. Had the stop come first" in plain(remarks.intrabar(result))
    result["intrabar"]["trades"] = 0
    assert remarks.intrabar(result) == ""


def test_the_seal_is_told_closed_opened_and_absent(runs):
    result = runs.full()["result"]
    assert "is sealed; its decisions (1,312) were not read" in remarks.seal_line(result)
    result["folds"]["seal"]["opened"] = "2025-07-01T00:00:00Z"
    assert remarks.seal_line(result).endswith("opened on 2025-07-01.")
    result["folds"]["seal"]["opened"] = True
    assert remarks.seal_line(result).endswith("has been opened.")
    assert any("cannot serve as unseen" in line for line in remarks.limits(result))
    assert remarks.seal_line(runs.refused()["result"]) == ""


def test_trades_beyond_five_r_are_named_with_their_share(runs):
    result = runs.full()["result"]
    assert remarks.far_trades(result) == ""
    result["far_trades"] = {
        "limit_r": 5.0, "n": 2, "total_r": -15.5, "share": -0.1, "mean_r": 0.21,
        "middle_mean_r": 0.2149,
        "largest": [{"stream": "ES/5m", "entry_time": "2024-03-11T14:31Z", "r_net": -11.0}],
    }  # fmt: skip
    said = plain(remarks.far_trades(result))
    assert said.startswith("2 trades beyond 5 R make −15.5 R of +633.4 R in all")
    assert "(ES/5m 2024-03-11 14:31 UTC −11.0 R)" in said
    assert said.endswith("the mean is +0.215 R instead of +0.210 R.")
    assert remarks.far_trades(result) in remarks.limits(result)
    result["far_trades"] |= {"n": 0, "largest": []}
    assert remarks.far_trades(result).startswith("No trade lies beyond 5 R.")


def test_an_opened_tail_is_shown_by_itself(runs):
    result = runs.full()["result"]
    assert remarks.opened_tail(result) == ""
    result["opened_tail"] = {"n_trades": 41, "mean_r": 0.1, "interval": [-0.2, 0.4],
                             "minimum_detectable": 0.43}  # fmt: skip
    assert plain(remarks.opened_tail(result)) == (
        "The months that were sealed, from 2025-03-03 on, by themselves: 41 trades earn +0.100 R "
        "(95 % interval −0.200 to +0.400); an edge of 0.430 R would have been seen."
    )
    result["opened_tail"]["n_trades"] = 0
    assert remarks.opened_tail(result).endswith("hold no trade.")


def test_warnings_of_the_audit_name_their_stream(runs):
    result = runs.full()["result"]
    finding = {"level": "warn", "code": "holes", "message": "9 bars missing", "count": 9}
    findings = [finding, finding | {"level": "info"}]
    result["data"] = [{"instrument": "ES", "timeframe": "5m", "timezone": "America/New_York",
                       "audit": {"level": "warn", "findings": findings}}]  # fmt: skip
    assert remarks.audit_warnings(result) == ["ES/5m: 9 bars missing"]
    assert remarks.hour_zone(result) == "America/New_York"
    result["data"].append({"timezone": "Europe/Berlin"})
    assert remarks.hour_zone(result) == "each exchange's own time"
