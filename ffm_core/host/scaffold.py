"""Write a complete plug-in package from the template that ships with FFM."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from ffm_core import HOOK_API, __version__
from ffm_core.errors import ConfigError, OutputError, UsageError
from ffm_core.host.discovery import STRATEGIES, discover

MAX_NAME_CHARS = 50
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PREFIX = "ffm-strategy-"
_SUFFIX = ".tmpl"
_PRIVATE_CLASSIFIERS = 'classifiers = ["Private :: Do Not Upload"]\n'
_PRIVATE_NOTE = """
This package is private: its labeler says `private=True`, so its column names,
parameters and paths are replaced in every report and run record, and the package
index refuses an upload by mistake. The times of its trades are not hidden, and
they say something about the rule; share trade tables with that in mind."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the folder, its files, and where an older one went."""

    folder: Path
    files: tuple[str, ...]
    backup: Path | None


def new_strategy(name: str, *, parent: Path, private: bool = False, force: bool = False) -> Written:
    """Write the package ``ffm-strategy-<name>`` into a folder.

    Parameters
    ----------
    name : str
        What will be typed in ``ffm eval``: lower-case letters, digits and
        single hyphens, a letter first.
    parent : pathlib.Path
        The package becomes a folder inside it; created when absent.
    private : bool
        Mark the labeler private and keep the package off the public index.
    force : bool
        Move an existing folder aside instead of refusing; ignore an installed
        strategy of the same name.

    Returns
    -------
    Written
        The package is complete or absent: it is put together elsewhere and
        moved into place at the end.

    Raises
    ------
    ConfigError
        When the name cannot be used.
    UsageError
        When the folder exists or the name is taken, without ``force``.
    OutputError
        When the folder cannot be written.
    """
    check_name(name)
    target = parent / (_PREFIX + name)
    if not force:
        _refuse_if_taken(name, target)
    values = _values(name, private=private)
    try:
        return _write(target, values)
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}",
            fix="choose another folder with --out",
        ) from error


def check_name(name: str) -> None:
    """Raise a ``ConfigError`` unless ``name`` can be a strategy's name."""
    if _NAME.fullmatch(name) and len(name) <= MAX_NAME_CHARS and not name.startswith(_PREFIX):
        return
    better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-").removeprefix(_PREFIX)
    better = re.sub(r"^[0-9-]+", "", better)[:MAX_NAME_CHARS].strip("-")
    rule = (
        f"a strategy's name has lower-case letters, digits and single hyphens, begins with a "
        f"letter and has at most {MAX_NAME_CHARS} characters"
    )
    if name.startswith(_PREFIX):
        rule = f"{_PREFIX!r} is put in front of the name automatically"
    fix = f"try {better!r}" if better else "choose a name such as 'open-drive'"
    raise ConfigError(f"{name!r} cannot be used: {rule}", fix=fix)


def render(values: Mapping[str, str]) -> dict[str, str]:
    """Return every file of the template, by relative path, with values put in.

    Parameters
    ----------
    values : mapping of str to str
        What replaces ``{{key}}`` in texts and ``__key__`` in folder names.
    """
    rendered = {}
    for path, text in _template_files(files("ffm_core.host") / "template" / "strategy"):
        for key, value in values.items():
            text = text.replace("{{" + key + "}}", value)
        left = re.search(r"\{\{\w+\}\}", text)
        if left:
            raise ValueError(f"template {path} uses {left[0]}, which has no value")
        rendered[_real_path(path, values)] = text
    return dict(sorted(rendered.items()))


def _values(name: str, *, private: bool) -> dict[str, str]:
    major, minor = (int(part) for part in __version__.split(".")[:2])
    return {
        "name": name,
        "distribution": _PREFIX + name,
        "package": (_PREFIX + name).replace("-", "_"),
        "core_range": f">={major}.{minor},<{major}.{minor + 1}",
        "hook_api": str(HOOK_API),
        "private": str(private),
        "classifiers": _PRIVATE_CLASSIFIERS if private else "",
        "private_note": _PRIVATE_NOTE if private else "",
    }


def _template_files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _template_files(item, f"{prefix}{item.name}/")
        elif item.name.endswith(_SUFFIX):
            yield prefix + item.name, item.read_text(encoding="utf-8")


def _real_path(path: str, values: Mapping[str, str]) -> str:
    real = path.removesuffix(_SUFFIX).replace("__package__", values["package"])
    # Stored without its dot, or it would act on the template itself.
    return ".gitignore" if real == "gitignore" else real


def _refuse_if_taken(name: str, target: Path) -> None:
    if target.exists():
        raise UsageError(
            f"{target} already exists",
            fix="choose another name or --out; --force moves the old folder aside",
        )
    installed = discover(STRATEGIES, everything=True).get(name, [])
    if installed:
        raise UsageError(
            f"a strategy named {name!r} is already installed by {installed[0].who}; two cannot "
            "share a name",
            fix="choose another name, or --force to write it anyway",
        )


def _write(target: Path, values: Mapping[str, str]) -> Written:
    rendered = render(values)
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name, text in rendered.items():
            path = building / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((text.rstrip("\n") + "\n" if text else "").encode())
        building.chmod(0o777 & ~_umask())
        backup = _move_aside(target)
        building.rename(target)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return Written(target, tuple(rendered), backup)


def _move_aside(target: Path) -> Path | None:
    if not target.exists():
        return None
    number = 1
    while (backup := target.with_name(f"{target.name}.bak{number}")).exists():
        number += 1
    return target.rename(backup)


def _umask() -> int:
    # The only way to read the mask is to set it; temporary folders ignore it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
