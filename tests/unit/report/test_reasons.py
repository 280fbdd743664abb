"""Every kind of reason has words, and the terminal and the page say the same ones."""

from __future__ import annotations

import io

import polars as pl
import pytest
from rich.console import Console

from ffm_core.records import Examined, Reason, because, proofs, stated
from ffm_core.report import html, terminal, words
from ffm_core.report.reasons import WORDS, capital, read, sentence, subject

EST = {"mean": 0.083, "mean_low": -0.0754, "mean_high": 0.2651}
OVER = {"over": 0.1, "over_low": 0.01, "over_high": 0.19}
VALUE = {"value": -0.02, "value_low": -0.1, "value_high": 0.06}
SHUFFLED = {
    "full_outcome": "inconclusive", "full_p": 0.05, "full_draws": 1, "full_planned": 39,
    "full_stopped": 1, "full_real": 0.031, "full_over": -0.012,
    "block_outcome": "pass", "block_p": 0.025, "block_draws": 39, "block_planned": 39,
    "block_stopped": 0, "block_real": 0.031, "block_over": 0.05, "block_over_low": 0.01,
    "block_over_high": 0.0996, "alpha": 0.025, "effect": 0.1,
}  # fmt: skip
_PERMUTED = (
    "labels permuted freely (inconclusive): p ≥ 0.050 (1 of 39 permutations), REAL of one seed, "
    "+0.031 R, is −0.012 R above them; labels permuted within weeks (pass): p = 0.025 (39 of 39 "
    "permutations), REAL of one seed, +0.031 R, is +0.0500 R (95 % interval +0.0100 to +0.0996) "
    "above them"
)
_MEAN = "taking every decision earns +0.083 R (95 % interval −0.075 to +0.265) after costs"
_SEEN = "embedder m may have been fitted to the test months: "
_NOTHING = "; nothing else was computed"
NAMES = {"block": "embedder", "name": "m", "begins": "2024-03-01"}

# Every kind of reason, and its words.
SAID = [
    (stated("as the plug-in says"), "as the plug-in says"),
    (
        because("pass_selection", months=1, claim="selection"),
        ("over 1 test month the model's picks beat taking every decision, random picks and "
        "permuted labels; past results are no promise"),
    ),
    (
        because("pass_trigger", months=21, claim="trigger"),
        ("over 21 test months the strategy's own decisions earned after costs and beat random "
        "entries; past results are no promise"),
    ),
    (
        because("ruled_out", months=21, claim="selection"),
        ("over 21 test months the data rule out an edge worth having: do not trade the model's "
        "picks"),
    ),
    (
        because("choice_ruled_out", months=21, claim="selection"),
        ("over 21 test months the data rule out that the model's choice adds an edge worth having: "
        "do not trade the model's picks"),
    ),
    (
        because("timing_ruled_out", months=21, claim="trigger"),
        ("over 21 test months the data rule out that these moments earn an edge worth having more "
        "than random ones: do not trade these decisions"),
    ),
    (
        because("checks_failed", months=21, claim="trigger"),
        "not every check held over 21 test months",
    ),
    (
        Reason(kind="checks_failed", numbers={"months": 21}, names={"claim": "trigger", "1": "x"}),
        "not every check held over 21 test months: “x”",
    ),
    (
        because("unsettled", months=2, claim="trigger"),
        ("over 2 test months the trades earn after costs, but not every check is settled: no "
        "conclusion yet about these decisions"),
    ),
    (
        Reason(kind="pass_set", numbers={"months": 21}, names={"1": "daily_loss"}),
        ("over 21 test months every check of the set passed: “daily loss”; past results are no "
        "promise"),
    ),
    (
        Reason(kind="house_rule_too", names={"1": "daily_loss"}),
        "house rules that did not hold either: “daily loss”",
    ),
    (
        Reason(kind="house_rule_failed", names={"whose": "the set", "1": "daily_loss"}),
        "every check of the set passed, but a house rule did not: “daily loss”",
    ),
    (
        because("undecided", months=2, claim="trigger"),
        ("2 test months neither show an edge nor rule one out: no conclusion yet about these "
        "decisions"),
    ),
    (
        Reason(kind="house_rule_failed", names={"1": "daily_loss", "2": "max-drawdown"}),
        "every check of FFM passed, but a house rule did not: “daily loss”, “max drawdown”",
    ),
    (
        Reason(kind="house_rule_open", names={"1": "daily_loss"}),
        "every check of FFM passed, but a house rule is still open: “daily loss”",
    ),
    (because("model_adds_nothing"), "the rule earns on its own; the model adds nothing"),
    (
        because("model_not_shown"),
        "the rule earns on its own; these data do not show that the model adds anything",
    ),
    (
        because("untraded", decisions=512, share=0.0703125, void_hole=6, void_no_volume=30),
        ("7.0 % of 512 test decisions could not have been traded with these data (30 enter or "
        "leave on a bar without volume, 6 cross a hole in the data); no PASS and no FAIL rests on "
        "the others"),
    ),
    (because("check_raised"), "it raised an error instead of answering"),
    (
        because("check_raised", error="ffm-house 1: ValueError: no (house.py:3)"),
        "it raised an error instead of answering: ffm-house 1: ValueError: no (house.py:3)",
    ),
    (because("no_decision"), "the strategy made no decision in the test months"),
    (
        because("rule_earns", **EST, **OVER),
        (f"{_MEAN}, +0.100 R (95 % interval +0.010 to +0.190) more than random entries in the same "
        "months and hours: the rule has an edge of its own"),
    ),
    (because("rule_earns", **EST), f"{_MEAN}: the rule has an edge of its own"),
    (
        because("rule_drifts", **EST),
        f"{_MEAN}: a profit, but not one that the rule's timing is shown to make",
    ),
    (because("rule_flat", **EST), f"{_MEAN}: no edge of the rule is shown"),
    (
        because("random_entries_earn", **EST),
        ("random entries under this exit policy earn +0.083 R (95 % interval −0.075 to +0.265) "
        "after costs: the market drifted, or the exit policy knows too much; only the comparison "
        "with random entries says what is left of the edge"),
    ),
    (
        because("months_to_settle", months=44.4, so_far=12),
        "about 44 test months in all would settle it if the figures hold (12 so far)",
    ),
    (because("over_50_years"), "settling it would take more than 50 years of data like these"),
    (
        Reason(kind="months_settle_nothing", names={"1": "deflated", "2": "naive"}),
        ("more months like these would not settle “Better than the luckiest try”, “Better than "
        "taking everything”"),
    ),
    (
        because("nothing_measured"),
        "no check measured an edge, so more data would settle nothing",
    ),
    (
        because("not_deterministic"),
        ("an earlier run of this trial found another result, and this one counts as a trial of its "
        "own: something here is not deterministic"),
    ),
    (
        because("refused_look_ahead"),
        f"the strategy or a feature uses future bars{_NOTHING}",
    ),
    (
        because("refused_contract"),
        f"the strategy or a feature violates its contract{_NOTHING}",
    ),
    (because("refused_exit"), f"the exit policy uses more than a trader could know{_NOTHING}"),
    (
        because("refused_learner"),
        f"the learner's answer for a row depends on more than that row{_NOTHING}",
    ),
    (
        because("refused_embedder"),
        f"the embedder's vector depends on more than its own window{_NOTHING}",
    ),
    (
        because("refused_bytes"),
        f"the learner's models do not come back from their bytes as they were{_NOTHING}",
    ),
    (because("refused_fold"), f"labels reach across the edge of a fold{_NOTHING}"),
    (
        because("start_looking", function="decide", file="idea.py", line=12),
        ("start looking at decide() in idea.py, line 12; the usual causes are an index t + 1, "
        "shift(-1), roll(-1) and statistics of the whole series"),
    ),
    (
        because("seen_cutoff", day="2024-11-27", **NAMES),
        f"{_SEEN}its cut-off is 2024-11-27, and the first test month starts on 2024-03-01",
    ),
    (
        because("seen_release", day="2024-11-27", **NAMES),
        (f"{_SEEN}its cut-off is unknown, it was released on 2024-11-27, and the first test month "
        "starts on 2024-03-01"),
    ),
    (
        because("seen_unknown", **NAMES),
        (f"{_SEEN}it states neither a cut-off nor a release date, and the first test month starts "
        "on 2024-03-01"),
    ),
    (
        because("overlap_accepted"),
        "accepted with --accept-overlap: a model may have seen the test months",
    ),
    (
        because("overlap_fix"),
        ("judge later months (--from DATE), use a model that is older or has seen no market, or "
        "accept the risk with --accept-overlap"),
    ),
    (
        because("no_look_ahead", cuts=1, bound=0.0011),
        "no look-ahead in 1 cut; a leak in more than 0.11 % of the rows would have shown",
    ),
    (
        because("little_proven", cuts=1, bound=0.3, most=0.05),
        ("no look-ahead in 1 cut, but too little could be proven: only a leak in more than 30.00 % "
        "of the rows would have shown; a verdict needs 5.00 % or less"),
    ),
    (because("failures_found", count=1), "1 failure; the certificate has the details"),
    (because("failures_found", count=2), "2 failures; the certificate has the details"),
    (
        because("sample_enough", trades=3016, days=1, months=1),
        "3,016 trades on 1 day in 1 test month",
    ),
    (
        because("sample_short", trades=1, days=2, months=3, min_trades=100.0, min_days=60.0,
                min_months=1.0),
        "1 trade on 2 days in 3 test months; at least 100 trades, 60 days and 1 month are needed",
    ),
    (
        because("shown", measure="profit", **VALUE, effect=0.15),
        "the trades taken earn −0.020 R (95 % interval −0.100 to +0.060)",
    ),
    (
        because("shown", measure="entry", value=0.2, effect=0.15),
        "+0.200 R over random entries in the same months and hours",
    ),
    (
        because("excluded", measure="naive", **VALUE, effect=0.15),
        ("−0.020 R (95 % interval −0.100 to +0.060) over taking every decision: an edge of 0.150 R "
        "is ruled out"),
    ),
    (
        because("open", measure="random", **VALUE, effect=0.15),
        ("−0.020 R (95 % interval −0.100 to +0.060) over random picks: neither zero nor an edge of "
        "0.150 R is ruled out"),
    ),
    (
        because("no_interval", measure="profit", effect=0.15),
        ("the trades taken earn nothing that can be measured: too few days with trades, or too "
        "few different ones, for an interval"),
    ),
    (because("no_trade"), "no trade was taken"),
    (
        because("took_everything"),
        "the model took every decision, so there is no selection to compare",
    ),
    (because("arm_missing", arm="NAIVE"), "there is no NAIVE arm to compare with"),
    (because("no_random_entry"), "no random entry could be matched"),
    (because("few_draws", draws=1, needed=200), "1 random draw; at least 200 are needed"),
    (
        because("no_permutations", variant="full"),
        "the permutations of all labels were not run",
    ),
    (
        because("no_permutations", variant="block"),
        "the permutations within weeks were not run",
    ),
    (because("shuffle_passed", **SHUFFLED), f"{_PERMUTED}; p at most 0.025 is asked for"),
    (
        because("shuffle_open", **SHUFFLED),
        f"{_PERMUTED}: an edge of 0.100 R is not ruled out; p at most 0.025 is asked for",
    ),
    (
        because("shuffle_excluded", **SHUFFLED),
        f"{_PERMUTED}: an edge of 0.100 R is ruled out; p at most 0.025 is asked for",
    ),
    (
        because("deflated", probability=0.94973, asked=0.95, trials=1, sharpe=0.11, luck=0.0),
        ("probability 0.9497, at least 0.95 is asked for, that the edge is more than the luckiest "
        "of 1 trial would show (daily Sharpe 0.110, luck alone 0.000)"),
    ),
    (because("no_variation"), "daily R does not vary, so it has no Sharpe ratio"),
    (because("no_validation_trade"), "there is no validation trade to compare with"),
    (
        because("generalisation", **VALUE, limit=0.3),
        ("from validation to test the mean falls by −0.020 R (95 % interval −0.100 to +0.060); at "
        "most 0.30 R is allowed"),
    ),
    (
        because("months_up", good=1, months=1, effect=0.15, power=0.074),
        ("1 of 1 test month profitable; a real edge of 0.15 R would win in every one with "
        "probability 0.07"),
    ),
]  # fmt: skip
KINDS = [reason.kind for reason, _ in SAID]


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(("reason", "text"), SAID, ids=KINDS)
def test_words_of_every_kind(reason, text):
    assert plain(sentence(reason)) == text


def test_every_kind_is_in_the_table():
    failures = {kind for group in proofs.GROUPS.values() for kind in group}
    assert failures.isdisjoint(KINDS)
    assert set(KINDS) | failures == set(WORDS)


@pytest.mark.parametrize(("reason", "text"), SAID, ids=KINDS)
def test_terminal_and_page_say_the_same(reason, text, runs, monkeypatch):
    monkeypatch.setattr(html, "_plot_library", lambda: ("", ""))
    run = runs.refused()
    stored = {"kind": reason.kind, "numbers": dict(reason.numbers), "names": dict(reason.names)}
    run["result"]["verdict"]["reasons"] = [stored]
    out = io.StringIO()
    terminal.summary(run, Console(file=out, width=80))
    page = html.render(run, pl.DataFrame())
    escaped = capital(text).replace("'", "&#39;").replace(">", "&gt;")
    assert capital(text) in plain(out.getvalue())
    assert escaped in plain(page)
    assert [plain(said) for _, said in words.reasons(run["result"])] == [capital(text)]


def test_a_kind_from_a_newer_version_is_called_by_its_name():
    assert sentence(because("nobody_knows_yet", x=1)) == "nobody knows yet"


def test_what_is_read_back_is_what_was_meant():
    stored = {"kind": "few_draws", "numbers": {"draws": 1, "needed": 200}, "names": {}}
    assert read(stored) == because("few_draws", draws=1, needed=200)
    assert read("a sentence of before") == stated("a sentence of before")
    assert read(None) is read("") is None
    assert sentence(None) == ""


def test_names_are_never_read_as_templates():
    assert sentence(stated("{months} [{x}]")) == "{months} [{x}]"


@pytest.mark.parametrize(
    ("tested", "text"),
    [
        (Examined("labeler", "supertrend", "ES/5m"), "labeler supertrend on ES/5m"),
        (Examined("features", "ffm68", "ES/5m"), "feature set ffm68 on ES/5m"),
        (Examined("exit", "half", "ES/5m"), "exit policy half on ES/5m"),
        (Examined("learner", "xgb"), "learner xgb"),
        (Examined("fold", "3"), "fold 3"),
        (Examined("fold", ""), "folds"),
        ({"kind": "embedder", "name": "stats", "stream": ""}, "embedder stats"),
        ("labeler old on ES/5m", "labeler old on ES/5m"),
        (None, ""),
    ],
)
def test_subjects_have_names(tested, text):
    assert subject(tested) == text
