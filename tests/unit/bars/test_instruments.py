from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ffm_core.bars.instrument import Instrument
from ffm_core.bars.instruments import (
    declare,
    is_known,
    known,
    lookup,
    minutes_of_day,
    undercuts,
)
from ffm_core.errors import ContractError
from ffm_core.paths import ffm_home

# Tick, money per tick, money per point: the exchanges' contract specifications.
SPECIFIED = {
    "ES": (0.25, 12.50, 50),
    "NQ": (0.25, 5.00, 20),
    "RTY": (0.10, 5.00, 50),
    "YM": (1.00, 5.00, 5),
    "MES": (0.25, 1.25, 5),
    "MNQ": (0.25, 0.50, 2),
    "CL": (0.01, 10.00, 1_000),
    "NG": (0.001, 10.00, 10_000),
    "GC": (0.10, 10.00, 100),
    "SI": (0.005, 25.00, 5_000),
    "PL": (0.10, 5.00, 50),
    "ZN": (1 / 64, 15.625, 1_000),
    "ZB": (1 / 32, 31.25, 1_000),
    "ZF": (1 / 128, 7.8125, 1_000),
    "6E": (0.00005, 6.25, 125_000),
    "6J": (0.0000005, 6.25, 12_500_000),
    "ZC": (0.25, 12.50, 50),
    "NIY": (5.0, 2_500, 500),
    "FESX": (1.0, 10.0, 10),
    "M2K": (0.10, 0.50, 5),
    "MYM": (1.0, 0.50, 0.5),
    "MGC": (0.10, 1.00, 10),
    "SIL": (0.005, 5.00, 1_000),
    "MCL": (0.01, 1.00, 100),
}


@pytest.mark.parametrize("symbol", sorted(SPECIFIED))
def test_contract_is_worth_what_the_exchange_says(symbol):
    tick, tick_value, point_value = SPECIFIED[symbol]
    row = lookup(symbol)
    assert row.tick_size == pytest.approx(tick, abs=1e-15)
    assert row.tick_value == pytest.approx(tick_value, abs=1e-9)
    assert row.point_value == point_value


@pytest.mark.parametrize("row", known(), ids=lambda row: row.symbol)
def test_every_row_is_complete(row: Instrument):
    assert row.tick_value == pytest.approx(row.tick_size * row.point_value, rel=1e-12)
    assert row.source
    assert row.cost_points() > 0
    assert (row.kind == "future") == bool(row.months)
    assert set(row.months) <= set("FGHJKMNQUVXZ")


def test_ten_points_of_the_micro_are_fifty_dollars():
    assert lookup("MES").money(10.0) == 50.0
    assert lookup("MES").money(6000.0) == 30_000.0


def test_currencies_and_zones():
    assert lookup("NIY").currency == "JPY"
    assert lookup("NIY").rth_timezone == "Asia/Tokyo"
    assert lookup("FESX").currency == "EUR"
    assert lookup("btcusdt").calendar == "24/7"


def test_unknown_symbol_suggests_and_says_how_to_declare():
    with pytest.raises(ContractError) as caught:
        lookup("ESX")
    assert "did you mean" in caught.value.problem
    assert "ES" in caught.value.problem
    assert "[instrument.ESX]" in caught.value.fix
    assert caught.value.exit_code == 4
    assert not is_known("ESX")


def test_simulated_symbols_come_from_the_simulator():
    assert lookup("sima7").kind == "simulated"
    assert not is_known("SIM")


def _declared(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_declared_instrument_starts_from_a_known_one():
    path = ffm_home() / "instruments.toml"
    assert not is_known("EMD")
    _declared(path, '[instrument.EMD]\nlike = "ES"\nname = "Midcap"\ntick_size = 0.1\n'
                    "point_value = 100\n")  # fmt: skip
    row = lookup("EMD")
    assert (row.tick_size, row.point_value, row.calendar) == (0.1, 100.0, "CME Globex Equity")
    assert "EMD" in {found.symbol for found in known()}


def test_a_file_wins_over_the_table(tmp_path):
    path = _declared(tmp_path / "own.toml", '[instrument.ES]\nlike = "ES"\nfees_per_side = 9\n')
    assert lookup("ES", declared=path).fees_per_side == 9.0
    assert lookup("ES").fees_per_side != 9.0


BAD = {
    "not toml": ("[instrument", "not a TOML file"),
    "no table": ("x = 1\n", "contains no"),
    "not a table": ("[instrument]\nES = 3\n", "not a table"),
    "missing field": ('[instrument.X]\nname = "x"\n', "is missing"),
    "unknown field": ('[instrument.X]\nlike = "ES"\ntick = 1\n', "tick_size"),
    "unknown like": ('[instrument.X]\nlike = "EX"\n', "did you mean"),
    "wrong type": ('[instrument.X]\nlike = "ES"\ntick_size = "a"\n', "must be a number"),
    "wrong text": ('[instrument.X]\nlike = "ES"\nname = 3\n', "must be text"),
    "zero tick": ('[instrument.X]\nlike = "ES"\ntick_size = 0\n', "must be positive"),
    "zone": ('[instrument.X]\nlike = "ES"\ntimezone = "Mars/Base"\n', "not an IANA time zone"),
    "clock": ('[instrument.X]\nlike = "ES"\nsession_open = "25 past"\n', "must be HH:MM"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_declaration_names_the_fault(tmp_path, kind):
    text, words = BAD[kind]
    with pytest.raises(ContractError, match=words):
        declare(_declared(tmp_path / "own.toml", text))


def test_absent_declaration_is_an_error(tmp_path):
    with pytest.raises(ContractError, match="cannot be read"):
        lookup("ES", declared=tmp_path / "none.toml")


def test_minutes_of_day():
    assert minutes_of_day("18:05") == 1085
    for text in ("24:01", "-1:00", "07:60", "7", "a:b"):
        with pytest.raises(ValueError):
            minutes_of_day(text)


@pytest.mark.parametrize("row", [*known(), lookup("SIMA7")], ids=lambda row: row.symbol)
def test_what_ffm_ships_is_no_override_of_itself(row):
    assert not undercuts(row)
    assert not undercuts(replace(row, fees_per_side=row.fees_per_side + 1))


@pytest.mark.parametrize(
    "change",
    [
        {"commission_per_side": 0.0, "fees_per_side": 0.0},
        {"fees_per_side": 1.0},
        {"slippage_ticks": 0.0},
        {"point_value": 500.0},  # ten times the money per point, a tenth of the costs in points
        {"symbol": "MYES", "commission_per_side": 0.0, "fees_per_side": 0.0},
        {"symbol": "MYES", "slippage_ticks": 0.5},
    ],
)
def test_costs_below_those_ffm_would_charge_are_an_override(change):
    assert undercuts(replace(lookup("ES"), **change))


def test_a_new_contract_with_costs_of_its_own_is_none():
    assert not undercuts(replace(lookup("ES"), symbol="MYES", fees_per_side=0.1))
    assert not undercuts(replace(lookup("EURUSD"), symbol="MYPAIR"))


def test_a_perpetual_charges_a_share_of_the_price():
    row = lookup("BTCUSDT")
    assert row.fee_rate_per_side == 0.0005
    assert row.cost_points(0.0) == 0.0
    assert row.cost_points(0.0, price=60_000.0) == pytest.approx(60.0)
    assert undercuts(replace(row, fee_rate_per_side=0.0004))


def test_money_beside_an_inherited_share_of_the_price_has_to_be_meant(tmp_path):
    text = '[instrument.BTCUSDT]\nlike = "BTCUSDT"\nfees_per_side = 30\n'
    with pytest.raises(ContractError, match="charges a share of the price"):
        lookup("BTCUSDT", declared=_declared(tmp_path / "own.toml", text))
    meant = _declared(tmp_path / "meant.toml", text + "fee_rate_per_side = 0\n")
    assert lookup("BTCUSDT", declared=meant).cost_points(0.0, price=60_000.0) == 60.0
