"""The run record: what an evaluation found, in one folder that can be checked.

``run.json`` holds ``schema``, ``result``, ``result_hash`` and ``envelope``. The
result depends on inputs alone and has the same bytes on every re-run; whatever
changes from run to run (times, versions, cache use) is in the envelope.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ffm_core.errors import RecordError
from ffm_core.paths import kind_of
from ffm_core.runs.atomic import atomic_dir
from ffm_core.runs.canonical import jsonable, sha256_json
from ffm_core.runs.reading import small_text

if TYPE_CHECKING:
    import polars as pl

SCHEMA = "ffm-run/2"
_READ = (SCHEMA, "ffm-run/1")  # reasons and failures of the first are sentences
# Counts changes of the core that change numbers. Part of every trial's identity.
NUMERICS = 6
RECORD_FILE = "run.json"
_MOST_ROWS = 20_000_000  # of a table; an evaluation writes one a decision
REPORT_FILE = "report.html"
_SHAPES: Mapping[str, type] = {
    "strategy": dict, "config": dict, "prereg": dict, "certificate": dict, "folds": dict,
    "arms": dict, "trials": dict, "data": list, "checks": list,
}  # fmt: skip
_OF_TABLES = frozenset({"arms", "data", "checks"})
_LISTED = ("strategy", "prereg", "data", "verdict")  # what a list of runs shows
_EDITED = "the result does not match its hash: it was edited after the run"
_LIBRARIES = ("click", "joblib", "numba", "numpy", "pandas_market_calendars", "plotly", "pluggy",
              "polars", "pyarrow", "pydantic", "scikit-learn", "xgboost")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A stored run.

    Parameters
    ----------
    path : pathlib.Path
        Its folder.
    result, envelope : dict
        As read from ``run.json``.
    result_hash : str
        As stored; :func:`verify_run` compares it with the content.
    schema : str
        As stored; reasons and failures of ``ffm-run/1`` are sentences.
    """

    path: Path
    result: dict[str, Any]
    envelope: dict[str, Any]
    result_hash: str
    schema: str = SCHEMA

    @property
    def run_id(self) -> str:
        """Name of the run; the folder's name."""
        return str(self.envelope.get("run_id", self.path.name))

    @property
    def decision(self) -> str:
        """PASS, FAIL, INCONCLUSIVE or REFUSED."""
        return str(self.result["verdict"]["decision"])

    def table(self, name: str) -> pl.DataFrame:
        """Read ``decisions`` or ``trades``.

        Raises
        ------
        RecordError
            When the table is absent or unreadable.
        """
        import polars as pl

        path = self.path / f"{name}.parquet"
        try:
            rows = pl.scan_parquet(path).select(pl.len()).collect().item()
            if kind_of(path) != "file" or rows > _MOST_ROWS:
                raise OSError(f"it is no file, or holds {rows:,} rows")
            return pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise RecordError(
                f"cannot read {path}: {str(error).splitlines()[0]}",
                fix="run the evaluation again; it will reuse what is cached",
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What checking a run record found; ``problems`` is empty when all is well."""

    run_id: str
    result_hash: str
    recomputed: str
    problems: tuple[str, ...]
    held: Literal["files", "result", "nothing"] = "nothing"  # what the ledger has hashes of

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def run_id(started: dt.datetime, identity: str) -> str:
    """Return a name that sorts by time: ``20240311T143100123Z-1a2b3c4d``.

    Parameters
    ----------
    started : datetime
        Aware start time.
    identity : str
        Hash of the trial; its first eight digits end the name.
    """
    moment = started.astimezone(dt.UTC)
    return f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}Z-{identity[:8]}"


def write_run(
    out_dir: Path,
    result: Mapping[str, Any],
    envelope: Mapping[str, Any],
    *,
    tables: Mapping[str, pl.DataFrame],
    html: str,
    register: Callable[[Mapping[str, str]], None] | None = None,
) -> Path:
    """Write a run folder in one step.

    Parameters
    ----------
    out_dir : pathlib.Path
        Folder of run folders; created when missing.
    result, envelope : mapping
        Parts of the record; numpy values are welcome, NaN becomes null. The envelope
        must hold ``run_id``; ``files`` (hashes of the tables) is added to it.
    tables : mapping of str to polars.DataFrame
        Written as ``<name>.parquet``.
    html : str
        The report, written as ``report.html``.
    register : callable, optional
        Told the hashes of the record and the tables before the folder gets its name, so
        that no run lies there which the ledger does not know.

    Returns
    -------
    pathlib.Path
        The new folder, ``out_dir/run_id``.

    Raises
    ------
    OutputError
        When it cannot be written; nothing half-written is left.
    """
    # Everything is made in memory first, so that the folder is incomplete only briefly.
    files = {f"{name}.parquet": _parquet(frame) for name, frame in tables.items()}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    record = {
        "schema": SCHEMA,
        "result": jsonable(result),
        "result_hash": sha256_json(result),
        "envelope": jsonable({**envelope, "files": hashes}),
    }
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    files[RECORD_FILE] = text.encode("utf-8") + b"\n"
    hashes[RECORD_FILE] = hashlib.sha256(files[RECORD_FILE]).hexdigest()
    files[REPORT_FILE] = html.encode("utf-8", "backslashreplace")
    folder = out_dir / str(envelope["run_id"])
    with atomic_dir(folder) as temporary:
        for name, data in files.items():
            (temporary / name).write_bytes(data)
        if register is not None:
            register(hashes)
    return folder


def load_run(folder: Path) -> Run:
    """Read the run in ``folder``; one that was edited is not shown as if it were true.

    Raises
    ------
    RecordError
        When there is no readable ``run.json`` of a known schema, or its result does not
        match its hash.
    """
    run = read_record(folder)
    if sha256_json(run.result) != run.result_hash:
        raise _edited(folder)
    return run


def read_record(folder: Path) -> Run:
    """Read the run in ``folder`` as it stands, edited or not.

    Raises
    ------
    RecordError
        When there is no readable ``run.json`` of a known schema.
    """
    return _record(folder, json.loads)


def glance(folder: Path, known: str | None) -> Run:
    """Read of a run what a list of runs shows, much faster than all of it is.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    known : str or None
        SHA-256 of its ``run.json`` as the ledger has it. Without one the record is believed
        as it stands, but for a PASS, which is held to its own hash.

    Raises
    ------
    RecordError
        When the record cannot be read, or was edited.
    """
    from pydantic_core import from_json

    run = _record(folder, from_json)
    if known is not None:
        edited = bool(differing(folder, {RECORD_FILE: known}, _EDITED))
    else:
        edited = run.decision == "PASS" and not _agrees(run)
    if edited:
        raise _edited(folder)
    return replace(run, result={name: run.result[name] for name in _LISTED if name in run.result})


def _agrees(run: Run) -> bool:
    """Whether a record matches its hash; almost always its plain spelling is the canonical one."""
    text = json.dumps(run.result, sort_keys=True, separators=(",", ":"))
    quick = hashlib.sha256(text.encode("ascii")).hexdigest()
    return run.result_hash in (quick, sha256_json(run.result) if quick != run.result_hash else "")


def _edited(folder: Path) -> RecordError:
    fix = "run the evaluation again to get a true record"
    return RecordError(f"{folder / RECORD_FILE}: {_EDITED}", fix=fix)


def _record(folder: Path, parsed: Callable[[str], Any]) -> Run:
    path = folder / RECORD_FILE
    fix = "give the folder of a run, or run the evaluation again"
    try:
        record = parsed(small_text(path))
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}", fix=fix) from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is not valid JSON: {error}", fix=fix) from error
    if not isinstance(record, dict) or record.get("schema") not in _READ:
        raise RecordError(f"{path} is not a run record of schema {SCHEMA}", fix=fix)
    parts = {name: record.get(name) for name in ("result", "envelope", "result_hash")}
    kinds = (dict, dict, str)
    wrong = [n for (n, v), kind in zip(parts.items(), kinds, strict=True) if type(v) is not kind]
    if not wrong:
        wrong = _misshapen(record["result"])
    if wrong:
        raise RecordError(
            f"{path} is missing {', '.join(wrong)}, or has them in another form", fix=fix
        )
    return Run(path=folder, result=record["result"], envelope=record["envelope"],
               result_hash=record["result_hash"], schema=record["schema"])  # fmt: skip


def verify_run(folder: Path) -> RunReport:
    """Recompute the hashes of a run record and compare them with the stored ones.

    Raises
    ------
    RecordError
        When the record cannot be read at all.
    """
    run = read_record(folder)
    recomputed = sha256_json(run.result)
    problems = [] if recomputed == run.result_hash else [_EDITED]
    files = run.envelope.get("files", {})
    if not isinstance(files, dict):
        problems.append("the envelope is missing the hashes of its files")
        files = {}
    problems += differing(folder, files, "does not match its hash: it was edited after the run")
    return RunReport(run_id=run.run_id, result_hash=run.result_hash, recomputed=recomputed,
                     problems=tuple(problems))  # fmt: skip


def differing(folder: Path, files: Mapping[str, str], told: str) -> list[str]:
    """Return a problem for each file of a run that is not what its hash says.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder; a name that leads out of it is a problem, and is not opened.
    files : mapping of str to str
        SHA-256 by name.
    told : str
        What is said of a file with another hash.
    """
    problems = []
    for name, expected in files.items():
        path = folder / name
        if path.parent != folder or path.name != name or kind_of(path) not in ("", "file"):
            problems.append(f"{name!r} is no file of this folder")
        elif (found := _sha256_of(path)) != expected:
            problems.append(f"{name} {told if found else 'is missing'}")
    return problems


def _sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def ledger_since(result: Mapping[str, Any], envelope: Mapping[str, Any]) -> str:
    """Return when the ledger of a run began; older records say it in the result."""
    trials = result.get("trials") or {}
    return str(envelope.get("ledger_since") or trials.get("ledger_since") or "")


def versions() -> dict[str, str]:
    """Return the versions of FFM, Python and the libraries installed, for the envelope."""
    found = {"ffm": _version("ffm-core"), "python": platform.python_version()}
    found.update({name: _version(name) for name in _LIBRARIES})
    return {name: version for name, version in found.items() if version}


def _misshapen(result: Mapping[str, Any]) -> list[str]:
    """Return the parts readers rely on that are absent or of another shape."""
    verdict = result.get("verdict")
    whole = isinstance(verdict, dict) and isinstance(verdict.get("decision"), str)
    # A refused run leaves parts out, or has null there.
    parts = {name: result[name] for name in _SHAPES if result.get(name) is not None}
    wrong = [name for name, part in parts.items() if not isinstance(part, _SHAPES[name])]
    for name in _OF_TABLES & (parts.keys() - set(wrong)):
        rows = parts[name].values() if isinstance(parts[name], dict) else parts[name]
        wrong += [] if all(isinstance(row, dict) for row in rows) else [name]
    return ([] if whole else ["verdict"]) + sorted(wrong)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()
