"""Boosts, and the deviation of the candidates' scores that is their unit."""

import math
import statistics
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from alsriaz.rules.binding import BoundLift
from alsriaz.rules.lifting import lifted
from alsriaz.scoring.ranking import Wanted, best
from alsriaz.scoring.scorers import FactorScorer, FixedScorer, ItemFactors

N_ITEMS, RANK = 400, 6


def deviation(factors: npt.NDArray[np.float32], customer: npt.NDArray[np.float32]) -> float:
    """Return the population's deviation of scores, in whole fractions until the root."""
    rows = [[Fraction(float(value)) for value in row] for row in factors]
    vector = [Fraction(float(value)) for value in customer]
    scores = [sum((a * b for a, b in zip(row, vector, strict=True)), Fraction()) for row in rows]
    return math.sqrt(statistics.pvariance(scores)) if scores else 0.0


LEFT_OUT = [
    (0, "nothing is left out: from the sums over all"),
    (1, "one item"),
    (N_ITEMS // 8, "as many as the sums are corrected for"),
    (N_ITEMS // 8 + 1, "one more: straight from the candidates"),
    (N_ITEMS - 2, "two candidates"),
    (N_ITEMS - 1, "one candidate has no deviation"),
    (N_ITEMS, "no candidates"),
]


def scorer_of(shift: float = 0.0) -> FactorScorer:
    rng = np.random.default_rng(11)
    items = (rng.normal(size=(N_ITEMS, RANK)) + shift).astype(np.float32)
    return ItemFactors(items).scorer(rng.normal(size=(2, RANK)).astype(np.float32))


@pytest.mark.parametrize(("left_out", "why"), LEFT_OUT, ids=[why for _, why in LEFT_OUT])
def test_both_ways_to_the_deviation_agree(left_out: int, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = scorer_of()
    candidates = np.ones(N_ITEMS, dtype=np.bool_)
    candidates[np.random.default_rng(left_out).permutation(N_ITEMS)[:left_out]] = False
    factors, customer = scorer._items.factors, scorer._customers[1]
    expected = deviation(factors[candidates], customer)
    assert scorer.spread(1, candidates) == float(np.float32(expected))
    monkeypatch.setattr("alsriaz.scoring.scorers._float32", float)  # rounding hides how exact it is
    assert scorer.spread(1, candidates) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_scores_that_hardly_differ_are_measured_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, everything = scorer_of(shift=1e5), np.ones(N_ITEMS, dtype=np.bool_)
    expected = deviation(scorer._items.factors, scorer._customers[0])
    assert scorer.spread(0, everything) == pytest.approx(expected, rel=1e-7)
    monkeypatch.setattr("alsriaz.scoring.scorers._SURE_SHARE", 0.0)
    assert scorer.spread(0, everything) != pytest.approx(expected, rel=1e-7), "from the sums this test would tell"


def lift(by: float, *positions: int) -> BoundLift:
    mask = np.zeros(4, dtype=np.bool_)
    mask[list(positions)] = True
    return BoundLift(mask, by)


# Scores 1, 2, 3, 6: of the first three the deviation is 0.8165, of all four 1.8708.
EXAMPLES: list[tuple[list[BoundLift], list[int], list[float], str]] = [
    ([], [], [1, 2, 3, 6], "no boost, nothing changes"),
    ([lift(2.0, 0)], [], [2.8708287, 2, 3, 6], "one deviation is added"),
    ([lift(1.5, 0)], [3], [1.4082483, 2, 3, 6], "of what may fill the list, not of all"),
    ([lift(0.0, 3)], [], [1, 2, 3, 4.1291713], "0 takes one deviation off"),
    ([lift(2.0, 0), lift(0.5, 0, 1)], [], [1.9354143, 1.0645857, 3, 6], "boosts add up"),
    ([lift(1.0, 0, 1, 2, 3)], [], [1, 2, 3, 6], "1 changes nothing"),
]


@pytest.mark.parametrize(("lifts", "barred", "scores", "why"), EXAMPLES, ids=[why for *_, why in EXAMPLES])
def test_what_a_boost_adds(lifts: list[BoundLift], barred: list[int], scores: list[float], why: str) -> None:
    scorer = FixedScorer(np.array([1, 2, 3, 6], dtype=np.float32))
    raised = lifted(scorer, [(lifts, Wanted(4, barred=(np.array(barred, dtype=np.int64),)))])
    assert raised.exact(np.zeros(4, dtype=np.int64), np.arange(4)) == pytest.approx(scores, rel=1e-6)


def test_each_row_has_its_own_boosts() -> None:
    scorer = FixedScorer(np.array([1, 2, 3, 6], dtype=np.float32), n_rows=3)
    raised = lifted(scorer, [([lift(9.0, 0)], Wanted(4)), ([], Wanted(4)), ([lift(9.0, 1)], Wanted(4))])
    assert [row.positions.tolist()[0] for row in best(raised, 1)] == [0, 3, 1]
    assert [row.positions.tolist()[0] for row in best(raised.take([2, 0]), 1)] == [1, 0]


def test_rows_without_boosts_are_scored_as_they_are() -> None:
    scorer = scorer_of()
    assert lifted(scorer, [([], Wanted(4)), ([], Wanted(4))]) is scorer
