"""Adding a backbone: what is asked for, what can go wrong, and what is there afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ffm_core.cli import main
from ffm_core.embed.adding import add_backbone
from ffm_core.embed.cards import read_card
from ffm_core.embed.catalogue import (
    BOX,
    backbones_home,
    embedder_of,
    embedders,
    folder_of,
    model_of,
)
from ffm_core.embed.facts import backbone_facts
from ffm_core.embed.openvino_session import OpenvinoModel
from ffm_core.embed.recipe import EmbeddingRecipe, parse_variant
from ffm_core.embed.session import pooled
from ffm_core.embed.worker import require_torch
from ffm_core.errors import ConfigError, FFMWarning, ModelError, UnavailableError, UnknownNameError
from helpers.processes import children, gone


def checkpoint(folder: Path, **provenance: object) -> Path:
    """Write as much of a checkpoint as is looked at before torch is asked."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    if provenance:
        (folder / "PROVENANCE.json").write_text(json.dumps(provenance))
    return folder


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ("chronos-bolt-tinny", UnknownNameError, "did you mean 'chronos-bolt-tiny'"),
        ("nothing-like-it", UnknownNameError, "published backbones: chronos-2, chronos-bolt-base"),
        ("./nowhere", ModelError, "./nowhere is not a checkpoint folder"),
    ],
)
def test_what_cannot_be_added_is_said_at_once(source, kind, words):
    with pytest.raises(kind, match=words.replace("(", r"\(")):
        add_backbone(source)
    assert not backbones_home().exists()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"name": "My Model"}, "'My Model' cannot name a backbone"),
        ({"name": "../up"}, "'../up' cannot name a backbone"),
        ({"name": "stats"}, "'stats' is a name that FFM uses itself"),
        ({"name": "ffm-bolt-synth"}, "is a name that FFM uses itself"),
        ({"released": "yesterday"}, "--released 'yesterday' is not a date"),
        ({"fit_cutoff": "2024-13-01"}, "--fit-cutoff '2024-13-01' is not a date"),
        ({"name": "taken"}, "backbone 'taken' already exists"),
    ],
)
def test_a_flag_that_is_wrong_is_one_clear_error(tmp_path, asked, words):
    (backbones_home() / "taken").mkdir(parents=True)
    with pytest.raises(ConfigError) as caught:
        add_backbone(str(checkpoint(tmp_path / "mine")), **asked)
    assert words in caught.value.problem
    assert [path.name for path in backbones_home().iterdir()] == ["taken"]


@pytest.mark.parametrize("text", ["[]", "{", '{"fit_cutoff": "soon"}'])
def test_a_provenance_that_cannot_be_read_is_named(tmp_path, text):
    folder = checkpoint(tmp_path / "mine")
    (folder / "PROVENANCE.json").write_text(text)
    with pytest.raises(ModelError, match=r"PROVENANCE\.json cannot be understood"):
        add_backbone(str(folder))


def test_without_torch_the_way_to_get_it_is_told():
    with pytest.raises(UnavailableError) as caught:
        require_torch("adding a backbone", ("numpy", "no_such_library"))
    assert caught.value.problem == "adding a backbone needs no_such_library, which is not installed"
    assert caught.value.fix == 'pip install "ffm-core[chronos]"'
    require_torch("adding a backbone", ("numpy",))


def test_an_unreachable_hub_tells_how_to_go_round_it(originals):
    told = originals.told["hub"]
    assert told["error"] == "UnavailableError"
    assert UnavailableError.exit_code == 7
    assert "amazon/chronos-bolt-tiny is not on this machine" in told["problem"]
    assert "'hf download amazon/chronos-bolt-tiny --local-dir chronos-bolt-tiny'" in told["fix"]
    assert "'ffm backbone add ./chronos-bolt-tiny --name chronos-bolt-tiny" in told["fix"]


def test_a_full_disk_is_the_error_of_the_folder(originals):
    told = originals.told["full"]
    assert told["error"] == "OutputError"
    assert "model-full: File too large" in told["problem"]


def test_killed_in_the_middle_nothing_is_left_and_again_it_works(originals, capsys, monkeypatch):
    source = originals.folder / "small"
    words = ["backbone", "add", str(source), "--name", "mine", "--released", "2024-11-26",
             "--fit-cutoff", "2024-06-30"]  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-m", "ffm_core", *words], stderr=subprocess.PIPE, text=True
    )
    with child:
        assert "starting torch" in child.stderr.readline()
        workers = children(child.pid)
        child.kill()
    assert workers
    assert gone(workers)
    assert not (backbones_home() / "mine").exists()
    assert list(backbones_home().glob(".ffm-partial-*"))

    with pytest.raises(SystemExit) as left:
        main([*words, "--json"])
    said = json.loads(capsys.readouterr().out)["backbone"]
    assert left.value.code == 0
    assert [path.name for path in backbones_home().iterdir()] == ["mine"]
    card = read_card(folder_of("mine"))
    assert (card.fit_cutoff, card.released) == ("2024-06-30", "2024-11-26")
    assert said["checks"] == dict(card.checks)
    assert card.checks["embedding"] <= 1e-5
    agrees_with_torch(originals)


def agrees_with_torch(originals):
    """What was added embeds like its original, through every backend that is here."""
    values = np.tile(originals.windows["normal"], (8, 1))
    theirs = np.tile(originals.said("small", "normal", "tokens"), (8, 1, 1))
    ours, torch = model_of("mine"), model_of("mine:torch")
    done: list[int] = []
    with torch:
        found = torch.tokens(values, done.append)
        assert done == [64, len(values) - 64]
        assert np.abs(found - theirs).max() <= 1e-6
        assert np.abs(found - ours.tokens(values)).max() <= 1e-5
        assert torch.tokens(values[3:4]).tobytes() == found[3:4].tobytes()
        gap = originals.windows["NaN-leading"]
        assert np.abs(torch.quantiles(gap) - ours.quantiles(gap)).max() <= 1e-4
        hello = torch.hello
        assert (hello["dtype"], hello["device"], hello["context"]) == ("float32", "cpu", 256)
        assert hello["weights"] == ours.card.facts["checkpoint_sha256"]
        with pytest.raises(ModelError, match="multiple of 16 bars up to 256, got 100"):
            torch.tokens(values[:, :100])
        assert torch.tokens(values[:2]).tobytes() == found[:2].tobytes()  # it goes on
        whole = embedder_of("mine:torch").embed(values)
        assert whole.tobytes() == pooled(found, "mean").tobytes()
        torch.batch_seconds = 1e-4
        with pytest.raises(UnavailableError, match=r"did not answer within 0\.0001 seconds"):
            torch.tokens(values)


def test_the_torch_process_ends_with_its_host(originals):
    folder = originals.folder / "model-small"
    script = (
        "import sys, threading, time, os, signal\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from ffm_core.embed.cards import read_card\n"
        "from ffm_core.embed.worker import TorchModel\n"
        "model = TorchModel(read_card(Path(sys.argv[1])), threads=1)\n"
        "windows = np.zeros((1, 128), dtype=np.float32)\n"
        "threading.Thread(target=model.tokens, args=(windows,), daemon=True).start()\n"
        "print('here', flush=True)\n"
        "time.sleep(60)\n"
    )
    host = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True
    )
    with host:
        assert host.stdout.readline() == "here\n"
        until = time.monotonic() + 60
        while not (workers := children(host.pid)) and time.monotonic() < until:
            time.sleep(0.02)
        host.kill()
    assert workers
    assert gone(workers)


def test_a_process_that_does_not_start_in_time_is_ended(originals):
    from ffm_core.embed.worker import TorchModel

    model = TorchModel(read_card(originals.folder / "model-small"), threads=1)
    model.start_seconds = 0.05
    before = set(children(os.getpid()))
    with pytest.raises(UnavailableError, match=r"did not answer within 0\.05 seconds"):
        model.tokens(np.zeros((1, 128), dtype=np.float32))
    assert gone([pid for pid in children(os.getpid()) if pid not in before])


def test_the_torch_backend_needs_the_checkpoint_as_it_was(originals, tmp_path):
    from dataclasses import replace

    from ffm_core.embed.worker import TorchModel

    card = read_card(originals.folder / "model-small")
    windows = np.zeros((1, 128), dtype=np.float32)
    other = checkpoint(tmp_path / "other")
    for place, kind, words in (
        (None, UnavailableError, "its card does not name one"),
        (str(tmp_path / "away"), UnavailableError, "away is gone"),
        (str(other), ModelError, "other is not the checkpoint that small was converted from"),
    ):
        facts = {**card.facts, "checkpoint": place or ""}
        with pytest.raises(kind, match=words):
            TorchModel(replace(card, facts=facts)).tokens(windows)


def test_a_damaged_model_is_listed_as_damaged(capsys):
    home = backbones_home()
    home.mkdir(parents=True)
    for name in ("cut", "whole"):
        shutil.copytree(BOX, home / name)
    path = home / "cut" / "encoder.onnx"
    path.write_bytes(path.read_bytes()[:-9])
    found = {facts["name"]: facts for facts in backbone_facts()}
    assert (found["cut"]["state"], found["whole"]["state"]) == ("damaged", "added")
    assert "encoder.onnx is not the file the card describes" in found["cut"]["problem"]
    with pytest.raises(SystemExit):
        main(["backbone", "list"])
    said = capsys.readouterr()
    assert "cut: " in said.err
    assert ["cut", "damaged"] in [line.split()[:2] for line in said.out.splitlines()]


def test_a_card_that_names_files_elsewhere_is_broken():
    folder = backbones_home() / "sly"
    shutil.copytree(BOX, folder)
    card = json.loads((folder / "card.json").read_text())
    card["files"]["../../ledger.sqlite3"] = "ab"
    (folder / "card.json").write_text(json.dumps(card))
    (facts,) = [facts for facts in backbone_facts() if facts["name"] == "sly"]
    assert facts["state"] == "broken"
    assert "is no file of its folder" in facts["problem"]


def test_backbones_are_listed_with_what_is_known(originals, capsys):
    home = backbones_home()
    home.mkdir(parents=True)
    (home / "mine").symlink_to(originals.folder / "model-small")
    (home / "broken").mkdir()
    (home / "broken" / "card.json").write_text("{}")
    found = {facts["name"]: facts for facts in backbone_facts()}
    assert found["mine"]["state"] == "added"
    assert found["mine"]["bytes"] > 100_000
    assert found["broken"]["state"] == "broken"
    assert found["chronos-bolt-tiny"]["released"] == "2024-11-26"
    assert found["chronos-2"]["released"] == "2025-10-20"
    with pytest.raises(SystemExit):
        main(["backbone", "list"])
    said = capsys.readouterr()
    rows = [line.split() for line in said.out.splitlines()]
    assert ["mine", "added", f"{found['mine']['bytes'] / 1e6:.1f}", "MB"] in [r[:4] for r in rows]
    assert "chronos-bolt-base   not added" in said.out
    assert "broken:" in said.err
    with pytest.raises(SystemExit) as left:
        main(["backbone", "show", "min"])
    assert left.value.code == 2
    assert "did you mean 'mine'?" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main(["backbone", "show", "chronos-bolt-tiny"])
    assert left.value.code == 7
    assert "fix: ffm backbone add chronos-bolt-tiny" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["backbone", "show", "mine"])
    assert found["mine"]["identity"] in capsys.readouterr().out
    with pytest.warns(FFMWarning, match="backbone 'broken' is left out"):
        names = [embedder.name for embedder in embedders()]
    assert {"stats", "mine", "mine:reg", "mine:torch", "mine:last2-bare-torch"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", EmbeddingRecipe()),
        ("reg", EmbeddingRecipe(pool="reg")),
        ("mean-bare", EmbeddingRecipe(extras=())),
        ("torch", EmbeddingRecipe(backend="torch")),
        ("openvino-bf16", EmbeddingRecipe(backend="openvino-bf16")),
        ("last2-bare-torch", EmbeddingRecipe(pool="last2", extras=(), backend="torch")),
        ("meanreg-openvino-bf16", EmbeddingRecipe(pool="meanreg", backend="openvino-bf16")),
    ],
)
def test_variants_name_pool_extras_and_backend(text, expected):
    assert parse_variant(text) == expected


@pytest.mark.parametrize("text", ["median", "mean-", "bare", "mean-fast", "mean--torch", "-torch"])
def test_other_variants_are_refused(text):
    with pytest.raises(ConfigError, match="is not a variant of an embedder"):
        parse_variant(text)


def test_backends_have_identities_of_their_own():
    identities = {
        parse_variant(text).identity("ab" * 32)
        for text in ("", "torch", "openvino-bf16", "reg", "reg-torch")
    }
    assert len(identities) == 5
    assert parse_variant("mean-bare").identity("x") == parse_variant("").identity("x")


def test_bfloat16_is_for_chronos_bolt(originals):
    backbones_home().mkdir(parents=True)
    (backbones_home() / "two").symlink_to(originals.folder / "model-chronos-2")
    assert model_of("two").tokens(originals.windows["quiet"]).shape == (6, 9, 64)
    with pytest.raises(UnavailableError, match="runs Chronos-Bolt models, and chronos-2 is"):
        model_of("two:openvino-bf16")


def test_bfloat16_is_close_and_the_same_in_any_company(originals):
    openvino = pytest.importorskip("openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor computes no bfloat16")
    backbones_home().mkdir(parents=True)
    (backbones_home() / "mine").symlink_to(originals.folder / "model-small")
    values = originals.windows["normal"]
    exact, round_ = (model_of(name).tokens(values) for name in ("mine", "mine:openvino-bf16"))
    off = np.abs(exact - round_).max()
    assert 0.0 < off < 0.2
    again = model_of("mine:openvino-bf16").tokens(values[2:3])
    assert again.tobytes() == round_[2:3].tobytes()
    many = np.resize(values, (5 * 64 + 7, values.shape[1]))
    card = read_card(originals.folder / "model-small")
    for threads in (1, 3):
        rounded = OpenvinoModel(originals.folder / "model-small", card, threads=threads)
        assert rounded.tokens(many)[-1].tobytes() == round_[(len(many) - 1) % 6].tobytes()
    quantiles = model_of("mine:openvino-bf16").quantiles(values)
    assert np.abs(quantiles - model_of("mine").quantiles(values)).max() < 0.2
