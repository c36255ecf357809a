import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.model.arrays import transposed

N_ITEMS = 7


@given(st.lists(st.sets(st.integers(0, N_ITEMS - 1)), max_size=9))
def test_each_items_buyers_are_the_ascending_customers_who_have_a_pair_with_it(bought: list[set[int]]) -> None:
    offsets = np.cumsum([0, *map(len, bought)], dtype=np.int64)
    items = np.array([item for one in bought for item in sorted(one)], dtype=np.int32)
    starts, buyers = transposed(offsets, items, N_ITEMS)
    assert (str(starts.dtype), str(buyers.dtype)) == ("int64", "int32")
    assert [buyers[starts[item] : starts[item + 1]].tolist() for item in range(N_ITEMS)] == [
        [customer for customer, one in enumerate(bought) if item in one] for item in range(N_ITEMS)
    ]
    assert starts[-1] == len(items)
