import math

import numpy as np
import numpy.typing as npt
import pytest

from alsriaz.scoring.boosts import Boost, BoostedScorer
from alsriaz.scoring.ranking import best
from alsriaz.scoring.scorers import FixedScorer, ItemFactors, Scorer


def exact(scorer: Scorer) -> npt.NDArray[np.float32]:
    """Return the exact scores of one row."""
    return scorer.exact(np.zeros(scorer.n_items, dtype=np.int64), np.arange(scorer.n_items))


@pytest.mark.parametrize("amount", [1e-9, 0.1, -0.1, 1e9])
def test_boosted_scores_err_no_more_than_their_bound_says(amount: float) -> None:
    rng = np.random.default_rng(4)
    items = ItemFactors(rng.normal(size=(500, 6)).astype(np.float32))
    plain = items.scorer(rng.normal(size=(2, 6)).astype(np.float32))
    boosts = [[Boost(rng.random(510) < 0.5, amount) for _ in range(5)], []]
    scorer = BoostedScorer(plain, boosts)
    scores, errors = scorer.approximate(None)
    for row in range(2):
        true = scorer.exact(np.full(500, row), np.arange(500)).astype(np.float64)
        # The exact score is rounded to float32 itself, by half a unit in its last place.
        assert (np.abs(scores[row] - true) <= errors[row] + np.spacing(np.abs(true).astype(np.float32)) / 2).all()
        assert [one.positions.tolist() for one in best(scorer, 20)][row] == np.lexsort((np.arange(500), -true))[
            :20
        ].tolist()
    assert errors[0] > plain.approximate(None)[1][0]
    assert errors[1] == plain.approximate(None)[1][1]


def test_boosts_are_added_to_the_rounded_score_one_after_the_other() -> None:
    scorer = BoostedScorer(
        FixedScorer(np.array([1, 2, 3], dtype=np.float32)),
        [[Boost(np.array([True, True, False]), 0.5), Boost(np.array([False, True, False]), -4.0)]],
    )
    assert exact(scorer).tolist() == [1.5, -1.5, 3.0]
    everything = np.ones(3, dtype=np.bool_)
    assert scorer.spread(0, everything) == pytest.approx(math.sqrt(2 / 3)), "boosts are measured without themselves"
    assert exact(scorer.take([0])).tolist() == [1.5, -1.5, 3.0]
