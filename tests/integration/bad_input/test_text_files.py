"""Text files that are no bars: ``ffm eval`` and ``ffm data check`` say the same of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

Lines = list[str]
Edit = Callable[[Lines], Lines | bytes | str]
ROW = 7  # the line most kinds break; the header is line 1
AT = "SIMA1_1h.csv line 8"


@dataclass(frozen=True)
class Kind:
    """How to break a good file, and what the answer must say."""

    edit: Edit
    says: str
    fix: str
    flags: tuple[str, ...] = ()
    code: int = 4


def cell(column: str, value: str) -> Edit:
    def edit(lines: Lines) -> Lines:
        place = lines[0].split(",").index(column)
        fields = lines[ROW].split(",")
        fields[place] = value
        return [*lines[:ROW], ",".join(fields), *lines[ROW + 1 :]]

    return edit


def beyond(column: str, bound: str, points: float) -> Edit:
    """Put one price beyond another of its bar."""

    def edit(lines: Lines) -> Lines:
        header, fields = lines[0].split(","), lines[ROW].split(",")
        value = float(fields[header.index(bound)]) + points
        return cell(column, str(value))(lines)  # type: ignore[return-value]

    return edit


def header(old: str, new: str) -> Edit:
    return lambda lines: [lines[0].replace(old, new), *lines[1:]]


def naive(lines: Lines) -> Lines:
    return [line.replace("+00:00", "") for line in lines]


def stamped(*stamps: str) -> Edit:
    """Give the first rows these local stamps."""
    return lambda lines: [
        lines[0],
        *(f"{s},{line.partition(',')[2]}" for s, line in zip(stamps, lines[1:], strict=False)),
    ]


def each(change: Callable[[str], str]) -> Edit:
    return lambda lines: [lines[0], *(change(line) for line in lines[1:])]


def two_months(lines: Lines) -> Lines:
    rows = [twin for row in lines[1:] for twin in (row, row.replace(".H22", ".M22"))]
    return [lines[0], *rows]


def other_symbols(lines: Lines) -> Lines:
    names = ("NQH4", "RTYH4")
    return [lines[0], *(r.replace("SIMA1.H22", names[i % 2]) for i, r in enumerate(lines[1:]))]


def split_stamps(lines: Lines) -> Lines:
    rows = [line.replace("+00:00", "").replace(" ", ",", 1) for line in lines[1:]]
    return [lines[0].replace("datetime", "date,time"), *rows]


TZ = ("--tz", "America/New_York")
DROP = "--policy drop"
IMPORT = "ffm data import"
KINDS = {
    # columns
    "wrong columns": Kind(lambda _: ["when,a,b", "1,2,3"], "no column datetime, open", IMPORT),
    "misspelt column": Kind(header("low", "Llow"), "'Llow' looks like a typo for 'low'",
                            "--column low=Llow"),
    "no volume": Kind(lambda lines: [",".join(r.split(",")[:5]) for r in lines],
                      "no column volume", "--column volume=none"),
    "column twice": Kind(header("volume", "close"), "names 'close' twice", "rename or remove"),
    "column twice in other case": Kind(header("contract", "CLOSE"), "names 'close' twice",
                                       "rename or remove"),
    "fewer names than fields": Kind(header("datetime,", ""), "6 names, line 2 has 7 fields",
                                    "date and time in a single column"),
    "one field too many": Kind(lambda lines: [*lines[:ROW], lines[ROW] + ",9", *lines[ROW + 1 :]],
                               f"{AT}: 8 fields, expected 7", "correct or remove"),
    "no header": Kind(lambda lines: lines[1:], "line 1 contains numbers", "datetime,open,high"),
    "quotation never closed": Kind(cell("close", '"12000'), f"{AT}: unterminated quotation mark",
                                   "correct or remove"),
    "date and time apart": Kind(split_stamps, "are in two columns", "one datetime column", TZ),
    # too little
    "empty": Kind(lambda _: b"", "the file is empty", "contains bars"),
    "blank lines": Kind(lambda _: ["", " ", ""], "the file is empty", "contains bars"),
    "header only": Kind(lambda lines: lines[:1], "contains no bars", "at least two bars"),
    "one bar": Kind(lambda lines: lines[:2], "contains only one bar", "at least two bars"),
    # prices and volume
    "text for a price": Kind(cell("close", "n/a?"), rf"{AT} \(.*close is 'n/a\?'", "correct"),
    "decimal comma": Kind(lambda lines: [r.replace(",", ";").replace(".", ",") for r in lines],
                          "line 2 .*open is '12002,5'", "use a decimal point"),
    "missing price": Kind(cell("close", ""), f"{AT} at 2022.*close is missing", DROP),
    "NaN": Kind(cell("open", "nan"), f"{AT} .*open is missing", DROP),
    "infinity": Kind(cell("high", "inf"), f"{AT} .*high is inf", DROP),
    "minus infinity": Kind(cell("low", "-inf"), f"{AT} .*low is -inf", DROP),
    "beyond all numbers": Kind(cell("high", "1e400"), f"{AT} .*high is inf", DROP),
    "no such price": Kind(cell("high", "1e300"), rf"{AT} .*high is 1e\+300, which", DROP),
    "zero price": Kind(cell("low", "0"), f"{AT} .*low is 0", DROP),
    "negative price": Kind(cell("low", "-37.63"), f"{AT} .*low is -37.63", DROP),
    "negative volume": Kind(cell("volume", "-5"), f"{AT} .*volume is -5", DROP),
    "missing volume": Kind(cell("volume", ""), f"{AT} .*volume is missing", DROP),
    "infinite volume": Kind(cell("volume", "inf"), f"{AT} .*volume is inf", DROP),
    "placeholder volume": Kind(each(lambda r: ",".join([*r.split(",")[:5], "-1", "SIMA1.H22"])),
                               "volume is -1 in every row", "traded bars"),
    "high below open": Kind(beyond("open", "high", 1.25), f"{AT} .*high is below open", DROP),
    "high below close": Kind(beyond("close", "high", 1.25), f"{AT} .*high is below close", DROP),
    "low above open": Kind(beyond("open", "low", -1.25), f"{AT} .*low is above open", DROP),
    "low above close": Kind(beyond("close", "low", -1.25), f"{AT} .*low is above close", DROP),
    "high below low": Kind(beyond("high", "low", -1.25), f"{AT} .*high is below low", DROP),
    # order
    "unsorted": Kind(lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]],
                     "line 7 .*timestamp out of order", "sort the file"),
    "newest first": Kind(lambda lines: [lines[0], *lines[:0:-1]],
                         r"line 3 .*timestamp out of order \(399 such rows\)", "sort the file"),
    "stamp twice": Kind(lambda lines: [*lines[:6], lines[5], *lines[6:]],
                        "line 7 .*duplicate timestamp", DROP),
    "several contract months": Kind(two_months, r"share this timestamp \(SIMA1.H22, SIMA1.M22",
                                    "--contract SIMA1.H22"),
    "several symbols": Kind(other_symbols, "several symbols.*none of SIMA1", "name the instrument"),
    # stamps
    "some stamps without zone": Kind(lambda lines: [*lines[:9], *naive(lines[9:])],
                                     "line 10: .*mix timestamps with and without", "an offset"),
    "junk for a stamp": Kind(cell("datetime", "yesterday"), f"{AT}: timestamp 'yesterday' cannot",
                             "correct or remove"),
    "missing stamp": Kind(cell("datetime", ""), f"{AT}: the timestamp is missing", DROP),
    "no such date": Kind(cell("datetime", "2022-02-31 10:00:00+00:00"), f"{AT}: .*cannot be read",
                         "correct the row"),
    "year of two digits": Kind(each(lambda r: r.replace("2022-", "0022-", 1)),
                               "line 2 at 0022-01-02.*outside 1900", "years with four digits"),
    "day first": Kind(each(lambda r: "31/01/2022 10:00," + r.partition(",")[2]),
                      "line 2: timestamp '31/01/2022 10:00' is not ISO", IMPORT),
    "seconds since midnight": Kind(each(lambda r: "60," + r.partition(",")[2]),
                                   "timestamp 60 is not a date", "ISO timestamps"),
    "no zone": Kind(naive, r"no time zone \(first: 2022-01-02 23:00:00\)", "--tz"),
    "hour that never occurs": Kind(
        stamped("2022-03-13 01:00:00", "2022-03-13 02:30:00", "2022-03-13 03:00:00"),
        "line 3: .*never occurs in America/New_York", DROP, TZ),
    "hour that occurs twice": Kind(
        stamped("2022-11-06 00:00:00", "2022-11-06 01:30:00", "2022-11-06 03:00:00"),
        "line 3: .*occurs twice in America/New_York", DROP, TZ),
    "unknown zone": Kind(naive, "'Mars/Olympus' is not an IANA time zone", "America/New_York",
                         ("--tz", "Mars/Olympus"), code=2),
    "zone that is a path": Kind(naive, "is not an IANA time zone", "America/New_York",
                                ("--tz", "../../etc/passwd"), code=2),
    # not text, or not ours
    "binary junk": Kind(lambda _: bytes(range(256)) * 20, "binary content", "CSV or Parquet"),
    "junk that is no UTF-8": Kind(lambda _: bytes(range(128, 256)) * 40, "not UTF-8", "UTF-8"),
    "UTF-16": Kind(lambda lines: "\n".join(lines).encode("utf-16"), "not UTF-8", "UTF-8"),
    "web page": Kind(lambda _: "<html><body>" + "x" * 50_000, "no column datetime", "datetime"),
    "one endless line": Kind(lambda _: ",".join(f"name{i}" for i in range(9_000)),
                             r"name11 and \d+ more", "datetime"),
    "endless cell": Kind(cell("close", "9x" * 20_000), "close is '9x9x.*…', not a number",
                         "correct or remove"),
    "MT5 export": Kind(lambda _: ["<DATE>\t<TIME>\t<OPEN>\t<HIGH>", "2024.01.02\t01:00\t1\t2"],
                       "an MT5 export is not read", "convert it to CSV"),
    "MT5 script": Kind(lambda _: ["time,open,high,low,close,volume", "2024.01.02 01:00,1,2,1,1,5"],
                       "looks like an MT5 export", "ffm data import --layout plain --tz ZONE"),
    "Binance": Kind(lambda _: ["1638000000000,1,2,0.5,1.5,10,1638000059999,1,2,3,4,0"] * 3,
                    "a Binance kline CSV is not read", "convert it to CSV"),
    "LEAN": Kind(lambda _: ["0,1,2,3,4,5", "60000,1,2,3,4,5"], "looks like a LEAN CSV",
                 "convert it to CSV"),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_text_file_that_is_no_bars(desk, refused, lines, name):
    kind = KINDS[name]
    path = desk.write("SIMA1_1h.csv", kind.edit(lines))
    for words in (("eval", "supertrend", "--data", path), ("data", "check", path)):
        refused(*words, *kind.flags, code=kind.code, says=kind.says, fix=kind.fix)


def test_without_json_nothing_goes_to_stdout(desk, refused, lines):
    path = desk.write("SIMA1_1h.csv", cell("close", "inf")(lines))
    for words in (("eval", "supertrend", "--data", path), ("data", "check", path)):
        refused(*words, code=4, says="close is inf", fix=DROP, json=False)


@pytest.mark.parametrize("name", ["missing price", "high below low", "stamp twice", "unsorted"])
def test_the_fix_mends_it(desk, lines, name):
    path = desk.write("SIMA1_1h.csv", KINDS[name].edit(lines))
    answer = desk.run("data", "check", path, "--policy", "drop", "--json")
    assert answer.code == 0
    (stream,) = answer.document["streams"]
    assert sum(stream["dropped"].values()) == 1
    answer = desk.run("eval", "supertrend", "--data", path, "--policy", "drop", "--quiet")
    assert "trading days are too few" in answer.err  # the file is read; it is only short


def test_a_good_file_with_extra_columns_is_fine(desk, lines):
    wider = [lines[0] + ",average,count", *(line + ",12000.0,17" for line in lines[1:])]
    path = desk.write("SIMA1_1h.csv", wider)
    assert desk.run("data", "check", path).code == 0
