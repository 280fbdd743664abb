"""The pages of the project as parameters and fixtures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from helpers.loading import load_module

PAGES = load_module("ffm_docs_pages", Path(__file__).with_name("pages.py"))


# Commands that prove or judge something; a page that shows one belongs to the slow tier.
JUDGING = ("eval", "check", "context", "ruler")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of every page, or of every page that shows something to run."""
    for name in {"page", "runnable_page"} & set(metafunc.fixturenames):
        files = PAGES.markdown_files()
        if name == "runnable_page":
            files = [path for path in files if _shows_something(path)]
        metafunc.parametrize(name, [_param(path, runs=name == "runnable_page") for path in files])


def _param(path: Path, *, runs: bool) -> object:
    name = path.relative_to(PAGES.ROOT).as_posix()
    return pytest.param(path, id=name, marks=[pytest.mark.slow] if runs and _judges(path) else [])


def _judges(path: Path) -> bool:
    shown = (b for b in PAGES.blocks(path) if b.language in PAGES.SHELLS)
    words = (command.words for block in shown for command in PAGES.commands(block))
    return any(two[0] == "ffm" and two[1] in JUDGING for two in words if len(two) > 1)


def _shows_something(path: Path) -> bool:
    return any(b.title or b.language in ("python", *PAGES.SHELLS) for b in PAGES.blocks(path))


@pytest.fixture(scope="session")
def docs() -> ModuleType:
    return PAGES


@pytest.fixture(scope="session")
def generator() -> ModuleType:
    return load_module("ffm_docs_generate", PAGES.ROOT / "docs" / "generate.py")


@pytest.fixture
def sample_files() -> Callable[[Path, Path], None]:
    """Write the data files a page speaks of, from the simulated market."""
    samples = load_module("ffm_docs_samples", Path(__file__).with_name("samples.py"))

    def write(page: Path, folder: Path) -> None:
        shutil.copytree(PAGES.ROOT / "examples", folder / "examples")
        if page.name == "bring-your-data.md":
            samples.write_all(folder)
        if page == PAGES.ROOT / "README.md":
            samples.write_one(folder / "es.csv")

    return write
