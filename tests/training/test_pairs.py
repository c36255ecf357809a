from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsriaz.errors import DataError
from alsriaz.platform.days import Day, day_text, today
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.sales import Purchases
from alsriaz.training.fitting import first_sale_days
from alsriaz.training.pairs import Window, check_enough, find_window, pair_up

CUSTOMERS, ITEMS = [f"c{n}" for n in range(5)], [f"i{n}" for n in range(3)]
Row = tuple[int, int, float, int]


def as_purchases(rows: list[Row]) -> Purchases:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    return Purchases(
        CUSTOMERS,
        ITEMS,
        np.array(columns[0], dtype=np.int32),
        np.array(columns[1], dtype=np.int32),
        np.array(columns[2], dtype=np.float64),
        np.array(columns[3], dtype=np.int32),
    )


rows = st.lists(
    st.tuples(
        st.integers(0, 4), st.integers(0, 2), st.sampled_from([-2.0, 0.0, 0.1, 0.7, 1.0, 3.0]), st.integers(0, 9)
    ),
    max_size=30,
)


@settings(max_examples=300)
@given(rows, st.integers(0, 9), st.integers(0, 9), st.randoms())
def test_pairs_agree_with_plain_python_and_do_not_depend_on_the_order(
    rows: list[Row],
    first: int,
    last: int,
    random: st.randoms,  # type: ignore[valid-type]
) -> None:
    window = Window(Day(first), Day(last))
    sums: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        if first <= row[3] <= last:
            sums[row[:2]].append(row)
    expected = {
        pair: (
            sum(row[2] > 0 for row in of_pair),
            sum(row[2] for row in of_pair),
            sum(0.5 ** ((last - row[3]) / 3) for row in of_pair if row[2] > 0),
        )
        for pair, of_pair in sorted(sums.items())
    }
    expected = {pair: values for pair, values in expected.items() if values[0] and values[1] > 1e-9}
    pairs = pair_up(as_purchases(rows), window, half_life_days=3)
    keys = [
        (int(pairs.customer_codes[c]), int(pairs.item_codes[i]))
        for c, i in zip(pairs.customers, pairs.items, strict=True)
    ]
    got = dict(
        zip(
            keys,
            zip(pairs.purchases.counts, pairs.purchases.quantities, pairs.purchases.decayed, strict=True),
            strict=True,
        )
    )
    close = {pair: values for pair, values in got.items() if values[1] > 1e-9}  # 0.1 + 0.7 - ... may end a hair above 0
    assert list(close) == list(expected)
    for pair, values in close.items():
        assert values == pytest.approx(expected[pair])
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = pair_up(as_purchases(shuffled), window, half_life_days=3)
    assert again.purchases.quantities.tobytes() == pairs.purchases.quantities.tobytes()
    assert again.purchases.decayed.tobytes() == pairs.purchases.decayed.tobytes()


PAIRS = pair_up(
    as_purchases([(4, 2, 1, 5), (1, 2, 1, 5), (1, 0, 1, 5), (4, 2, 2, 6), (3, 0, -1, 5)]), Window(Day(0), Day(9)), 90
)


def test_positions_follow_the_ids_and_only_what_is_left_has_one() -> None:
    assert PAIRS.customer_codes.tolist() == [1, 4]
    assert PAIRS.item_codes.tolist() == [0, 2]
    assert PAIRS.customers.tolist() == [0, 0, 1]
    assert PAIRS.items.tolist() == [0, 1, 1]
    assert PAIRS.offsets.tolist() == [0, 2, 3]
    assert PAIRS.items_of(1).tolist() == [1]


def test_popularity_counts_customers_and_breaks_ties_by_position() -> None:
    assert PAIRS.item_customers.tolist() == [1, 2]
    assert PAIRS.items_by_popularity.tolist() == [1, 0]


def test_too_little_to_learn_from() -> None:
    window = Window(Day(0), Day(9))
    check_enough(PAIRS, window)
    with pytest.raises(DataError, match=r"leave 1 customer\(s\) and 2 item\(s\), expected at least 2 of each"):
        check_enough(pair_up(as_purchases([(0, 0, 1, 1), (0, 1, 1, 1)]), window, 90), window)


def test_the_first_sale_is_no_return() -> None:
    first = first_sale_days(as_purchases([(0, 0, -1, 3), (0, 0, 1, 7), (1, 0, 1, 5), (0, 2, 1, 9)]))
    assert first[[0, 2]].tolist() == [5, 9]


def bought_on(*days: int) -> Purchases:
    ones = np.ones(len(days))
    zeros = np.zeros(len(days), dtype=np.int32)
    return Purchases(["c"], ["i"], zeros, zeros, ones, np.array(days, dtype=np.int32))


DATA = bought_on(15_000, 15_050, 15_100)

EXAMPLES: list[tuple[dict[str, Any], tuple[int, int], str]] = [
    ({}, (15_000, 15_100), "everything"),
    ({"retention_days": 1}, (15_100, 15_100), "days alone end at the data's last day, which is one of them"),
    ({"retention_days": 51}, (15_050, 15_100), "so many days"),
    ({"retention_date": day_text(15_050)}, (15_000, 15_050), "a date alone keeps all up to it, itself included"),
    ({"retention_date": day_text(15_060), "retention_days": 20}, (15_041, 15_060), "days that end with a date"),
    ({"retention_days": 30_000}, (15_000, 15_100), "the window is no longer than the data"),
]


@pytest.mark.parametrize(("given", "expected", "why"), EXAMPLES, ids=[why for *_, why in EXAMPLES])
def test_the_window(given: dict[str, Any], expected: tuple[int, int], why: str) -> None:
    assert find_window(parse_spec(given), DATA) == (Window(Day(expected[0]), Day(expected[1])), [])


def test_a_date_after_the_data_means_the_last_day_with_a_warning() -> None:
    window, warnings = find_window(parse_spec({"retention_date": "20180205", "retention_days": 10}), DATA)
    assert window == Window(Day(15_091), Day(15_100))
    assert warnings == [
        "retention_date 2018-02-05 is after the data's last day: the window was moved to end on 2011-05-06."
    ]


REFUSED = [
    ({"retention_date": day_text(14_999)}, "the window ends before the data begins"),
    ({"retention_date": day_text(15_040), "retention_days": 10}, "the window lies in a gap"),
]


@pytest.mark.parametrize(("given", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_a_window_without_purchases(given: dict[str, Any], why: str) -> None:
    with pytest.raises(
        DataError, match=r"No purchase lies in the retention window, .* runs from 2011-01-26 to 2011-05-06"
    ):
        find_window(parse_spec(given), DATA)


def test_a_last_day_in_the_future_is_warned_about() -> None:
    _, warnings = find_window(parse_spec({}), bought_on(15_000, today() + 2))
    assert len(warnings) == 1
    assert "is in the future: are the dates read as they are meant?" in warnings[0]


def test_a_window_is_cut_in_two() -> None:
    window = Window(Day(0), Day(9))
    assert (window.until(4), window.after(4)) == (Window(Day(0), Day(4)), Window(Day(5), Day(9)))
    assert str(window) == "1970-01-01 to 1970-01-10"
