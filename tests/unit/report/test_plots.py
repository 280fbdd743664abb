from __future__ import annotations

import json
import re

import numpy as np
import pytest

from ffm_core.report import plots


def figure(plot):
    return json.loads(plot.figure)


def trace(plot, name):
    return next(t for t in figure(plot)["data"] if t.get("name") == name)


def test_equity_draws_every_arm_with_real_on_top_and_its_band(runs):
    result = runs.full()["result"]
    plot = plots.equity(result)
    names = [t["name"] for t in figure(plot)["data"]]
    assert names[:2] == ["low", "high"]
    assert names[-1] == "REAL"
    assert set(names[2:]) == set(result["plots"]["equity"]["arms"])
    assert trace(plot, "high")["fill"] == "tonexty"
    np.testing.assert_allclose(
        trace(plot, "NAIVE")["y"], result["plots"]["equity"]["arms"]["NAIVE"], rtol=1e-4
    )
    assert trace(plot, "NAIVE")["x"] == result["plots"]["equity"]["days"]


def test_arms_differ_without_colour_and_the_legend_says_how(runs):
    plot = plots.equity(runs.full()["result"])
    dashes = [t["line"]["dash"] for t in figure(plot)["data"] if "dash" in t["line"]]
    assert len(set(dashes)) == len(dashes) == 4
    assert plot.legend[0].name == "REAL"
    assert {k.dash for k in plot.legend} == set(dashes)
    assert "REAL" in plot.label


def test_equity_without_a_band_and_with_a_gap(runs):
    result = runs.full()["result"]
    result["plots"]["equity"]["band"] = None
    result["plots"]["equity"]["arms"]["REAL"][3] = None
    plot = plots.equity(result)
    assert "band" not in plot.caption
    assert trace(plot, "REAL")["y"][3] is None


def test_bars_hold_every_draw_once(runs):
    result = runs.full()["result"]
    draws = np.array(result["plots"]["nulls"]["random"]["draws"])
    plot = plots.nulls(result)[0]
    bars = trace(plot, "draws")
    assert sum(bars["y"]) == len(draws)
    width = bars["width"]
    edges = np.append(np.array(bars["x"]) - width / 2, bars["x"][-1] + width / 2)
    edges[[0, -1]] += [-1e-4, 1e-4]  # the page keeps five digits
    counts, _ = np.histogram(draws, edges)
    assert np.abs(counts - bars["y"]).sum() <= 2


def test_few_draws_are_dots_at_their_own_place(runs):
    result = runs.full()["result"]
    plot = plots.nulls(result)[1]
    dots = trace(plot, "draws")
    draws = result["plots"]["nulls"]["shuffle_full"]["draws"]
    np.testing.assert_allclose(dots["x"], draws, rtol=1e-4)
    assert len(set(zip(dots["x"], dots["y"], strict=True))) == len(draws)


def test_the_real_value_is_marked_and_in_view(runs):
    result = runs.full()["result"]
    for plot, null in zip(plots.nulls(result), result["plots"]["nulls"].values(), strict=True):
        assert trace(plot, "REAL")["x"] == [null["real"], null["real"]]
        low, high = figure(plot)["layout"]["xaxis"]["range"]
        assert low < min([*null["draws"], null["real"]])
        assert high > max([*null["draws"], null["real"]])
        assert "REAL" in figure(plot)["layout"]["annotations"][0]["text"]
        # Permuted models are fitted with one seed, and so is the REAL beside them.
        one_seed = plot.title.startswith("Labels shuffled")
        assert ("one seed" in figure(plot)["layout"]["annotations"][0]["text"]) == one_seed


def test_captions_count_the_draws_that_reach_real(runs):
    result = runs.full()["result"]
    null = result["plots"]["nulls"]["random"]
    null["real"] = sorted(null["draws"])[-4]
    assert plots.nulls(result)[0].caption.startswith("4 of 200 picks at random reach")
    stopped = plots.nulls(result)[2].caption
    assert "Stopped after 17 of 39" in stopped
    assert "Stopped" not in plots.nulls(result)[1].caption


def test_the_percentile_line_stands_where_the_check_puts_it(runs):
    result = runs.full()["result"]
    check = next(c for c in result["checks"] if c["name"] == "random")
    expected = result["plots"]["nulls"]["random"]["real"] - check["interval"][0]
    shape = figure(plots.nulls(result)[0])["layout"]["shapes"][0]
    assert shape["x0"] == shape["x1"] == pytest.approx(expected)
    assert "shapes" not in figure(plots.nulls(result)[1])["layout"]


def test_equal_draws_and_single_draws_still_draw(runs):
    result = runs.full()["result"]
    result["plots"]["nulls"] = {
        "random": {"real": 0.0, "draws": [0.0] * 100, "planned": 100, "stopped": False},
        "shuffle_full": {"real": 0.1, "draws": [0.1, None], "planned": 39, "stopped": True},
        "shuffle_block": {"real": None, "draws": [0.1], "planned": 39, "stopped": True},
    }
    found = plots.nulls(result)
    assert [p.id for p in found] == ["null-0", "null-1"]
    assert sum(trace(found[0], "draws")["y"]) == 100
    assert trace(found[1], "draws")["x"] == [0.1]


def test_calibration_keeps_its_bins(runs):
    result = runs.full()["result"]
    result["plots"]["calibration"]["bins"].append({"predicted": 0.9, "observed": 0.9, "n": 0})
    model = trace(plots.calibration(result), "model")
    assert len(model["x"]) == 9
    assert max(model["marker"]["size"]) == 18


@pytest.mark.parametrize("kind", ["refused", "no_learner", "inconclusive"])
def test_parts_a_run_does_not_have_are_left_out(runs, kind):
    result = getattr(runs, kind)()["result"]
    assert plots.calibration(result) is None
    if kind == "refused":
        assert plots.equity(result) is None
    if kind != "inconclusive":
        assert plots.nulls(result) == []


def test_every_colour_is_a_variable_of_the_page(runs):
    colours = r'"(?:\w*color)":"([^"]*)"'
    for plot in (plots.equity(runs.full()["result"]), *plots.nulls(runs.full()["result"]),
                 plots.calibration(runs.full()["result"])):  # fmt: skip
        found = set(re.findall(colours, plot.figure))
        assert found
        assert all(c.startswith("var(--") or c == "rgba(0,0,0,0)" for c in found), found


def test_names_cannot_be_markup_inside_a_plot(runs):
    figure_text = plots.equity(runs.hostile()["result"]).figure
    names = [t["name"] for t in json.loads(figure_text)["data"]]
    assert not any("<" in name for name in names)
