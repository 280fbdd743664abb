"""Files and folders that hold no readable bars, whatever they are called."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

NOBODY = 65534  # the user without rights on every Unix


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, "1,2,3")
    return buffer.getvalue()


def without(column: str) -> Callable[[pl.DataFrame], bytes]:
    return lambda frame: parquet(frame.drop(column))


def with_(**columns: pl.Expr) -> Callable[[pl.DataFrame], bytes]:
    return lambda frame: parquet(frame.with_columns(**columns))


def null_at(row: int, column: str) -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) != row).then(pl.col(column))


@dataclass(frozen=True)
class Kind:
    """Content of a file of that name, and what the answer must say."""

    name: str
    content: Callable[[pl.DataFrame], bytes]
    says: str
    fix: str


EXPORT = "convert it to CSV or Parquet"
KINDS = {
    "truncated": Kind("SIMA1_1h.parquet", lambda f: parquet(f)[:4_000], "damaged Parquet", "again"),
    "only the mark": Kind("SIMA1_1h.parquet", lambda _: b"PAR1" + os.urandom(500) + b"PAR1",
                          "damaged Parquet", "download the file again"),
    "junk": Kind("SIMA1_1h.parquet", lambda _: b"\0" * 100, "binary content", EXPORT),
    "empty": Kind("SIMA1_1h.parquet", lambda _: b"", "the file is empty", "contains bars"),
    "no rows": Kind("SIMA1_1h.parquet", lambda f: parquet(f.head(0)), "contains no bars",
                    "two bars"),
    "one row": Kind("SIMA1_1h.parquet", lambda f: parquet(f.head(1)), "contains only one bar",
                    "two bars"),
    "no stamps": Kind("SIMA1_1h.parquet", without("datetime"), "no column datetime", "--column"),
    "close only": Kind("SIMA1_1h.parquet", lambda f: parquet(f.select("datetime", "close")),
                       "no column open, high, low, volume", "--column"),
    "text prices": Kind("SIMA1_1h.parquet", with_(close=pl.col("close").cast(pl.String)),
                        "column close holds .*string, expected numbers", "convert the column"),
    "nested prices": Kind("SIMA1_1h.parquet", with_(open=pl.struct("open", "high")),
                          "column open holds struct", "convert the column"),
    "NaN": Kind("SIMA1_1h.parquet", with_(close=pl.lit(float("nan"))),
                r"row 1 at .*close is nan \(\d+ such rows\)", "--policy drop"),
    "null": Kind("SIMA1_1h.parquet", with_(low=null_at(9, "low")), "row 10 at .*low is missing",
                 "--policy drop"),
    "naive stamps": Kind("SIMA1_1h.parquet",
                         with_(datetime=pl.col("datetime").dt.replace_time_zone(None)),
                         "no time zone", "--tz"),
    "float stamps": Kind("SIMA1_1h.parquet", with_(datetime=pl.lit(1.5)),
                         "the timestamp column contains Float64", "ISO timestamps"),
    "missing stamp": Kind("SIMA1_1h.parquet", with_(datetime=null_at(9, "datetime")),
                          "row 10: the timestamp is missing", "--policy drop"),
    "missing contract": Kind("SIMA1_1h.parquet", with_(contract=null_at(9, "contract")),
                             "row 10: contract is missing", "--column contract=none"),
    "gzip": Kind("SIMA1_1h.csv.gz", lambda _: gzip.compress(b"datetime"), "a gzip archive",
                 "unpack it first"),
    "zip": Kind("SIMA1_1h.zip", lambda _: archive("a.csv"), "a zip archive", "unpack it first"),
    "damaged zip": Kind("SIMA1_1h.zip", lambda _: b"PK\x03\x04half", "a damaged zip", "again"),
    "LEAN zip": Kind("SIMA1_lean.zip", lambda _: archive("20240102_es_minute_trade_202403.csv"),
                     "a LEAN zip is not read", EXPORT),
    "Excel": Kind("SIMA1_1h.xlsx", lambda _: archive("xl/workbook.xml"), "an Excel", EXPORT),
    "DBN": Kind("SIMA1_1h.dbn", lambda _: b"DBN\x01" + bytes(99), "Databento DBN", "dbn tool"),
    "DBN zstd": Kind("SIMA1_1h.dbn.zst", lambda _: b"\x28\xb5\x2f\xfd" + bytes(99),
                     "Databento DBN", "dbn tool"),
    "HDF5": Kind("SIMA1_1h.h5", lambda _: b"\x89HDF\r\n" + bytes(99), "HDF5 is not read", EXPORT),
    "unknown symbol": Kind("prices.parquet", parquet, "'PRICES', the name before the first '_', is",
                           r"ES=prices.parquet, or declare it .*\[instrument.PRICES\]"),
    "contract month": Kind("ESH4_1h.parquet", parquet, "if it is a contract month, say ES=", "ES="),
}  # fmt: skip


def both(path: object) -> tuple[tuple[object, ...], tuple[object, ...]]:
    return ("eval", "supertrend", "--data", path), ("data", "check", path)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_holds_no_bars(desk, refused, frame, name):
    kind = KINDS[name]
    path = desk.write(kind.name, kind.content(frame))
    for words in both(path):
        refused(*words, code=4, says=kind.says, fix=kind.fix)


PLACES = {
    "missing": ("SIMA1_1h.csv", "SIMA1_1h.csv: no such file or folder", "check the path"),
    "in a missing folder": ("gone/SIMA1_1h.csv", "no such file or folder", "check the path"),
    "under a file": ("file.txt/SIMA1_1h.csv", "no such file or folder", "check the path"),
    "dangling link": ("SIMA1_link.csv", "no such file or folder", "check the path"),
    "link to itself": ("SIMA1_loop.csv", "cannot be read: Too many levels", "check the path"),
    "empty folder": ("empty", "the folder contains no bar files", "give a file, or a folder"),
    "folder without bars": ("notes", "the folder contains no bar files", "give a file, or a f"),
    "name too long": ("x" * 300 + ".csv", "cannot be read: File name too long", "check the path"),
    "path too long": ("SIMA1=" + "x" * 5_000, "cannot be read: File name too long", "check the"),
    "device": ("SIMA1=/dev/null", "/dev/null: is neither a file nor", "write the bars to a file"),
    "pipe": ("SIMA1_pipe.csv", "is neither a file nor a folder", "write the bars to a file"),
    "unknown symbol": ("QQX=file.txt", "unknown instrument 'QQX'; did you mean 'QQQ'",
                       r"instruments.toml .*\[instrument.QQX\]"),
    "no simulated market": ("SIMPLE=file.txt", "'SIMPLE' is not a simulated market", "SIMA7"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_a_place_without_bars(desk, refused, lines, name):
    desk.write("file.txt", lines)
    for link, target in (("SIMA1_link.csv", "gone.csv"), ("SIMA1_loop.csv", "SIMA1_loop.csv")):
        (desk.folder / link).symlink_to(target)
    os.mkfifo(desk.folder / "SIMA1_pipe.csv")
    for folder in ("empty", "notes"):
        (desk.folder / folder).mkdir()
    desk.write("notes/readme.md", "no bars here")
    place, says, fix = PLACES[name]
    for words in both(place):
        refused(*words, code=4, says=says, fix=fix)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Lay down the super-user's rights, for whom nothing is closed."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def closed(desk, lines, tmp_path) -> Iterator[Path]:
    """A desk anybody may use, with a file and a folder that nobody may open."""
    above = [p for p in tmp_path.parents if any(n.startswith("pytest-of-") for n in p.parts)]
    for folder in (tmp_path, *above, desk.folder):
        folder.chmod(0o755 if folder != desk.folder else 0o777)
    desk.home.mkdir(mode=0o777)
    desk.home.chmod(0o777)
    desk.write("SIMA1_secret.csv", lines).chmod(0)
    (desk.folder / "closed").mkdir()
    desk.write("closed/SIMA1_1h.csv", lines)
    (desk.folder / "closed").chmod(0)
    with as_nobody():
        yield desk.folder
    (desk.folder / "closed").chmod(0o755)


@pytest.mark.parametrize("place", ["SIMA1_secret.csv", "closed", "closed/SIMA1_1h.csv"])
def test_what_may_not_be_read(closed, refused, place):
    for words in both(place):
        refused(*words, code=4, says=f"{place}: cannot be read: Permission", fix="permissions")


def test_other_files_that_may_not_be_read(closed, refused):
    for name in ("secret.py", "secret.toml"):
        Path(name).write_text("")
        Path(name).chmod(0)
    good = ("eval", "supertrend", "--demo")
    asked = {
        (*good, "--config", "secret.toml"): (2, "cannot read the configuration secret.toml"),
        (*good, "--checks", "secret.toml"): (2, "cannot read secret.toml"),
        ("data", "check", "ES=x", "--instruments", "secret.toml"): (4, "no such file|secret.toml"),
        ("eval", "secret.py", "--demo"): (3, "secret.py .*failed to load: PermissionError"),
        ("eval", "closed/idea.py", "--demo"): (2, "closed/idea.py does not exist"),
        ("runs", "list", "--out", "closed"): (4, "cannot read closed: Permission denied"),
        ("runs", "verify", "--out", "closed"): (4, "cannot read closed: Permission denied"),
        ("runs", "show", "latest", "--out", "closed"): (4, "cannot read closed: Permission denied"),
        ("report", "closed/run"): (2, "no run 'closed/run'"),
    }
    for words, (code, says) in asked.items():
        refused(*words, code=code, says=says)


def test_streams_given_twice(desk, refused, lines):
    one, two = desk.write("SIMA1_a.csv", lines), desk.write("SIMA1_b.csv", lines)
    words = ("eval", "supertrend", "--data", one, "--data", two)
    refused(*words, code=2, says="SIMA1_a.csv and SIMA1_b.csv both hold SIMA1/1h", fix="drop one")


def test_a_folder_whose_files_overlap(desk, refused, lines):
    (desk.folder / "bars").mkdir()
    desk.write("bars/SIMA1_a.csv", lines[:200])
    desk.write("bars/SIMA1_b.csv", [lines[0], *lines[150:]])
    words = ("eval", "supertrend", "--data", "bars")
    refused(*words, code=4, says="SIMA1_b.csv begins at .* before SIMA1_a", fix="the overlap")


def test_a_store_whose_file_was_changed(desk, refused, lines):
    path = desk.write("SIMA1_1h.csv", lines)
    assert desk.run("data", "import", path, "--out", "store").code == 0
    (stored,) = desk.folder.glob("store/*.parquet")
    good = stored.read_bytes()
    stored.write_bytes(good[:-9] + b"x" + good[-8:])
    for words in both("store"):
        refused(
            *words, code=4, says="the contents do not match the manifest", fix="import it again"
        )
    stored.unlink()
    for words in both("store"):
        refused(*words, code=4, says="cannot be read: No such file", fix="import it again")


def test_an_import_that_fails_makes_no_store(desk, refused, lines):
    desk.write("SIMA1_1h.csv", [*lines[:5], "junk"])
    words = ("data", "import", "SIMA1_1h.csv", "--out", "store")
    refused(*words, code=4, says="line 6: 1 fields, expected 7", fix="remove the line", json=False)


@pytest.mark.parametrize(
    "place", ["März 2022/SIMA1 – 1h bars.csv", "SIMA1_東京=x.csv", "SIMA1.csv"]
)
def test_odd_but_legal_names_work(desk, lines, place):
    (desk.folder / place).parent.mkdir(exist_ok=True)
    desk.write(place, lines)
    symbol = "" if place.startswith("SIMA1") else "SIMA1="
    answer = desk.run("data", "check", f"{symbol}{place}", "--json")
    assert answer.code == 0, answer.err
    assert answer.document["streams"][0]["stream"] == "SIMA1/1h"
