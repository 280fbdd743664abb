from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ffm_core.context import certify as room
from ffm_core.context.calibration import Map
from ffm_core.context.certify import BINS, certificate_lines, certify
from ffm_core.context.rows import DAY_US
from ffm_core.context.settings import ContextSettings
from ffm_core.errors import ConfigError, SampleError
from ffm_core.report.context import page
from ffm_core.statistics import bins_of_equal_mass, calibration_error

QUICK = ContextSettings(stride=4, resamples=200, min_later=60)


@pytest.fixture(scope="module")
def certificate(bundle, streams):
    from ffm_core.context.serving import ContextHeads

    return certify(ContextHeads.load(bundle), streams, settings=QUICK)


def test_only_bars_after_the_cut_off_are_judged(certificate, heads, streams):
    assert certificate.start > certificate.cutoff
    with pytest.raises(ConfigError, match="were fitted to bars up to"):
        certify(heads, streams, settings=replace(QUICK, from_us=heads.cutoff_us - DAY_US))
    old = [bars[: int(np.searchsorted(bars.ts_us, heads.cutoff_us))] for bars in streams]
    with pytest.raises(SampleError, match="decision bars after"):
        certify(heads, old, settings=QUICK)


def test_what_was_said_is_what_the_heads_say(certificate, heads, streams):
    rows = heads.context_at(streams[0], np.arange(len(streams[0])), policy="mask")
    said = rows["ctx_volatility"]
    first = certificate.of("volatility", streams[0].stream)
    assert (
        np.nanmin(said)
        <= first.deciles[0].predicted
        <= first.deciles[-1].predicted
        <= np.nanmax(said)
    )
    assert certificate.of("volatility").score.low > 0.2
    assert certificate.of("volatility").monotone > 0.8
    assert certificate.of("volatility").coverage == pytest.approx(0.8, abs=0.12)


def test_streams_add_up(certificate, streams):
    parts = [certificate.of("volatility", bars.stream).n for bars in streams]
    assert sum(parts) == certificate.of("volatility").n


@pytest.mark.parametrize(
    ("kind", "slope", "intercept"),
    [("boastful", 3.0, 0.0), ("timid", 0.3, 0.0), ("high", 1.0, 1.0)],
)
def test_a_miscalibrated_head_is_not_called_calibrated(heads, streams, kind, slope, intercept):
    right = {head.name: head for head in heads.heads}["vol_expansion"]
    if right.map.kind != "platt":
        pytest.skip("the staircase was chosen")
    wrong = Map(
        kind="platt", slope=right.map.slope * slope,
        intercept=right.map.intercept * slope + intercept,
    )  # fmt: skip
    vars(heads)["heads"] = (replace(right, map=wrong),)
    found = certify(heads, streams, settings=QUICK).of("vol_expansion")
    assert not found.calibrated
    assert found.verdict.startswith("not calibrated: ")


def test_the_word_needs_both_the_error_and_the_slope(certificate):
    good = replace(certificate.of("volatility"), ece=0.03, slope=0.8)
    assert good.verdict == "calibrated"
    assert replace(good, slope=1.25).calibrated
    assert replace(good, ece=0.031).verdict == "not calibrated: ECE 0.031 > 0.03"
    assert replace(good, ece=0.03004).verdict == "not calibrated: ECE 0.03004 > 0.03"
    assert replace(good, slope=0.7996).verdict == "not calibrated: slope 0.7996 outside 0.8…1.25"
    assert replace(good, slope=0.79).verdict == "not calibrated: slope 0.79 outside 0.8…1.25"
    assert replace(good, slope=math.nan).verdict.endswith("slope undefined outside 0.8…1.25")


def test_a_perfect_head_shows_the_error_that_chance_gives():
    rng, found = np.random.default_rng(0), []
    for _ in range(40):
        said = rng.random(600)
        value = (rng.random(600) < said).astype(float)
        ece = calibration_error(bins_of_equal_mass(said, value, BINS))
        found.append((ece, room._by_chance(said, value, 600.0)))
    seen, expected = np.mean(found, axis=0)
    assert seen == pytest.approx(expected, rel=0.1)
    assert room._by_chance(said, value, 150.0) == pytest.approx(2 * found[-1][1])


def test_shuffled_labels_certify_nothing(streams, learner):
    from ffm_core.context.scoring import auc

    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 6)).astype(np.float32)
    y = (rng.random(900) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(float)
    true = learner.fit_target(x[:600], y[:600], kind="binary", rounds=30)
    null = learner.fit_target(x[:600], rng.permutation(y[:600]), kind="binary", rounds=30)
    assert auc(true.predict(x[600:]), y[600:]) > 0.75
    assert abs(auc(null.predict(x[600:]), y[600:]) - 0.5) < 0.12


def test_the_table_and_the_page_say_the_same(certificate):
    lines = certificate_lines(certificate)
    verdict = certificate.of("volatility").verdict
    assert any(line[0] == "ctx_volatility" and verdict in line[-1] for line in lines)
    shown = page(certificate.record())
    assert verdict in shown
    assert "plot-volatility" in shown
    assert "http" not in shown.partition("plot-library")[0].replace("http-equiv", "")
