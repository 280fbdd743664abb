"""Data files in every layout the pages speak of, made of the simulated market."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl

from ffm_core.bars import Bars
from ffm_core.bars.simulate import market

NEW_YORK = "America/New_York"
PRICES = ("open", "high", "low", "close")


def write_all(folder: Path) -> None:
    """Write the files that ``bring-your-data.md`` reads."""
    half_hours = market("SIMA7", months=24, timeframe="30m")
    month = market("SIMA8", months=1, timeframe="5m")
    _plain(half_hours, folder / "ES_30m.csv")
    _end_stamped(half_hours, folder / "nasdaq.csv")
    _dirty(half_hours, folder / "NQ_dirty.csv")
    _parts(half_hours, folder / "es-years")
    _histdata(month, folder / "DAT_ASCII_EURUSD_M1_202201.csv")
    _databento(month, folder / "glbx-ohlcv.csv")
    _broker(month, folder / "ES_5m_broker.parquet")
    _charting(half_hours, folder / "NQ - 30 min.csv")
    _plain(half_hours, folder / "BRENT_30m.csv")


def write_one(path: Path) -> None:
    """Write two years of bars with naive New York stamps."""
    _plain(market("SIMA7", months=24, timeframe="30m"), path)


def _columns(bars: Bars) -> pl.DataFrame:
    return bars.frame.select("ts", *PRICES, pl.col("volume").cast(pl.Int64))


def _local(bars: Bars, shift: timedelta = timedelta()) -> pl.DataFrame:
    stamp = (pl.col("ts") + shift).dt.convert_time_zone(NEW_YORK).dt.strftime("%F %T")
    return _columns(bars).select(stamp.alias("datetime"), pl.exclude("ts"))


def _plain(bars: Bars, path: Path) -> None:
    _local(bars).write_csv(path)


def _end_stamped(bars: Bars, path: Path) -> None:
    _local(bars, timedelta(microseconds=bars.timeframe.us)).write_csv(path)


def _dirty(bars: Bars, path: Path) -> None:
    frame = _local(bars)
    pl.concat([frame[:500], frame[499:]]).write_csv(path)


def _parts(bars: Bars, folder: Path) -> None:
    folder.mkdir()
    half = len(bars) // 2
    _plain(bars[:half], folder / "ES_first.csv")
    _plain(bars[half:], folder / "ES_second.csv")


def _histdata(bars: Bars, path: Path) -> None:
    frame = _columns(bars)
    stamp = pl.col("ts").dt.convert_time_zone("EST").dt.strftime("%Y%m%d %H%M%S")
    prices = [(1.1 + (pl.col(name) - 12_000) * 4e-5).round(5).alias(name) for name in PRICES]
    rows = frame.select(stamp, *prices, pl.lit(0).alias("volume"))
    rows.write_csv(path, separator=";", include_header=False)


def _databento(bars: Bars, path: Path) -> None:
    stamp = pl.col("ts").dt.strftime("%FT%T.%fZ").alias("ts_event")
    names = {"rtype": 33, "publisher_id": 1, "instrument_id": 118}
    constants = [pl.lit(value).alias(name) for name, value in names.items()]
    frame = _columns(bars)
    body = frame.select(stamp, *constants, *PRICES, "volume", pl.lit("ESH2").alias("symbol"))
    body.write_csv(path, float_precision=9)


def _broker(bars: Bars, path: Path) -> None:
    frame = _columns(bars).rename({"ts": "date"})
    extra = [pl.lit(7).alias("barCount"), pl.col("close").alias("average")]
    frame.with_columns(pl.col("date").dt.convert_time_zone(NEW_YORK), *extra).write_parquet(path)


def _charting(bars: Bars, path: Path) -> None:
    stamp = pl.col("ts").dt.convert_time_zone(NEW_YORK).dt.strftime("%d/%m/%Y %H:%M:%S")
    frame = _columns(bars).select(stamp.alias("Timestamp"), pl.exclude("ts"))
    frame.rename({"low": "Llow"}).write_csv(path)
