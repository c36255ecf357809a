import pytest

from alsriaz.errors import DataError
from alsriaz.tables.refusals import REASONS, Refusals, RejectedRow


def test_counts_hold_every_reason_in_order() -> None:
    assert tuple(Refusals().counts) == REASONS


def test_samples_stop_at_a_hundred_of_each_reason() -> None:
    refusals = Refusals()
    for number in range(150):
        refusals.sample(RejectedRow("a.csv", number, "date"))
    refusals.sample(RejectedRow("a.csv", 200, "shape", line="x" * 1000))
    assert [row.row for row in refusals.samples] == [*range(100), 200]
    assert refusals.wanted("date") == 0 and refusals.wanted("shape") == 99
    assert refusals.samples[-1].line == "x" * 200


def test_two_files_add_up() -> None:
    first, second = Refusals(rows=10), Refusals(rows=5)
    first.count("customer", 3, bad=1)
    second.count("customer", 2)
    second.count("date", 1, bad=1)
    for number in range(90):
        first.sample(RejectedRow("a.csv", number, "date"))
        second.sample(RejectedRow("b.csv", number, "date"))
    first.add(second)
    assert (first.rows, first.bad, first.counts["customer"], first.counts["date"]) == (15, 2, 5, 1)
    assert len(first.samples) == 100 and first.samples[-1] == RejectedRow("b.csv", 9, "date")


def test_as_many_bad_rows_as_allowed_pass() -> None:
    refusals = Refusals(rows=100)
    refusals.count("shape", 5, bad=5)
    refusals.count("return", 90)
    refusals.refuse_too_many_bad(0.05)
    refusals.count("date", 1, bad=1)
    with pytest.raises(DataError):
        refusals.refuse_too_many_bad(0.05)


def test_no_rows_are_no_bad_rows() -> None:
    Refusals().refuse_too_many_bad(0.0)


def test_too_many_bad_rows_are_told_with_an_example() -> None:
    refusals = Refusals(rows=2000)
    refusals.count("shape", 10, bad=10)
    refusals.count("quantity", 1100, bad=1100)
    refusals.sample(RejectedRow("a.csv", 4, "shape", line="x"))
    refusals.sample(RejectedRow("a.csv", 7, "quantity", "17850", "A", "six", "2010-12-01"))
    with pytest.raises(DataError) as caught:
        refusals.refuse_too_many_bad(0.05)
    assert str(caught.value) == (
        "1,110 of 2,000 rows are bad (1,100 quantity, 10 shape), more than max_bad_rows = 0.05 allows. "
        "First of quantity: a.csv row 7: '17850', 'A', 'six', '2010-12-01'. Mend the file, or what is said about it "
        "(the settings columns, delimiter, date_format); or raise max_bad_rows"
    )


def test_the_example_of_a_shape_is_the_line() -> None:
    assert str(RejectedRow("a.csv", 4, "shape", line="1|2")) == "a.csv row 4: '1|2'"


def test_nothing_left_says_who_took_it() -> None:
    refusals = Refusals(rows=12)
    refusals.count("customer", 4)
    refusals.count("return", 8)
    with pytest.raises(DataError) as caught:
        refusals.refuse_nothing_left()
    assert str(caught.value) == (
        "none of the 12 rows is left: refused were 8 return, 4 customer. "
        "A return is a row with a quantity of 0 or less, or with an invoice that begins with C."
    )
