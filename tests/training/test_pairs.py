from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsriaz.errors import DataError
from alsriaz.platform.days import Day
from alsriaz.tables.sales import Purchases
from alsriaz.training.pairs import check_enough, first_sale_days, pair_up
from alsriaz.training.window import Window

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
