"""Training backbones: killed, torn, on a full disk; adapters that stay near their base."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from ffm_backbone_training.finetune import Settings, check_adapter, finetune
from ffm_backbone_training.pretrain import TRAINED_ON, read_plan
from ffm_backbone_training.training import VARIABLES, States

from ffm_core.bars.sessions import trading_days
from ffm_core.bars.simulate import market
from ffm_core.embed.cards import read_card
from ffm_core.embed.catalogue import backbones_home, embedder_of
from ffm_core.embed.stamp import line_of, stamp_of
from ffm_core.errors import ModelError
from helpers.processes import children

# Looked for and not imported: torch is for the processes that the tests start.
pytestmark = pytest.mark.skipif(
    find_spec("peft") is None, reason="training needs pip install 'ffm-core[chronos]'"
)

PLAN = """
name = "tiny"
seed = 7
[model]
d_model = 16
d_kv = 8
d_ff = 32
num_heads = 2
encoder_layers = 1
decoder_layers = 1
patch = 16
horizon = 60
context_length = 128
quantiles = [0.1, 0.5, 0.9]
[training]
steps = 8
rows = 48
contexts = [64, 128]
price_share = 0.7
learning_rate = 1e-3
warmup_steps = 2
weight_decay = 0.01
clip_norm = 1.0
clip_target = 20.0
hint_weight = 0.5
checkpoint_every = 2
"""
STEPS = Path(__file__).with_name("backbone_training_steps.py")


def command(*words: str | Path, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ffm_core", "backbone", *map(str, words)],
        env={**os.environ, "FFM_HOME": str(home)}, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def killed_training(root: Path) -> tuple[subprocess.Popen[str], str]:
    """Kill a training that has left two states; on a busy machine it may come through first."""
    for _ in range(5):
        host = command(
            "pretrain", "--config", root / "tiny.toml", "--out", root / "killed", home=root
        )
        states, until = States(root / "killed"), time.monotonic() + 120
        while len(states.steps()) < 2 and time.monotonic() < until and host.poll() is None:
            time.sleep(0.005)
        worker = next(iter(children(host.pid)), 0)
        if worker:
            psutil.Process(worker).kill()
        _, err = host.communicate(timeout=60)
        if worker and max(states.steps(), default=8) < 8:
            return host, err
        shutil.rmtree(root / "killed")
    pytest.fail(f"every training came to its end before it could be killed: {err}")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Kill a training after two states; go on from copies of its folder in one process."""
    root = tmp_path_factory.mktemp("training")
    (root / "tiny.toml").write_text(PLAN)
    plan = read_plan(root / "tiny.toml")
    host, err = killed_training(root)
    left = States(root / "killed").steps()
    for name in ("torn", "disk"):
        shutil.copytree(root / "killed", root / name)
    newest = next(root.joinpath("torn").glob(f"state-{left[0]:08d}-*.pt"))
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    job = {"recipe": plan.recipe(), "recipe_sha256": plan.sha256, "threads": 1,
           "trained_on": TRAINED_ON}  # fmt: skip
    (root / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [sys.executable, STEPS, root / "job.json", root],
        env={**os.environ, **VARIABLES, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((root / "found.json").read_text())
    return {**told, "root": root, "left": left, "killed_code": host.returncode, "killed_err": err}


def test_a_killed_training_says_so_and_how_to_go_on(found: dict[str, Any]) -> None:
    assert found["killed_code"] == 7
    assert "signal 9" in found["killed_err"]
    assert f"goes on from step {found['left'][0]}" in found["killed_err"]
    assert found["left"][0] < 8  # killed before it was done


def test_killed_and_resumed_equals_uninterrupted(found: dict[str, Any]) -> None:
    assert found["starts"] == {"killed": found["left"][0], "torn": found["left"][1], "whole": 0}
    assert found["killed"] == found["whole"]


def test_a_torn_state_is_named_and_the_one_before_is_used(found: dict[str, Any]) -> None:
    (note,) = found["notes"]
    assert note.startswith(f"state-{found['left'][0]:08d}-")
    assert "cut off or changed" in note
    assert found["torn"] == found["whole"]


def test_two_states_are_kept(found: dict[str, Any]) -> None:
    assert found["states"] == [8, 6]


def test_a_full_disk_is_an_error_and_leaves_the_states_of_before(found: dict[str, Any]) -> None:
    disk = found["disk"]
    assert disk["error"].startswith("OutputError: cannot write")
    assert "File too large" in disk["error"]
    assert [name for name in disk["before"] if name.startswith("state")] == [
        name for name in disk["after"] if name.startswith("state")
    ]


def test_an_adapter_begins_at_its_base(found: dict[str, Any]) -> None:
    tuned = found["tuned"]
    assert tuned["step_0_off"] == 0.0
    assert tuned["drift_0"] == 0.0
    assert tuned["curve"][0] == {"step": 0, "validation_pinball": tuned["base_pinball"]}


def test_an_adapter_learns_and_leaves_its_base_alone(found: dict[str, Any]) -> None:
    tuned = found["tuned"]
    assert tuned["curve"][-1]["validation_pinball"] < tuned["base_pinball"]
    assert tuned["moved"] > 0.0
    assert tuned["base_intact"]
    assert tuned["product_off"] < 1e-4


def test_training_goes_on_from_a_stored_adapter(found: dict[str, Any]) -> None:
    assert found["tuned"]["adapter_off"] == 0.0


def test_merging_changes_nothing(found: dict[str, Any]) -> None:
    tuned = found["tuned"]
    assert tuned["merging_changed"] <= 1e-5
    assert tuned["merged_off"] > 1e-3  # and the merged weights are not the base's


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_strong_pull_keeps_forecasts_at_the_base(found: dict[str, Any], kind: str) -> None:
    assert found["tuned"][f"off {kind} 1e+06"] < 1e-3
    assert found["tuned"][f"off {kind} 0"] > 1e-2  # without a pull they leave


def test_a_fine_tuned_backbone_is_stamped_and_knows_its_cut_off(found: dict[str, Any]) -> None:
    home = backbones_home()
    shutil.copytree(found["root"] / "whole" / "model", home / "tiny")
    bars = market("A", seed=3, months=1)
    settings = Settings(steps=12, rows=16, check_every=4, context=64, learning_rate=3e-2, stride=8)
    until = dt.date(1970, 1, 1) + dt.timedelta(days=int(trading_days(bars)[-1]))
    heard: list[dict[str, Any]] = []
    card = finetune("tiny", [bars], "mine", settings, until=until, hear=heard.append)
    assert card is not None
    assert "2000" < str(card.fit_cutoff) < until.isoformat()
    assert card.base == read_card(home / "tiny").weights_sha256
    curve = card.facts["curve"]
    assert min(point["validation_pinball"] for point in curve) < curve[0]["validation_pinball"]
    assert next(m["kind"] for m in heard) == "start"
    stamp = stamp_of(embedder_of("mine"))
    assert (stamp["state"], stamp["fit_cutoff"]) == ("fine-tuned", card.fit_cutoff)
    assert line_of(stamp).startswith("embedder mine: FINE-TUNED")
    assert line_of(stamp_of(embedder_of("tiny"))).startswith("embedder tiny: FROZEN")
    adapter = home / "mine" / "adapter"
    assert check_adapter(adapter, read_card(home / "tiny")) == card.fit_cutoff
    with pytest.raises(ModelError, match="belongs to tiny"):
        finetune("mine", [bars], "next", settings, adapter=adapter, hear=heard.append)
    assert not (home / "next").exists()
