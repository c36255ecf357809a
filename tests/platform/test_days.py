import pytest

from alsriaz.platform.days import day_of, day_text, parse_day

EXAMPLES = [
    ("19700101", 0, "the first day"),
    ("1970-01-02", 1, "with hyphens"),
    ("20111209", 15317, "without"),
    ("2012-02-29", 15399, "a leap day"),
]
REFUSED = [
    ("2011-0101", "hyphens are all there or none"),
    ("2011-02-29", "no such day"),
    ("2011-1-1", "digits are padded"),
    ("01/02/2011", "another order"),
    ("", "nothing"),
    ("\uff12\uff10\uff11\uff110101", "digits of another script"),
]


@pytest.mark.parametrize(("text", "day", "why"), EXAMPLES, ids=[why for *_, why in EXAMPLES])
def test_a_day_is_read_and_written(text: str, day: int, why: str) -> None:
    assert parse_day(text) == day
    assert parse_day(day_text(day)) == day


@pytest.mark.parametrize(("text", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_other_texts_are_no_days(text: str, why: str) -> None:
    with pytest.raises(ValueError):
        parse_day(text)


def test_a_date_by_its_numbers() -> None:
    assert day_of(2011, 12, 9) == parse_day("20111209")
