"""Real files, clean and broken; skipped where they are absent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ffm_core.bars.readers import load
from ffm_core.bars.sessions import day_grid, holes, session_end_mask, sessions_of, trading_days
from ffm_core.cli import main
from ffm_core.errors import DataQualityError, SchemaError, UnsupportedFormatError

LEVELS = {
    "ES_5m": "warn",
    "NQ_5m": "warn",
    "RTY_5m": "warn",
    "CL_5m": "warn",
    "GC_5m": "warn",
    "SI_5m": "warn",
    "ZC_5m": "warn",
    "NQ_30m": "warn",
    "CL_30m": "warn",
    "QQQ_15m": "info",
    "GLD_15m": "warn",
    "XAUUSD_1h": "warn",
    "XAUUSD_tickvol_1h": "warn",
    "BTCUSDT_1h": "info",
    "ETHUSDT_1h": "warn",
    "SOLUSDT_1h": "info",
    "BTCPERP_1m": "info",
    "EURUSD_1m": "info",
    "variants/SI_backadj_5m": "warn",
    "variants/ZC_backadj_5m": "warn",
    "variants/6E_backadj_5m": "warn",
    "variants/NQ_backadj_1h": "warn",
    "variants/GC_backadj_1h": "warn",
}


def real(data_dir: Path, name: str) -> Path:
    return data_dir / "real" / f"{name}.parquet"


@pytest.mark.parametrize("name", LEVELS)
def test_usable_files_load(data_dir, name):
    found = load(real(data_dir, name))
    assert found.audit.level == LEVELS[name], found.audit
    days, _ = day_grid(found.bars)
    assert np.isin(trading_days(found.bars), days).all()


def test_end_stamped_bars_move_to_their_open(data_dir):
    found = load(real(data_dir, "FESX_1m"), stamps="end")
    first = found.bars.frame["ts"][0]
    assert first == datetime(2006, 1, 2, 8, 0, tzinfo=UTC)
    assert "closed_market" not in found.audit.codes()
    assert "closed_market" in load(real(data_dir, "FESX_1m")).audit.codes()


ERRORS = {
    "ES_close_only_1m": (SchemaError, "no column open, high, low, volume"),
    "ES_bidask_1m": (SchemaError, "volume is -1 in every row"),
    "NQ_30m_dayfirst_swapped": (SchemaError, "no time zone"),
    "ES_wrong_instrument_1m": (DataQualityError, "off the 0.25 tick grid of ES"),
    "NQ_30m_deferred_segment": (DataQualityError, "less than 1 % of the volume"),
    "6E_botched_backadj_5m": (DataQualityError, "implausible jumps"),
    "NG_5m": (DataQualityError, "implausible jumps"),
    "PL_1m": (DataQualityError, "had no trade"),
}
ACCEPTABLE = [name for name, (kind, _) in ERRORS.items() if kind is DataQualityError]


@pytest.mark.parametrize("name", ERRORS)
def test_broken_files_say_why(data_dir, name):
    kind, words = ERRORS[name]
    with pytest.raises(kind, match=words):
        load(real(data_dir, f"broken/{name}"))


@pytest.mark.parametrize("name", ACCEPTABLE)
def test_refused_files_load_with_consent(data_dir, name):
    found = load(real(data_dir, f"broken/{name}"), accept_quality=True)
    assert found.audit.level == "refuse"


def test_a_zone_does_not_save_swapped_days(data_dir):
    path = real(data_dir, "broken/NQ_30m_dayfirst_swapped")
    found = load(path, tz="UTC", accept_quality=True)
    assert {"steps", "weekend_bars"} <= set(found.audit.codes("refuse"))


@pytest.mark.parametrize("name", ERRORS)
def test_broken_files_exit_4(data_dir, name, capsys):
    with pytest.raises(SystemExit) as left:
        main(["data", "check", str(real(data_dir, f"broken/{name}"))])
    assert left.value.code == 4
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ES", "NQ", "RTY", "CL"])
def test_several_months_must_be_chosen(data_dir, name):
    path = real(data_dir, f"contracts/{name}_contracts_30m")
    with pytest.raises(SchemaError, match="several contract months"):
        load(path)
    month = f"{name}U4"
    assert load(path, contract=month).bars.frame["contract"].unique().to_list() == [month]


MIXED = ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M")


def test_charting_fixtures_equal_the_canonical_files(data_dir):
    for name, symbol, columns in (
        ("NQ_30min_ETH_mixed_date_formats_head.csv", "NQ", {}),
        ("CL_30min_ETH_header_typo_head.csv", "CL", {"low": "Llow"}),
    ):
        path = data_dir / "raw" / "charting" / name
        raw = load(path, tz="Asia/Jerusalem", formats=MIXED, columns=columns).bars
        whole = load(real(data_dir, f"{symbol}_30m")).bars.frame
        both = whole.join(raw.frame, on="ts", suffix="_raw")
        assert both.height == len(raw)
        assert (both["close"] == both["close_raw"]).all()


def test_histdata_fixture_equals_the_canonical_file(data_dir):
    path = data_dir / "raw" / "histdata" / "DAT_ASCII_EURUSD_M1_201703_dst_week.csv"
    raw = load(path, symbol="EURUSD", tz="America/New_York").bars
    whole = load(real(data_dir, "EURUSD_1m")).bars.frame
    both = whole.join(raw.frame, on="ts", suffix="_raw")
    assert both.height == len(raw)
    assert (both["close"] == both["close_raw"]).all()


def test_both_databento_styles_agree(data_dir):
    place = data_dir / "raw" / "databento"
    pretty, fixed = (next(place.glob(f"*.{style}.csv")) for style in ("pretty", "raw_int"))
    for symbol in ("ES", "NQ"):
        one, two = load(pretty, symbol=symbol).bars, load(fixed, symbol=symbol).bars
        assert one.frame.equals(two.frame)
        assert one.sha256 == two.sha256


def test_broker_fixtures_with_and_without_a_zone(data_dir):
    place = data_dir / "raw" / "ib"
    es = load(place / "ES_5m_ib_cache_head.parquet", tz="UTC").bars
    whole = load(real(data_dir, "ES_5m")).bars
    assert es.frame.drop("contract").equals(whole[: len(es)].frame)
    ng = load(place / "NG_5m_ib_cache_eastern_tz_head.parquet").bars
    assert f"{ng.frame['ts'][0]:%H:%M}" == "23:00"


REFUSED = {
    "databento/test_data.ohlcv-1m.dbn": "DBN",
    "databento/test_data.ohlcv-1m.dbz": "DBZ",
    "databento/futures_definition.dbn.zst": "DBN",
    "lean/es_20131218_trade.zip": "LEAN",
    "binance/ADABTC-1m-2021-11-27.csv": "Binance",
    "charting/NAS100_H4_mt5_export_head.csv": "MT5",
}


@pytest.mark.parametrize("name", REFUSED)
def test_unread_kinds_are_refused_by_name(data_dir, name):
    with pytest.raises(UnsupportedFormatError, match=REFUSED[name]):
        load(data_dir / "raw" / name, symbol="ES")


def test_header_without_its_time_column(data_dir):
    path = data_dir / "raw" / "misc" / "FESX_2006_1m_header_missing_time_column_head.txt"
    with pytest.raises(SchemaError, match="7 names, line 2 has 8 fields"):
        load(path)


# Sessions that the files themselves cut short (download holes), not the exchange.
HOLES = {
    "ES_5m": set(),
    "CL_5m": set(),
    "CL_30m": {"2022-10-06", "2022-10-07"},
    "NQ_30m": {"2020-07-09", "2020-07-10", "2022-04-28"},
}


@pytest.mark.parametrize("name", ["ES_5m", "CL_5m", "CL_30m", "NQ_30m"])
def test_the_last_bar_of_every_session_ends_at_the_calendar_close(data_dir, name):
    bars = load(real(data_dir, name)).bars
    days = trading_days(bars)
    last = np.flatnonzero(np.diff(days))
    closes = sessions_of(bars)
    scheduled = closes.close_us[np.searchsorted(closes.days, days[last])]
    late = np.abs(bars.ts_us[last] + bars.timeframe.us - scheduled) >= bars.timeframe.us
    odd = {str(np.datetime64(int(day), "D")) for day in days[last][late]}
    assert odd <= HOLES[name]
    assert session_end_mask(bars)[last][~late].all()
    assert session_end_mask(bars).sum() >= (~late).sum()


@pytest.mark.parametrize(
    ("name", "fewest", "most"),
    [("ES_5m", 1, 1), ("CL_5m", 1, 1), ("NQ_30m", 3, 3), ("BTCUSDT_1h", 0, 0), ("QQQ_15m", 0, 0),
     ("EURUSD_1m", 0, 0), ("NQ_5m", 75, 80), ("variants/6E_backadj_5m", 65, 75),
     ("GC_5m", 100, 200), ("SI_5m", 300, 700)],
)  # fmt: skip
def test_holes_are_those_that_the_files_are_known_to_have(data_dir, name, fewest, most):
    assert fewest <= holes(load(real(data_dir, name)).bars)[-1] <= most
