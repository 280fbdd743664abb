"""What belongs to a trial's identity, and what weakens a verdict."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ffm_core.runs.canonical import sha256_json
from ffm_core.runs.config import NOT_IDENTITY, EvalConfig

CHANGES = {
    "strategy": "other", "claim": "trigger", "learner": "none", "head": "linear",
    "features": ("trivial8", "more"), "ablate": ("labeler",),
    "exit": "atr_trail", "params": {"window": 11},
    "exit_params": {"rr": 2.0}, "checks": "classic", "extensions": ("account",), "seed": 1,
    "n_seeds": 4, "permutations": 40, "random_draws": 201, "entry_draws": 21, "resamples": 2001,
    "overlap": "one_per_stream", "flat_at_session_end": True, "date_from": "2024-01-01",
    "date_to": "2024-02-01", "tz": "UTC", "stamps": "end", "policy": "drop",
    "accept_quality": True, "accept_overlap": True, "unseal": True, "train_months": 4,
    "validation_months": 2,
    "test_months": 2, "embargo_days": 2, "top_share": 0.4, "slippage_ticks": 2.0,
}  # fmt: skip
DISPLAY = {
    "data": ("ES_5m.csv",), "demo": True, "inputs": {"vix": "v.csv"},
    "instruments": "mine.toml", "jobs": 2, "out": "there", "json": True, "quiet": True,
    "debug": True,
}  # fmt: skip


def identity(**values):
    return sha256_json(EvalConfig(**{"strategy": "supertrend", **values}).identity())


@pytest.mark.parametrize("name", CHANGES)
def test_each_setting_of_the_question_changes_the_identity(name):
    assert identity(**{name: CHANGES[name]}) != identity()


@pytest.mark.parametrize("name", DISPLAY)
def test_where_and_how_to_compute_does_not(name):
    assert identity(**{name: DISPLAY[name]}) == identity()


def test_every_field_is_in_exactly_one_of_the_two_lists():
    shown = {"json_output" if name == "json" else name for name in DISPLAY}
    assert set(CHANGES) | shown == set(EvalConfig.model_fields)
    assert shown == set(NOT_IDENTITY)


def test_the_folder_of_a_strategy_file_does_not_matter():
    assert identity(strategy="here/idea.py") == identity(strategy="/else/where/idea.py")
    assert "else" not in str(EvalConfig(strategy="/else/where/idea.py").identity())


def test_the_folder_of_a_check_file_does_not_matter():
    assert identity(checks="a/mine.toml") == identity(checks="b/mine.toml") != identity()


def test_order_of_extensions_does_not_matter_but_order_of_features_does():
    assert identity(extensions=("a", "b")) == identity(extensions=("b", "a", "a"))
    assert identity(features=("a", "b")) != identity(features=("b", "a"))


def test_stating_the_default_claim_is_the_same_trial():
    assert identity(claim="selection") == identity()
    assert EvalConfig(strategy="x", learner="none").resolved_claim == "trigger"
    assert EvalConfig(strategy="x").resolved_claim == "selection"


def test_a_configuration_cannot_be_changed():
    config = EvalConfig(strategy="x")
    with pytest.raises(ValidationError):
        config.seed = 3


def test_defaults_override_nothing():
    assert EvalConfig(strategy="x").overrides() == ()


@pytest.mark.parametrize(
    "change",
    [{"permutations": 38}, {"random_draws": 199}, {"entry_draws": 19}, {"resamples": 1999},
     {"n_seeds": 2}, {"embargo_days": 0}, {"train_months": 6}, {"top_share": 0.3},
     {"slippage_ticks": 0.0}, {"accept_quality": True}, {"checks": "classic"}],
)  # fmt: skip
def test_a_weaker_ruler_is_an_override(change):
    (said,) = EvalConfig(strategy="x", **change).overrides()
    assert said == "=".join(str(part) for part in next(iter(change.items())))


@pytest.mark.parametrize("change", [{"permutations": 99}, {"head": "linear"}, {"exit": "atr_trail"},
                                    {"overlap": "one_per_stream"}, {"jobs": 1}])  # fmt: skip
def test_a_stronger_ruler_or_another_question_is_none(change):
    assert EvalConfig(strategy="x", **change).overrides() == ()
