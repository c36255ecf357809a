import math
import statistics

import numpy as np
import numpy.typing as npt
import pytest

from alsriaz.scoring.factors import RankedFactors
from alsriaz.scoring.scorer import Scorer
from tests.scorers import best, by_factors, exact
from tests.scorers import by_cosine as scorer_by_cosine

Rows = npt.NDArray[np.floating]


def cosine(one: Rows, other: Rows) -> float:
    product = math.fsum(float(a) * float(b) for a, b in zip(one, other, strict=True))
    length = math.sqrt(math.fsum(float(b) ** 2 for b in other))
    return product / length if length else 0.0


def by_cosine(items: npt.NDArray[np.float32], direction: list[float]) -> Scorer:
    return scorer_by_cosine(items, np.array([direction]))


SCALES = [1e-45, 1e-42, 1e-38, 1e-30, 1e-15, 1.0, 1e15]


@pytest.mark.parametrize("scale", SCALES)
def test_cosines_are_those_of_plain_python_however_small_or_large_the_factors(scale: float) -> None:
    rng = np.random.default_rng(3)
    items = (rng.normal(size=(300, 5)) * scale).astype(np.float32)
    items[7] = 0
    direction = (rng.normal(size=5) / 10).tolist()
    scorer = by_cosine(items, direction)
    expected = [cosine(np.array(direction), item) for item in items]
    assert exact(scorer) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert exact(scorer)[7] == 0
    for among in (None, np.arange(3, 300, 2)):
        scores, errors = scorer.approximate(among)
        true = np.array(expected) if among is None else np.array(expected)[among]
        assert (np.abs(scores[0].astype(np.float64) - true) <= errors[0]).all()
    (ranked,) = best(scorer, 9)
    assert ranked.positions.tolist() == np.lexsort((np.arange(300), -exact(scorer)))[:9].tolist()


def wrong_lists(seeds: range) -> int:
    """Count the lists that differ from a full sort, where large products cancel and float32 sums err visibly."""
    wrong = 0
    for seed in seeds:
        items = np.random.default_rng(seed).normal(size=(200, 8)).astype(np.float32)
        items[:, 7] = -1e6
        items[:, 0] = 1e6
        scorer = by_cosine(items, [0.3] * 8)
        (ranked,) = best(scorer, 10)
        wrong += ranked.positions.tolist() != np.lexsort((np.arange(200), -exact(scorer)))[:10].tolist()
    return wrong


def test_candidates_are_enough_where_float32_products_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrong_lists(range(40)) == 0
    monkeypatch.setattr("alsriaz.scoring.factors.ROUNDOFF", 0.0)
    assert wrong_lists(range(40)) > 0, "without the bound this test would tell"


def test_the_direction_of_several_items_is_the_mean_of_their_unit_factors() -> None:
    items = RankedFactors(np.array([[3, 4], [0, 2], [0, 0]], dtype=np.float32))
    assert items.direction(np.array([0, 1])) == pytest.approx([0.3, 0.9])
    assert items.direction(np.array([2])).tolist() == [0, 0]


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e5, 1e7])
def test_the_deviation_leaves_out_an_item_that_outweighs_all_others(scale: float) -> None:
    rng = np.random.default_rng(3)
    factors = rng.normal(size=(100, 4)).astype(np.float32)
    factors[17] *= np.float32(scale)
    customer = rng.normal(size=(1, 4)).astype(np.float32)
    kept = np.arange(100) != 17
    expected = statistics.pstdev(math.fsum(map(float, row * customer[0].astype(np.float64))) for row in factors[kept])
    assert by_factors(factors, customer).deviation(0, kept) == pytest.approx(expected, rel=1e-6)
