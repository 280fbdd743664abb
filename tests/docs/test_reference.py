"""Reference pages say what the code says, both ways."""

from __future__ import annotations

import dataclasses
import inspect
import re
import shutil
import subprocess
import sys

import pytest

from ffm_core import errors, hookspecs, records
from ffm_core.bars.instruments import known
from ffm_core.cli import COMMANDS
from ffm_core.errors import FFMError
from ffm_core.report.questions import CHECKS as WORDS
from ffm_core.ruler.checks import STRICT
from ffm_core.runs.config import field_names
from ffm_core.testing import CHECKS

HOOK = re.compile(r"^## `(ffm_\w+)\(([^)]*)\)`$", re.MULTILINE)
SPECS = [name for name, value in vars(hookspecs).items() if hasattr(value, "ffm_spec")]


def text(docs, name):
    return (docs.ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


def first_cells(page):
    """Return the code in the first cell of every table row."""
    return set(re.findall(r"^\| `([^`]+)`", page, flags=re.MULTILINE))


def test_generated_pages_are_up_to_date(docs, tmp_path):
    done = subprocess.run(
        [sys.executable, docs.ROOT / "docs" / "generate.py", "--check"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_stale_or_missing_page_is_named(docs, tmp_path):
    folder = tmp_path / "reference"
    shutil.copytree(docs.ROOT / "docs" / "reference", folder)
    page = folder / "errors.md"
    page.write_text(page.read_text().replace("130", "131"))
    (folder / "hooks.md").unlink()
    done = subprocess.run(
        [sys.executable, docs.ROOT / "docs" / "generate.py", "--check", "--folder", folder],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    stale = re.findall(r"stale: .*/(\S+)", done.stderr)
    assert sorted(stale) == ["errors.md", "hooks.md"]


def test_pages_do_not_depend_on_the_reader(docs, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / "instruments.toml").write_text('[instrument.ZZTOP]\nlike = "ES"\nname = "mine"\n')
    monkeypatch.setenv("FFM_HOME", str(home))
    monkeypatch.setenv("FFM_SEED", "7")
    monkeypatch.setenv("COLUMNS", "40")
    done = subprocess.run(
        [sys.executable, docs.ROOT / "docs" / "generate.py", "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_hook_page_matches_the_specifications(docs):
    written = {
        name: [a.strip() for a in arguments.split(",") if a.strip()]
        for name, arguments in HOOK.findall(text(docs, "hooks.md"))
    }
    declared = {
        name: list(inspect.signature(getattr(hookspecs, name)).parameters) for name in SPECS
    }
    assert written == declared


@pytest.mark.parametrize("name", SPECS)
def test_a_hooks_docstring_is_complete(generator, name):
    spec = getattr(hookspecs, name)
    from _pages import markdown

    body = markdown.sections(spec)
    assert body[""], "no summary"
    for title in ("Returns", "Example", "Since"):
        assert body.get(title, "").strip(), f"no {title}"
    assert re.fullmatch(r"\d+\.\d+", body["Since"].strip())
    assert f"def {name}(" in body["Example"]
    documented = {n for n, _, _ in markdown.entries(body.get("Parameters", ""))}
    assert documented == set(inspect.signature(spec).parameters)


def test_every_record_has_its_place(generator, docs):
    from _pages import records as pages

    assert pages.listed() == pages.public()
    page = text(docs, "records.md")
    for name in pages.public():
        record = getattr(records, name)
        fields = dataclasses.fields(record) if dataclasses.is_dataclass(record) else ()
        assert {field.name for field in fields} <= first_cells(page), name


def test_every_command_has_its_place(docs):
    page = text(docs, "cli.md")
    written = set(re.findall(r"^## (ffm.*)$", page, flags=re.MULTILINE))
    assert {f"ffm {name}" for name in COMMANDS} <= written
    assert "ffm data check" in written
    assert "Usage: ffm data check [OPTIONS] [SYMBOL=]PATH..." in page


def test_every_setting_has_its_place(docs):
    page = text(docs, "config.md").split("## Check sets")[0]
    assert first_cells(page) == set(field_names())


def test_every_error_has_its_place_and_its_code(docs):
    page = text(docs, "errors.md")
    rows = dict(re.findall(r"^\| `(\w+)` \| `\w+` \| (\d+) \|", page, flags=re.MULTILINE))
    declared = {
        name: str(value.exit_code)
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, FFMError) and value is not FFMError
    }
    assert rows == declared


def test_exit_codes_in_the_help_and_on_the_page_agree(docs):
    page = text(docs, "errors.md").split("## Errors")[0]
    written = set(re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE))
    spoken = text(docs, "cli.md").split("Exit codes:")[1].split("```")[0]
    assert set(re.findall(r"\b\d+\b", spoken)) == written


def test_every_check_has_its_place_and_its_words(docs):
    page = text(docs, "checks.md")
    names = {check.name for check in STRICT}
    assert first_cells(page) == names
    assert names <= set(WORDS)
    guide = (docs.ROOT / "docs" / "how-to" / "read-a-verdict.md").read_text()
    for check in STRICT:
        assert f"**{check.name}: " in guide, check.name


def test_constants_on_the_page_are_those_of_the_code(docs):
    page = text(docs, "checks.md")
    for check in STRICT:
        row = next(r for r in page.split("\n") if r.startswith(f"| `{check.name}` |"))
        for key, value in check.constants.items():
            assert f"`{key}` {value:g}" in row


def test_every_contract_check_has_its_place(docs):
    table = text(docs, "contract-kit.md").split("## The checks")[1]
    assert first_cells(table) == {check.name for check in CHECKS}


def test_every_instrument_has_its_place(docs):
    table = text(docs, "instruments.md").split("## Fields")[0]
    assert first_cells(table) == {item.symbol for item in known()}


@pytest.fixture
def shown_file(docs, tmp_path):
    """Write a file shown on a page and return its path."""

    def write(page, title):
        found = docs.blocks(docs.ROOT / "docs" / page)
        path = tmp_path / title
        path.write_text(next(block.text for block in found if block.title == title))
        return path

    return write


def test_the_settings_file_shown_is_understood(shown_file):
    from ffm_core.runs.resolve import resolve

    found = resolve({"strategy": "x"}, file=shown_file("reference/config.md", "eval.toml"))
    assert found.seed == 7
    assert found.exit_params == {"tie": "skip"}


def test_the_check_set_shown_is_understood_and_qualifies(shown_file):
    from ffm_core.evaluate.job import checks_of, qualifier_of
    from ffm_core.host.loading import open_host
    from ffm_core.runs.config import EvalConfig

    path = shown_file("reference/config.md", "softer.toml")
    config = EvalConfig(strategy="x", checks=str(path))
    checks = checks_of(config, open_host())
    constants = {check.name: check.constants for check in checks}
    assert constants["profit"]["delta"] == 0.10
    assert constants["sample"]["min_trades"] == 200
    assert qualifier_of(config) == "judged with checks=softer.toml"


def test_the_instruments_shown_can_be_declared(shown_file):
    from ffm_core.bars.instruments import declare

    found = declare(shown_file("how-to/bring-your-data.md", "my-instruments.toml"))
    assert found["BRENT"].tick_size == 0.01
    assert found["WIDGET"].cost_points() == pytest.approx(2 * 1.7 / 20 + 2 * 0.25)
