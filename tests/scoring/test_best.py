import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers import best, by_factors, given_scores

EXAMPLES = [
    # scores                 k  expected    why
    ([], 3, [], "an empty catalogue has no best items"),
    ([0.25, 0.75, 0.5], 2, [1, 2], "best first"),
    ([0.25, 0.75, 0.5], 9, [1, 2, 0], "k beyond the catalogue returns all of it"),
    ([0.5, 0.75, 0.5, 0.5], 2, [1, 0], "a tie at the cut goes to the earlier item"),
    ([-1.0, -3.0, -2.0], 2, [0, 2], "negative scores are scores"),
    ([1.0, 2.0], 0, [], "none wanted"),
    ([0.0, -0.0, 0.0], 3, [0, 1, 2], "zero has no sign"),
]


@pytest.mark.parametrize(("scores", "k", "expected", "why"), EXAMPLES, ids=[why for *_, why in EXAMPLES])
def test_the_best_of_given_scores(scores: list[float], k: int, expected: list[int], why: str) -> None:
    (ranked,) = best(given_scores(scores), k)
    assert ranked.positions.tolist() == expected
    assert ranked.scores.tolist() == [scores[position] for position in expected]


def naive(customer: npt.NDArray[np.float32], items: npt.NDArray[np.float32]) -> list[float]:
    """Score in plain Python: exact products, added one by one, rounded to float32 at the end."""
    return [float(np.float32(sum(float(a) * float(b) for a, b in zip(customer, item, strict=True)))) for item in items]


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 12),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_the_best_items_are_those_of_a_full_sort(
    n_items: int, rank: int, rows: int, k: int, limited: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    items = rng.integers(-2, 3, (n_items, rank)).astype(np.float32)  # small whole numbers, so that ties are many
    customers = rng.integers(-2, 3, (rows, rank)).astype(np.float32)
    among = np.flatnonzero(rng.random(n_items) < 0.5) if limited else None
    barred = [rng.permutation(n_items)[: rng.integers(0, n_items + 1)] for _ in range(rows)]
    for row, ranked in enumerate(best(by_factors(items, customers), k, among=among, row_barred=barred)):
        scores = naive(customers[row], items)
        allowed = set(range(n_items) if among is None else among.tolist()) - set(barred[row].tolist())
        expected = sorted(allowed, key=lambda position: (-scores[position], position))[:k]
        assert ranked.positions.tolist() == expected
        assert ranked.scores.tolist() == [scores[position] for position in expected]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_an_answer_does_not_depend_on_the_block_it_was_computed_in(rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = rng.normal(size=(300, rank)).astype(np.float32)
    items[150:] = items[:150]  # bit-identical twins: a real catalogue has them
    customers = rng.normal(size=(5, rank)).astype(np.float32)
    together = best(by_factors(items, customers), 20)
    for row, ranked in enumerate(together):
        (alone,) = best(by_factors(items, customers[row : row + 1]), 20)
        assert alone.positions.tolist() == ranked.positions.tolist()
        assert alone.scores.tobytes() == ranked.scores.tobytes()
        (few,) = best(by_factors(items, customers[row : row + 1]), 20, among=np.sort(ranked.positions))
        assert few.scores.tobytes() == ranked.scores.tobytes()


def wrong_lists(seeds: range) -> int:
    """Count the lists that differ from a full sort, where large products cancel and float32 sums err visibly."""
    wrong = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for first, last in ((6, 7), (0, 7)):
            items = rng.normal(size=(200, 8)).astype(np.float32)
            items[:, last] = -items[:, first]
            customer = np.ones((1, 8), dtype=np.float32)
            customer[0, [first, last]] = 1e6
            (ranked,) = best(by_factors(items, customer), 10)
            scores = np.array(naive(customer[0], items))
            wrong += ranked.positions.tolist() != np.lexsort((np.arange(200), -scores))[:10].tolist()
    return wrong


def test_candidates_are_enough_where_float32_products_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrong_lists(range(40)) == 0
    monkeypatch.setattr("alsriaz.scoring.factors.ROUNDOFF", 0.0)
    assert wrong_lists(range(40)) > 0, "without the bound this test would tell"


def test_long_ties_go_to_the_first_positions() -> None:
    zero = np.zeros((1, 2), dtype=np.float32)
    (ranked,) = best(by_factors(np.ones((5_000, 2), np.float32), zero), 3, barred=np.array([1]))
    assert ranked.positions.tolist() == [0, 2, 3]
    popularity = np.zeros(5_000, dtype=np.float32)
    popularity[4_000] = 2
    (ranked,) = best(given_scores(popularity), 3)
    assert ranked.positions.tolist() == [4_000, 0, 1]
