import numpy as np
import pytest

from alsriaz.platform.spec import RANKING_TYPES
from alsriaz.scoring.ratings import PairPurchases, decay, rate

PAIRS = PairPurchases(np.array([3, 1], np.int32), np.array([12.5, 0.25]), np.array([0.75, 1e-60]))
CUSTOMERS = np.array([2, 4], np.int32)
TINY = float(np.finfo(np.float32).tiny)

EXAMPLES = [
    ("incident", [1, 1], "1 for each pair"),
    ("count", [3, 1], "purchases"),
    ("total_qty", [12.5, 0.25], "sum of quantity"),
    ("normalize_count", [1.5, 0.25], "count by customers of the item"),
    ("recency", [0.75, TINY], "decayed count, never 0: a rating of 0 would mean not bought"),
]


@pytest.mark.parametrize(("ranking_type", "expected", "why"), EXAMPLES, ids=[why for *_, why in EXAMPLES])
def test_ratings_by_type(ranking_type: str, expected: list[float], why: str) -> None:
    ratings = rate(ranking_type, PAIRS, CUSTOMERS)
    assert ratings.dtype == np.float32
    assert ratings.tolist() == expected


def test_the_examples_cover_every_type() -> None:
    assert tuple(example[0] for example in EXAMPLES) == RANKING_TYPES


def test_an_unknown_type_is_a_defect() -> None:
    with pytest.raises(ValueError, match="'stars' is not a ranking type"):
        rate("stars", PAIRS, CUSTOMERS)


def test_a_purchase_counts_half_after_each_half_life_and_never_more_than_once() -> None:
    assert decay(np.array([0, 90, 180, -5], np.int32), 90).tolist() == [1, 0.5, 0.25, 1]
