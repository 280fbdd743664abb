"""Every layout, every refusal, and forty kinds of bad input."""

from __future__ import annotations

import gzip
import io
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ffm_core.bars import Timeframe
from ffm_core.bars.readers import load, load_many, parse_data_option
from ffm_core.errors import (
    ContractError,
    DataError,
    DataQualityError,
    FFMError,
    SchemaError,
    UnsupportedFormatError,
    UsageError,
)

HEADER = "datetime,open,high,low,close,volume"
START = datetime(2024, 3, 5, 15, 0)


def stamps(rows: int = 40, step: int = 5, start: datetime = START) -> list[datetime]:
    return [start + timedelta(minutes=step * i) for i in range(rows)]


def text_rows(spell, rows: int = 40, sep: str = ",", **kw) -> list[str]:
    lines = []
    for i, stamp in enumerate(stamps(rows, **kw)):
        o, c = 5000 + 0.25 * (i % 5), 5000 + 0.25 * (i % 3)
        cells = [spell(stamp), o, max(o, c) + 0.5, min(o, c) - 0.25, c, 100 + i]
        lines.append(sep.join(str(cell) for cell in cells))
    return lines


def write(folder: Path, lines: list[str] | str | bytes, name: str = "ES_5m.csv") -> Path:
    path = folder / name
    if isinstance(lines, bytes):
        path.write_bytes(lines)
    else:
        text = lines if isinstance(lines, str) else "\n".join(lines) + "\n"
        path.write_text(text, encoding="utf-8")
    return path


def iso(stamp: datetime) -> str:
    return f"{stamp:%Y-%m-%d %H:%M:%S}+00:00"


def plain(folder: Path, name: str = "ES_5m.csv", **kw) -> Path:
    return write(folder, [HEADER, *text_rows(iso, **kw)], name)


def assert_expected(bars, rows: int = 40) -> None:
    assert len(bars) == rows
    assert bars.frame["ts"].to_list() == [t.replace(tzinfo=UTC) for t in stamps(rows)]
    assert bars.open[3] == 5000.75
    assert bars.volume[7] == 107.0
    assert bars.stream == "ES/5m"
    assert bars.frame.schema["ts"] == pl.Datetime("us", "UTC")


SPELLINGS = {
    "offset": iso,
    "zulu": lambda t: f"{t:%Y-%m-%dT%H:%M:%SZ}",
    "nanoseconds": lambda t: f"{t:%Y-%m-%dT%H:%M:%S}.000000000Z",
    "eastern offset": lambda t: f"{t - timedelta(hours=5):%Y-%m-%d %H:%M:%S}-05:00",
    "utc word": lambda t: f"{t:%Y-%m-%d %H:%M:%S} UTC",
    "seconds": lambda t: int(t.replace(tzinfo=UTC).timestamp()),
    "milliseconds": lambda t: int(t.replace(tzinfo=UTC).timestamp()) * 10**3,
    "microseconds": lambda t: int(t.replace(tzinfo=UTC).timestamp()) * 10**6,
    "nanosecond integers": lambda t: int(t.replace(tzinfo=UTC).timestamp()) * 10**9,
}


@pytest.mark.parametrize("kind", SPELLINGS)
def test_plain_stamps_with_a_zone(tmp_path, kind):
    path = write(tmp_path, [HEADER, *text_rows(SPELLINGS[kind])])
    assert_expected(load(path).bars)


@pytest.mark.parametrize("spell", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S.000"])
def test_naive_stamps_take_the_zone_given(tmp_path, spell):
    path = write(tmp_path, [HEADER, *text_rows(lambda t: f"{t - timedelta(hours=5):{spell}}")])
    assert_expected(load(path, tz="America/New_York").bars)
    with pytest.raises(SchemaError, match="no time zone") as caught:
        load(path)
    assert "--tz" in caught.value.fix


@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", ["Date Time", "  Datetime ", "TIMESTAMP", "ts_event"])
def test_delimiters_and_header_spellings(tmp_path, sep, header):
    names = [header.replace(" Time", ""), "OPEN", "High", "low", " Close", "Vol"]
    path = write(tmp_path, [sep.join(names), *text_rows(iso, sep=sep)])
    assert_expected(load(path).bars)


def test_quotes_bom_crlf_and_empty_lines(tmp_path):
    rows = [f'"{line.split(",")[0]}",{line.split(",", 1)[1]}' for line in text_rows(iso)]
    text = "\ufeff\r\n" + "\r\n".join(['"datetime",' + HEADER.split(",", 1)[1], *rows]) + "\r\n\r\n"
    assert_expected(load(write(tmp_path, text.encode())).bars)


def test_histdata_is_recognised_and_wants_its_zone(tmp_path):
    rows = [";".join(line.split(",")) for line in text_rows(lambda t: f"{t:%Y%m%d %H%M%S}")]
    path = write(tmp_path, rows, "DAT_ASCII_ES.csv")
    assert_expected(load(path, symbol="ES", tz="UTC").bars)
    with pytest.raises(SchemaError) as caught:
        load(path, symbol="ES")
    assert "EST" in caught.value.fix


def test_histdata_fixed_est_differs_from_new_york_in_summer(tmp_path):
    july = datetime(2024, 7, 9, 10, 0)
    rows = text_rows(lambda t: f"{t:%Y%m%d %H%M%S}", start=july)
    path = write(tmp_path, [";".join(line.split(",")) for line in rows])
    first = [load(path, tz=tz).bars.frame["ts"][0].hour for tz in ("EST", "America/New_York")]
    assert first == [15, 14]


def databento(folder: Path, *, fixed: bool, symbols=("ESH4", "NQH4")) -> Path:
    lines = ["ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol"]
    for row in text_rows(lambda t: t.replace(tzinfo=UTC).isoformat()):
        stamp, *prices, volume = row.split(",")
        for number, symbol in enumerate(symbols):
            values = [float(p) * (1 + 3 * number) for p in prices]
            at = datetime.fromisoformat(stamp)
            when = int(at.timestamp()) * 10**9 if fixed else f"{at:%Y-%m-%dT%H:%M:%S}.000000000Z"
            spelled = [f"{v * 1e9:.0f}" if fixed else f"{v:.9f}" for v in values]
            lines.append(",".join([str(when), "33", "1", "7", *spelled, volume, symbol]))
    return write(folder, lines, "glbx.csv")


@pytest.mark.parametrize("fixed", [False, True], ids=["pretty", "raw_int"])
def test_databento_takes_the_rows_of_the_instrument(tmp_path, fixed):
    path = databento(tmp_path, fixed=fixed)
    found = load(path, symbol="ES")
    assert_expected(found.bars)
    assert found.counts == {"other_contract": 40}
    assert found.bars.frame["contract"].unique().to_list() == ["ESH4"]
    assert load(path, symbol="NQ").bars.open[0] == 20_000.0


def test_databento_of_other_symbols_says_which(tmp_path):
    with pytest.raises(SchemaError, match=r"ESH4, NQH4.*none of CL"):
        load(databento(tmp_path, fixed=False), symbol="CL")


def test_two_months_of_one_instrument_must_be_chosen(tmp_path):
    path = databento(tmp_path, fixed=False, symbols=("ESH4", "ESM4"))
    with pytest.raises(SchemaError, match="several contract months"):
        load(path, symbol="ES")
    assert_expected(load(path, symbol="ES", contract="ESH4").bars)
    with pytest.raises(UsageError, match="does not contain contract 'ESZ4'"):
        load(path, symbol="ES", contract="ESZ4")


def pandas_like(folder: Path, zone: str | None, name: str = "ES_5m.parquet") -> Path:
    lines = [HEADER, *text_rows(iso)]
    frame = load(write(folder, lines)).bars.frame
    when = pl.col("ts").dt.convert_time_zone(zone or "UTC")
    when = when if zone else when.dt.replace_time_zone(None)
    frame.with_columns(
        when.cast(pl.Datetime("ns", zone)).alias("date"),
        pl.lit("ESH4").alias("contract"),
        pl.lit(5.0).alias("average"),
        pl.lit(7).alias("barCount"),
    ).drop("ts").write_parquet(folder / name)
    return folder / name


@pytest.mark.parametrize("zone", ["UTC", "US/Eastern", "Asia/Tokyo"])
def test_parquet_of_pandas_with_a_zone(tmp_path, zone):
    assert_expected(load(pandas_like(tmp_path, zone)).bars)


def test_naive_parquet_wants_a_zone(tmp_path):
    path = pandas_like(tmp_path, None)
    with pytest.raises(SchemaError, match="no time zone"):
        load(path)
    assert_expected(load(path, tz="UTC").bars)


MIXED = ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M")


def charting(folder: Path, header: str = "Timestamp,Open,High,Low,Close,Volume") -> Path:
    def spell(stamp: datetime) -> str:
        if stamp.minute % 10:
            return f"{stamp.day}/{stamp.month}/{stamp.year} {stamp.hour}:{stamp:%M}"
        return f"{stamp:%d/%m/%Y %H:%M:%S}"

    return write(folder, [header, *text_rows(spell)])


def test_charting_export_with_two_spellings(tmp_path):
    path = charting(tmp_path)
    assert_expected(load(path, tz="UTC", formats=MIXED).bars)
    assert_expected(load(path, tz="UTC", formats=MIXED, layout="charting").bars)
    with pytest.raises(SchemaError, match=r"line 2.*05/03/2024 15:00:00.*not ISO") as caught:
        load(path, tz="UTC")
    assert "--format" in caught.value.fix
    with pytest.raises(SchemaError, match=r"line 3: timestamp '5/3/2024 15:05' cannot be read"):
        load(path, tz="UTC", formats=MIXED[:1])


def test_charting_layout_wants_format_and_zone(tmp_path):
    with pytest.raises(UsageError, match="timestamp format and a time zone"):
        load(charting(tmp_path), layout="charting", tz="UTC")


def test_header_typo_names_the_column_and_the_way_out(tmp_path):
    path = charting(tmp_path, "Timestamp,Open,High,Llow,Close,Volume")
    with pytest.raises(SchemaError, match=r"no column low.*'Llow' looks like a typo") as caught:
        load(path)
    assert "--column low=Llow" in caught.value.fix
    assert_expected(load(path, tz="UTC", formats=MIXED, columns={"low": "Llow"}).bars)


def test_end_stamps_move_to_the_open(tmp_path):
    late = text_rows(lambda t: iso(t + timedelta(minutes=5)))
    assert_expected(load(write(tmp_path, [HEADER, *late]), stamps="end").bars)


def test_source_without_volume_must_be_stated(tmp_path):
    lines = [line.rsplit(",", 1)[0] for line in [HEADER, *text_rows(iso)]]
    path = write(tmp_path, lines)
    with pytest.raises(SchemaError, match="no column volume") as caught:
        load(path)
    assert "volume=none" in caught.value.fix
    assert load(path, columns={"volume": "none"}).bars.volume.max() == 0.0


# -- clock changes ----------------------------------------------------------------


def test_a_stamp_that_never_occurs_is_named_or_dropped(tmp_path):
    rows = text_rows(lambda t: f"{t:%Y-%m-%d %H:%M:%S}", start=datetime(2024, 3, 10, 1, 0))
    path = write(tmp_path, [HEADER, *rows])
    with pytest.raises(SchemaError, match=r"line 14: timestamp 2024-03-10 02:00:00 never occurs"):
        load(path, tz="America/New_York")
    found = load(path, tz="America/New_York", policy="drop", accept_quality=True)
    assert found.counts == {"no_stamp": 12}


def test_a_stamp_that_occurs_twice_is_named_or_dropped(tmp_path):
    rows = text_rows(lambda t: f"{t:%Y-%m-%d %H:%M:%S}", start=datetime(2024, 11, 3, 0, 0))
    path = write(tmp_path, [HEADER, *rows])
    with pytest.raises(SchemaError, match=r"line 14: timestamp 2024-11-03 01:00:00 occurs twice"):
        load(path, tz="America/New_York")
    found = load(path, tz="America/New_York", policy="drop", accept_quality=True)
    assert found.counts == {"no_stamp": 12}


# -- symbol, timeframe, span --------------------------------------------------------


def test_the_option_names_the_instrument():
    assert parse_data_option("es=/x/y.csv") == ("ES", Path("/x/y.csv"))
    assert parse_data_option("/x/a=b.csv") == (None, Path("/x/a=b.csv"))
    for text in ("", "=x", "ES="):
        with pytest.raises(UsageError):
            parse_data_option(text)


def test_a_bare_name_must_be_a_known_instrument(tmp_path):
    with pytest.raises(ContractError, match="'PRICES'") as caught:
        load(plain(tmp_path, "prices_5m.csv"))
    assert "ES=prices_5m.csv" in caught.value.fix
    with pytest.raises(ContractError, match="if it is a contract month, say ES="):
        load(plain(tmp_path, "ESH4_5m.csv"))
    with pytest.raises(ContractError, match="did you mean"):
        load(plain(tmp_path), symbol="ESX")


def test_timeframe_is_the_modal_step(tmp_path):
    path = plain(tmp_path)
    assert load(path, timeframe="5m").bars.timeframe == Timeframe(300)
    with pytest.raises(SchemaError, match="usual step is 5m, not 1h"):
        load(path, timeframe=Timeframe(3600))


def test_from_and_to_are_trading_dates(tmp_path):
    path = plain(tmp_path, rows=1200)
    whole = load(path, accept_quality=True).bars
    day = date(2024, 3, 6)
    part = load(path, date_from=day, date_to=day, accept_quality=True).bars
    assert 0 < len(part) < len(whole)
    assert f"{part.frame['ts'][0]:%m-%d %H:%M}" == "03-05 23:00"
    assert f"{part.frame['ts'][-1]:%m-%d %H:%M}" == "03-06 22:55"
    with pytest.raises(SchemaError, match="fewer than two bars"):
        load(path, date_from=date(2030, 1, 1))


# -- folders -------------------------------------------------------------------------


def test_a_folder_joins_the_files_of_one_stream(tmp_path):
    lines = text_rows(iso)
    write(tmp_path, [HEADER, *lines[20:]], "ES_b.csv")
    write(tmp_path, [HEADER, *lines[:20]], "ES_z.csv")
    (tmp_path / "notes.md").write_text("not bars")
    assert_expected(load(tmp_path).bars)


def test_overlapping_files_are_an_error(tmp_path):
    lines = text_rows(iso)
    write(tmp_path, [HEADER, *lines[10:]], "ES_b.csv")
    write(tmp_path, [HEADER, *lines[:20]], "ES_z.csv")
    with pytest.raises(SchemaError, match=r"ES_b\.csv begins at .* before ES_z\.csv ends"):
        load(tmp_path)


def test_a_folder_of_several_streams(tmp_path):
    plain(tmp_path)
    plain(tmp_path, "NQ_5m.csv")
    with pytest.raises(UsageError, match="several streams"):
        load(tmp_path)
    assert [item.bars.stream for item in load_many([str(tmp_path)])] == ["ES/5m", "NQ/5m"]


def test_the_same_stream_twice_is_a_usage_error(tmp_path):
    path = plain(tmp_path)
    with pytest.raises(UsageError, match="both hold ES/5m"):
        load_many([str(path), (None, path)])


# -- refused by name -------------------------------------------------------------------


def zipped(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "0,1,1,1,1,1\n")
    return buffer.getvalue()


KLINE = "1637971200000,1,2,0.5,1.5,3,1637971259999,1,79,1,0.5,0\n"
REFUSED = {
    "DBN": (b"DBN\x02rest", "Databento DBN"),
    "DBZ": (b"\x50\x2a\x4d\x18rest", "Databento DBZ"),
    "zstd": (b"\x28\xb5\x2f\xfdrest", "zstd"),
    "LEAN zip": (zipped(["20131218_es_minute_trade_201312.csv"]), "LEAN zip"),
    "zip": (zipped(["a.csv"]), "a zip archive"),
    "workbook": (zipped(["xl/workbook.xml"]), "Excel"),
    "damaged zip": (b"PK\x03\x04broken", "damaged zip"),
    "gzip": (gzip.compress(b"x"), "gzip"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "feather": (b"ARROW1\x00\x00", "Arrow IPC"),
    "kline": (KLINE.encode() * 3, "Binance kline"),
    "kline header": (b"open_time,open,high,low,close,volume\n1,1,1,1,1,1\n", "Binance kline"),
    "MT5": (b"<DATE>\t<TIME>\t<OPEN>\n2024.01.02\t01:00\t1\n", "MT5"),
    "MT5 script": (b"time,open,high,low,close,volume\n2024-01-02 01:00:00,1,1,1,1,1\n", "MT5"),
    "LEAN csv": (b"0,1780,1780,1780,1780,24\n60000,1,1,1,1,10\n", "LEAN CSV"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_known_but_unread_kinds_are_refused_by_name(tmp_path, kind):
    content, words = REFUSED[kind]
    with pytest.raises(UnsupportedFormatError, match=words) as caught:
        load(write(tmp_path, content))
    assert caught.value.exit_code == 4
    assert caught.value.fix


def test_a_stated_layout_overrides_the_guess(tmp_path):
    naive = text_rows(lambda t: f"{t:%Y-%m-%d %H:%M:%S}")
    path = write(tmp_path, ["time,open,high,low,close,volume", *naive])
    assert_expected(load(path, layout="plain", tz="UTC").bars)


# -- junk ----------------------------------------------------------------------------------

GOOD = text_rows(iso, rows=6)
JUNK = {
    "empty": b"",
    "blank lines": b"\n\n\n",
    "header only": (HEADER + "\n").encode(),
    "one bar": (HEADER + "\n" + GOOD[0]).encode(),
    "binary": bytes(range(256)) * 40,
    "nul bytes": (HEADER + "\n" + GOOD[0] + "\x00").encode(),
    "latin-1": (HEADER + "\nä").encode("latin-1") * 3,
    "utf-16": (HEADER + "\n").encode("utf-16"),
    "damaged parquet": b"PAR1" + b"junk" * 40,
    "prose": b"the quick brown fox\njumps over\n",
    "json": b'[{"datetime": 1}]',
    "html": b"<html><body>404</body></html>",
    "numbers without header": b"1.5,2.5,3.5\n1.5,2.5,3.5\n",
    "wrong columns": b"a,b,c\n1,2,3\n",
    "close only": b"datetime,close\n2024-01-02 00:00:00Z,5\n",
    "ragged": "\n".join([HEADER, *GOOD[:3], GOOD[3] + ",9", *GOOD[4:]]).encode(),
    "short row": "\n".join([HEADER, *GOOD[:3], "2024-03-05"]).encode(),
    "word for a price": "\n".join([HEADER, GOOD[0].replace("5000.0", "high")]).encode(),
    "decimal comma": b"datetime;open;high;low;close;volume\n2024-01-02 00:00:00Z;1,5;2;1;1;1\n",
    "nan": "\n".join([HEADER, GOOD[0].replace("5000.0", "nan"), *GOOD[1:]]).encode(),
    "blank price": "\n".join([HEADER, GOOD[0].replace("5000.0", ""), *GOOD[1:]]).encode(),
    "infinity": "\n".join([HEADER, GOOD[0].replace("5000.0", "inf"), *GOOD[1:]]).encode(),
    "negative": "\n".join([HEADER, GOOD[0].replace("5000.0", "-5"), *GOOD[1:]]).encode(),
    "unsorted": "\n".join([HEADER, *GOOD[::-1]]).encode(),
    "duplicated": "\n".join([HEADER, *GOOD, GOOD[-1]]).encode(),
    "mixed zones": "\n".join([HEADER, GOOD[0], GOOD[1].replace("+00:00", ""), *GOOD[2:]]).encode(),
    "no stamp": "\n".join([HEADER, GOOD[0], "," + GOOD[1].split(",", 1)[1], *GOOD[2:]]).encode(),
    "broken stamp": "\n".join([HEADER, GOOD[0].replace("03-05", "13-45"), *GOOD[1:]]).encode(),
    "tiny integers": b"datetime,open,high,low,close,volume\n1,1,1,1,1,1\n2,1,1,1,1,1\n",
    "negative volume": "\n".join([HEADER, *[g.rsplit(",", 1)[0] + ",-1" for g in GOOD]]).encode(),
    "doubled header": b"datetime,open,open,high,low,close,volume\n1,1,1,1,1,1,1\n",
    "date and time apart": b"date,time,open,high,low,close,volume\n2024-01-02,00:00,1,1,1,1,1\n",
    "header lacks a name": b"Date,Open,High,Low,Close,Volume\n2024-01-02,09:00,1,1,1,1,1\n",
    "booleans": b"datetime,open,high,low,close,volume\ntrue,1,1,1,1,1\nfalse,1,1,1,1,1\n",
    "uneven steps": "\n".join([HEADER, *text_rows(
        lambda t: f"{t:%Y-%m-%dT%H:%M:%S}.{t.minute:03}Z", rows=6)]).encode(),
}  # fmt: skip


@pytest.mark.parametrize("kind", JUNK)
def test_junk_is_a_typed_error_that_names_the_file(tmp_path, kind):
    with pytest.raises(SchemaError) as caught:
        load(write(tmp_path, JUNK[kind]))
    assert "ES_5m.csv" in caught.value.problem
    assert caught.value.exit_code == 4


def test_the_name_of_the_bad_cell(tmp_path):
    lines = [HEADER, *GOOD]
    lines[3] = lines[3].replace(",5000.5,", ",abc,", 1)
    with pytest.raises(SchemaError, match=r"line 4 \(2024-03-05 15:10:00\+00:00\): open is 'abc'"):
        load(write(tmp_path, lines))


def code_of(path: Path) -> int:
    """Load and return the exit code of the expected error; others escape."""
    try:
        load(path, accept_quality=True)
    except FFMError as err:
        return err.exit_code
    return 0


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_never_escapes(tmp_path, seed):
    rng = np.random.default_rng(seed)
    raw = bytearray("\n".join([HEADER, *GOOD]).encode())
    for _ in range(int(rng.integers(1, 6))):
        raw[int(rng.integers(len(raw)))] = int(rng.integers(256))
    assert code_of(write(tmp_path, bytes(raw))) in (0, 2, 4)


@pytest.mark.parametrize("seed", range(15))
def test_a_cut_parquet_file_never_escapes(tmp_path, seed):
    path = pandas_like(tmp_path, "UTC")
    raw = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for _ in range(3):
        raw[int(rng.integers(len(raw)))] ^= int(rng.integers(1, 256))
    cut = write(tmp_path, bytes(raw[: int(rng.integers(8, len(raw) + 1))]), "ES_x.parquet")
    assert code_of(cut) in (0, 4)


def test_parquet_of_words_is_an_error(tmp_path):
    pl.DataFrame({name: ["a", "b"] for name in HEADER.split(",")}).write_parquet(
        tmp_path / "ES.parquet"
    )
    with pytest.raises(SchemaError, match="expected numbers"):
        load(tmp_path / "ES.parquet")


def test_a_stamp_column_of_floats_is_an_error(tmp_path):
    frame = pl.DataFrame({name: [1.0, 2.0] for name in HEADER.split(",")})
    frame.write_parquet(tmp_path / "ES.parquet")
    with pytest.raises(SchemaError, match="expected date and time"):
        load(tmp_path / "ES.parquet")


def test_absent_path_and_folder_without_bars(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path / "ES_5m.csv")
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(DataError, match="contains no bar files"):
        load(tmp_path)


def test_an_unreadable_file_is_a_data_error(tmp_path, monkeypatch):
    path = plain(tmp_path)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="Permission denied"):
        load(path)


@pytest.mark.parametrize(
    "option",
    [
        {"tz": "Mars/Base"},
        {"stamps": "middle"},
        {"layout": "excel"},
        {"policy": "mend"},
        {"columns": {"price": "Open"}},
        {"columns": {"low": "Lo"}},
        {"contract": "ESH4"},
        {"timeframe": "5 parsecs"},
    ],
    ids=str,
)
def test_wrong_options_are_usage_errors(tmp_path, option):
    with pytest.raises(UsageError) as caught:
        load(plain(tmp_path), **option)
    assert caught.value.exit_code == 2


def test_refused_quality_needs_consent(tmp_path):
    def cents(number: int, stamp: datetime) -> str:
        price = 66 + 0.01 * (number % 17)
        return f"{iso(stamp)},{price},{price + 0.02},{price - 0.02},{price},5"

    rows = [cents(number, stamp) for number, stamp in enumerate(stamps())]
    odd = write(tmp_path, [HEADER, *rows])
    with pytest.raises(DataQualityError, match="tick grid") as caught:
        load(odd)
    assert "--accept-quality" in caught.value.fix
    assert caught.value.exit_code == 4
    assert load(odd, accept_quality=True).audit.level == "refuse"


def test_reading_twice_gives_the_same_hash(tmp_path):
    path = plain(tmp_path)
    parquet = pandas_like(tmp_path, "UTC")
    first = load(path).bars
    assert first.sha256 == load(path).bars.sha256
    assert first.frame.equals(load(parquet).bars.frame.drop("contract"))
