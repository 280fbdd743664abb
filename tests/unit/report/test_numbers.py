from __future__ import annotations

import math

import pytest

from ffm_core.report import numbers


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, "3", True, [], {}])
def test_what_is_no_number_is_blank(value):
    assert numbers.finite(value) is None
    for show in (numbers.decimal, numbers.r_multiple, numbers.count, numbers.percent, numbers.size):
        assert show(value) == "–"


def test_signs_are_true_and_zero_has_none():
    assert numbers.decimal(-1234.5, 1) == "−1,234.5"
    assert numbers.decimal(0.2, signed=True) == "+0.20"
    assert numbers.decimal(-0.001, signed=True) == "0.00"
    assert numbers.r_multiple(-0.4) == "−0.40\N{NO-BREAK SPACE}R"
    assert numbers.percent(0.385) == "38\N{NO-BREAK SPACE}%"


def test_an_interval_needs_both_ends():
    assert numbers.interval([-0.1, 0.2]) == "−0.10 to +0.20"
    assert numbers.interval([None, 0.2]) == "–"
    assert numbers.interval([0.2]) == "–"
    assert numbers.interval(None) == "–"


@pytest.mark.parametrize(
    ("value", "limit", "digits"),
    [(0.0304, 0.03, 4), (0.0296, 0.03, 4), (0.03, 0.03, 3), (0.03 + 1e-13, 0.03, 3),
     (0.0312, 0.03, 3), (-0.0002, 0.0, 4), (0.5, 0.1, 3), (0.07484, 0.07481, 5)],
)  # fmt: skip
def test_digits_are_enough_to_tell_a_value_from_its_limit(value, limit, digits):
    assert numbers.beside([value, None, math.nan], [limit, None], 3) == digits
    shown, against = (float(f"{x:.{digits}f}") for x in (value, limit))
    close = math.isclose(value, limit)
    assert (shown > against, shown < against) == (value > limit and not close, value < limit)


def test_a_limit_is_shown_in_few_digits_where_they_say_it():
    assert numbers.mark(0.03, 2, 5) == 2
    assert numbers.mark(0.07481, 3, 5) == 5
    assert numbers.mark(None, 2, 5) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04123, "0.0412"), (3.14159, "3.14"), (31.4159, "31.4"), (1e6, "1,000,000"), (7, "7"),
     (0, "0")],
)  # fmt: skip
def test_unknown_units_keep_three_digits(value, text):
    assert numbers.size(value) == text


@pytest.mark.parametrize(
    ("value", "noun", "text"),
    [(1, "bar", "1 bar"), (2, "bar", "2 bars"), (0, "test month", "0 test months"),
     (3016, "trade", "3,016 trades"), (2, "day", "2 days"), (2, "entry", "2 entries"),
     (2, "class", "2 classes"), (None, "bar", "– bars")],
)  # fmt: skip
def test_nouns_stand_in_the_right_form(value, noun, text):
    assert numbers.counted(value, noun) == text


def test_dates_and_stamps():
    assert numbers.day("2025-01-04T10:00:00Z") == "2025-01-04"
    assert numbers.minute("2025-01-04T10:00:59Z") == "2025-01-04 10:00"
    assert numbers.day(None) == numbers.minute("") == "–"
