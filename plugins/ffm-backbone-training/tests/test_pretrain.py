"""Configurations of a pretraining, and the states that it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ffm_backbone_training import pretrain as pretraining
from ffm_backbone_training.pretrain import DEFAULT, TrainingPlan, pretrain, read_plan, resumes_at
from ffm_backbone_training.training import KEPT_STATES, States, locked

from ffm_core.embed.cards import read_card
from ffm_core.embed.catalogue import BOX
from ffm_core.errors import ConfigError, OutputError, UnavailableError, UsageError
from helpers.limits import small_files

PLAN = """
name = "mine"
seed = 2026
[model]
d_model = 256
d_kv = 64
d_ff = 1024
num_heads = 4
encoder_layers = 4
decoder_layers = 2
patch = 16
horizon = 64
context_length = 256
quantiles = [0.1, 0.2, 0.3]
[training]
steps = 8000
rows = 192
contexts = [128, 256]
price_share = 0.7
learning_rate = 1e-3
warmup_steps = 200
weight_decay = 0.01
clip_norm = 1.0
clip_target = 20.0
hint_weight = 0.5
checkpoint_every = 500
"""


def changed(tmp_path: Path, old: str = "", new: str = "") -> Path:
    assert old in PLAN
    path = tmp_path / "mine.toml"
    path.write_text(PLAN.replace(old, new) if old else PLAN)
    return path


def test_the_default_is_the_recipe_of_the_model_in_the_box() -> None:
    plan = read_plan()
    assert plan.recipe() == tomllib.loads(DEFAULT.read_text())
    if (BOX / "card.json").exists():
        assert read_card(BOX).facts["recipe_sha256"] == plan.sha256


def test_a_recipe_has_one_hash(tmp_path: Path) -> None:
    plan = read_plan(changed(tmp_path))
    assert (
        plan.sha256 == "70d3d7ed8b06266943863f84c877e75aea27e60dfed7f6d56aeb8df6a52d2e3a"
    )  # what trainings are resumed and models are recognised by
    assert read_plan(changed(tmp_path, "seed = 2026", "seed = 2027")).sha256 != plan.sha256


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rows = 192", "row = 192", "unknown key 'training.row'; did you mean 'rows'?"),
        ("seed = 2026", "sed = 2026", "unknown key 'sed'; did you mean 'seed'?"),
        ("seed = 2026", "", "key 'seed' is missing"),
        ("steps = 8000", "steps = 0", "training.steps is 0"),
        ("learning_rate = 1e-3", "learning_rate = 2.0", "training.learning_rate is 2.0"),
        ("learning_rate = 1e-3", "learning_rate = nan", "training.learning_rate is nan"),
        ("d_model = 256", 'd_model = "wide"', "model.d_model is 'wide'"),
        ("horizon = 64", "horizon = 32", "model.horizon is 32"),
        ("[128, 256]", "[100]", "a context of 100 bars: each is a multiple of patch"),
        ("[128, 256]", "[512]", "at most context_length (256)"),
        ("warmup_steps = 200", "warmup_steps = 9000", "warmup_steps is at most steps (8000)"),
        ("quantiles = [0.1, 0.2", "quantiles = [0.2, 0.1", "quantiles ascend"),
        ("seed = 2026", "seed = ", "not valid TOML"),
    ],
)
def test_a_bad_configuration_is_one_clear_error(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plan(changed(tmp_path, old, new))
    assert said in caught.value.problem
    assert caught.value.problem.startswith("mine.toml")
    assert caught.value.fix


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        read_plan(tmp_path / "absent.toml")


def test_fewer_steps_shorten_the_warm_up(tmp_path: Path) -> None:
    whole = read_plan(changed(tmp_path))
    plan = whole.with_steps(50)
    assert (plan.training.steps, plan.training.warmup_steps) == (50, 5)
    assert whole.with_steps(400).training.warmup_steps == 200
    assert plan.sha256 != whole.sha256
    with pytest.raises(ConfigError, match=r"--steps: training\.steps is 0"):
        whole.with_steps(0)


def test_a_folder_is_for_one_configuration(tmp_path: Path) -> None:
    plan = read_plan()
    pretraining._claim(plan, tmp_path / "a", threads=1)
    pretraining._claim(plan, tmp_path / "a", threads=1)
    for other, threads in ((plan.with_steps(10), 1), (plan, 2)):
        with pytest.raises(ConfigError, match="another configuration"):
            pretraining._claim(other, tmp_path / "a", threads=threads)
    States(tmp_path / "b").save(3, b"somebody's")
    with pytest.raises(ConfigError, match=r"without its recipe\.json"):
        pretraining._claim(plan, tmp_path / "b", threads=1)


def test_without_torch_the_command_to_install_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None in sys.modules is how Python itself says that there is no such module.
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnavailableError, match=r'pip install "ffm-core\[chronos\]"'):
        pretrain(read_plan(), tmp_path / "out", threads=1, hear=print)
    assert not (tmp_path / "out").exists()


def test_the_newest_two_states_are_kept(tmp_path: Path) -> None:
    states, notes = States(tmp_path), []
    assert resumes_at(tmp_path) == 0
    for step in (10, 20, 30):
        states.save(step, f"state {step}".encode())
    assert states.steps() == [30, 20]
    assert len(list(tmp_path.iterdir())) == KEPT_STATES
    assert resumes_at(tmp_path) == 30
    assert states.newest(notes.append) == b"state 30"
    assert not notes


@pytest.mark.parametrize("harm", ["cut", "changed", "empty"])
def test_a_harmed_state_is_named_and_passed_over(tmp_path: Path, harm: str) -> None:
    states, notes = States(tmp_path), []
    states.save(1, b"the first")
    states.save(2, b"the second")
    (newest,) = tmp_path.glob("state-00000002-*.pt")
    newest.write_bytes({"cut": b"the sec", "changed": b"the 2econd", "empty": b""}[harm])
    assert states.newest(notes.append) == b"the first"
    assert newest.name in notes[0]["text"]
    assert not newest.exists()
    (tmp_path / next(p.name for p in tmp_path.iterdir())).write_bytes(b"")
    assert states.newest(notes.append) is None
    assert len(notes) == 2


def test_a_state_that_cannot_be_written_leaves_the_ones_of_before(tmp_path: Path) -> None:
    states = States(tmp_path)
    states.save(1, b"whole")
    with small_files(4_096), pytest.raises(OutputError, match="File too large"):
        states.save(2, bytes(10_000))
    assert states.newest(lambda message: None) == b"whole"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_holds_one_training_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ffm_backbone_training.training import locked\n"
        "with locked(Path(sys.argv[1])): pass"
    )

    def other() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.run(words, env=os.environ, capture_output=True, text=True, check=False)

    with locked(tmp_path):
        assert "another process is writing in" in other().stderr
    assert other().returncode == 0
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError), locked(blocked / "folder"):
        raise AssertionError


def test_a_plan_survives_its_own_json() -> None:
    plan = read_plan()
    assert TrainingPlan.model_validate(json.loads(json.dumps(plan.recipe()))) == plan
    assert issubclass(ConfigError, UsageError)
