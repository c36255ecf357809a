import math
import statistics

import numpy as np
import pytest

from alsriaz.scoring.factors import DotTerm, RankedFactors
from alsriaz.scoring.history import NOBODY, HistoryEntry, find_buyer
from alsriaz.scoring.scorer import Boost, Scorer
from alsriaz.scoring.scorers import Scorers
from tests.scorers import best, by_factors, exact, given_scores
from tests.small_models import shop


@pytest.mark.parametrize("amount", [1e-9, 0.1, -0.1, 1e9])
def test_boosted_scores_err_no_more_than_their_bound_says(amount: float) -> None:
    rng = np.random.default_rng(4)
    items = rng.normal(size=(500, 6)).astype(np.float32)
    plain = by_factors(items, rng.normal(size=(2, 6)).astype(np.float32))
    boosts = [[Boost(rng.random(510) < 0.5, amount) for _ in range(5)], []]
    scorer = plain.boosted(boosts)
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
    scorer = given_scores([1, 2, 3]).boosted(
        [[Boost(np.array([True, True, False]), 0.5), Boost(np.array([False, True, False]), -4.0)]]
    )
    assert exact(scorer).tolist() == [1.5, -1.5, 3.0]
    everything = np.ones(3, dtype=np.bool_)
    assert scorer.deviation(0, everything) == pytest.approx(math.sqrt(2 / 3)), "boosts are measured without themselves"
    assert exact(scorer.take([0])).tolist() == [1.5, -1.5, 3.0]


@pytest.mark.parametrize("seed", range(20))
def test_a_sum_of_terms_is_ranked_as_plain_python_adds_them_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sides = [rng.integers(-2, 3, (60, 3)).astype(np.float32) for _ in range(2)]
    rows = [rng.integers(-2, 3, (3, 3)).astype(np.float32) for _ in range(2)]
    rows[1][0] = 0  # the second term has no part in the first row
    scorer = Scorer([DotTerm(RankedFactors(side), row) for side, row in zip(sides, rows, strict=True)], 3, 60)
    scores, errors = scorer.approximate(None)
    for row, ranked in enumerate(best(scorer, 12)):
        sums = [
            sum(float(a) * float(b) for k in range(2) for a, b in zip(rows[k][row], sides[k][item], strict=True))
            for item in range(60)
        ]
        assert ranked.positions.tolist() == sorted(range(60), key=lambda item: (-sums[item], item))[:12]
        assert ranked.scores.tolist() == [sums[item] for item in ranked.positions]
        assert (np.abs(scores[row] - np.array(sums)) <= errors[row]).all()
        kept = rng.random(60) < 0.5
        expected = statistics.pstdev([sums[item] for item in np.flatnonzero(kept)])
        assert scorer.deviation(row, kept) == pytest.approx(expected, rel=1e-6)


def test_known_customers_baskets_and_nobody_are_scored_together_as_each_alone() -> None:
    model = shop().in_memory()
    scorers = Scorers(model)
    buyers = [
        find_buyer(model, "ann"),
        NOBODY,
        find_buyer(model, "bob", [HistoryEntry("dates")]),
        find_buyer(model, "zoe"),
        find_buyer(model, None, [HistoryEntry("apple"), HistoryEntry("soap")]),
    ]
    together = scorers.scorer(buyers)
    assert [buyer.source for buyer in buyers] == ["model", "popular", "history", "popular", "history"]
    for row, buyer in enumerate(buyers):
        alone = scorers.scorer([buyer])
        assert exact(together, row).tobytes() == exact(alone).tobytes()
        assert best(together, 4)[row].positions.tolist() == best(alone, 4)[0].positions.tolist()
        everything = np.ones(6, dtype=np.bool_)
        assert together.deviation(row, everything) == alone.deviation(0, everything)
