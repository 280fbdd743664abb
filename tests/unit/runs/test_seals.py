"""A sealed tail is fixed once and opened once."""

from __future__ import annotations

import pytest

from ffm_core.errors import UsageError
from ffm_core.runs.ledger import Ledger
from ffm_core.runs.seals import MINIMUM_DAYS


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path)


def test_the_first_proposal_stands_for_ever(ledger):
    assert ledger.sealed("ES") is None
    assert ledger.seal_day("ES", 20_000) == 20_000
    assert ledger.seal_day("ES", 19_000) == 20_000
    assert ledger.seal_day("ES", 21_000) == 20_000
    assert ledger.seal_day("CL", 21_000) == 21_000
    assert ledger.sealed("ES") == 20_000
    assert [e.kind for e in ledger.events()] == ["genesis", "sealed", "sealed"]


def test_opening_says_where_the_tail_was(ledger):
    ledger.seal_day("ES", 20_000)
    ledger.seal_day("CL", 20_010)
    opened = ledger.unseal({"ES": 20_100, "CL": 20_100}, prereg_hash="a")
    assert opened.first
    assert opened.seal_from == {"ES": 20_000, "CL": 20_010}
    assert opened.newest == {"ES": 20_100, "CL": 20_100}


def test_bars_newer_than_the_last_opened_form_the_next_seal(ledger):
    ledger.seal_day("ES", 20_000)
    ledger.unseal({"ES": 20_100}, prereg_hash="a")
    assert ledger.sealed("ES") == ledger.seal_day("ES", 20_050) == 20_101


def test_the_same_request_again_gives_the_same_answer(ledger):
    ledger.seal_day("ES", 20_000)
    first = ledger.unseal({"ES": 20_100}, prereg_hash="a")
    again = ledger.unseal({"ES": 20_100}, prereg_hash="a")
    assert (again.seal_from, again.newest, again.first) == (first.seal_from, first.newest, False)
    assert [e.kind for e in ledger.events()].count("unsealed") == 1


@pytest.mark.parametrize("newest", [{"ES": 20_101}, {"ES": 20_099}, {"ES": 20_100, "CL": 20_100}])
def test_the_same_registration_with_other_data_is_refused(ledger, newest):
    ledger.seal_day("ES", 20_000)
    ledger.seal_day("CL", 20_000)
    ledger.unseal({"ES": 20_100}, prereg_hash="a")
    with pytest.raises(UsageError, match="cannot be opened again with other data"):
        ledger.unseal(newest, prereg_hash="a")


@pytest.mark.parametrize("newest", [20_100, 20_050, 20_100 + MINIMUM_DAYS - 1])
def test_another_registration_is_too_late(ledger, newest):
    ledger.seal_day("ES", 20_000)
    ledger.unseal({"ES": 20_100}, prereg_hash="a" * 64)
    with pytest.raises(UsageError, match="opened only once") as caught:
        ledger.unseal({"ES": newest}, prereg_hash="b" * 64)
    assert "aaaaaaaaaaaa" in caught.value.problem
    assert ledger.sealed("ES") == 20_101


def test_a_refused_opening_opens_none_of_its_instruments(ledger):
    for name in ("CL", "ES"):
        ledger.seal_day(name, 20_000)
    ledger.unseal({"ES": 20_100}, prereg_hash="a")
    with pytest.raises(UsageError, match="ES"):
        ledger.unseal({"CL": 20_100, "ES": 20_100}, prereg_hash="b")
    assert ledger.sealed("CL") == 20_000


def test_the_next_seal_opens_once_it_is_two_months_long(ledger):
    ledger.seal_day("ES", 20_000)
    ledger.unseal({"ES": 20_100}, prereg_hash="a")
    later = ledger.unseal({"ES": 20_100 + MINIMUM_DAYS}, prereg_hash="b")
    assert later.seal_from == {"ES": 20_101}
    assert ledger.sealed("ES") == 20_101 + MINIMUM_DAYS


def test_what_was_never_sealed_cannot_be_opened(ledger):
    with pytest.raises(UsageError, match="no seal yet"):
        ledger.unseal({"ES": 20_100}, prereg_hash="a")


def test_data_that_end_before_the_seal(ledger):
    ledger.seal_day("ES", 20_000)
    with pytest.raises(UsageError, match="begins on 2024-10-04"):
        ledger.unseal({"ES": 19_999}, prereg_hash="a")


def test_asking_what_would_be_opened_opens_nothing(ledger):
    ledger.seal_day("ES", 20_000)
    asked = ledger.would_unseal({"ES": 20_100}, prereg_hash="a")
    assert (asked.seal_from, asked.first) == ({"ES": 20_000}, True)
    assert [e.kind for e in ledger.events()].count("unsealed") == 0
    assert ledger.unseal({"ES": 20_100}, prereg_hash="a") == asked
    again = ledger.would_unseal({"ES": 20_100}, prereg_hash="a")
    assert (again.seal_from, again.first) == ({"ES": 20_000}, False)
    with pytest.raises(UsageError):
        ledger.would_unseal({"ES": 20_100}, prereg_hash="b")
