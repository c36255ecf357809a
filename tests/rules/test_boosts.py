"""Boosts, and the deviation of the candidates' scores that is their unit."""

import math
import statistics
from dataclasses import replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from alsriaz.model.attributes import Attributes
from alsriaz.model.ids import NO_IDS
from alsriaz.rules.binding import Bound, bind
from alsriaz.rules.lists import Ask, _boosted
from alsriaz.rules.rows import Lift
from alsriaz.rules.side import Side
from alsriaz.scoring.factors import DotTerm, RankedFactors
from alsriaz.scoring.scorer import Scorer
from tests.scorers import best, by_factors, given_scores

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


Array = npt.NDArray[np.float32]


def sides(shift: float = 0.0) -> tuple[Array, Array]:
    """Return the factors of items and of two customers."""
    rng = np.random.default_rng(11)
    items = (rng.normal(size=(N_ITEMS, RANK)) + shift).astype(np.float32)
    return items, rng.normal(size=(2, RANK)).astype(np.float32)


@pytest.mark.parametrize(("left_out", "why"), LEFT_OUT, ids=[why for _, why in LEFT_OUT])
def test_both_ways_to_the_deviation_agree(left_out: int, why: str) -> None:
    factors, customers = sides()
    scorer = by_factors(factors, customers)
    candidates = np.ones(N_ITEMS, dtype=np.bool_)
    candidates[np.random.default_rng(left_out).permutation(N_ITEMS)[:left_out]] = False
    expected = deviation(factors[candidates], customers[1])
    assert scorer.deviation(1, candidates) == float(np.float32(expected))
    term = DotTerm(RankedFactors(factors), customers)  # which is not rounded: that would hide how exact it is
    assert term.deviation(1, candidates) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_scores_that_hardly_differ_are_measured_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    factors, customers = sides(shift=1e5)
    scorer, everything = by_factors(factors, customers), np.ones(N_ITEMS, dtype=np.bool_)
    expected = deviation(factors, customers[0])
    assert scorer.deviation(0, everything) == pytest.approx(expected, rel=1e-7)
    monkeypatch.setattr("alsriaz.scoring.factors._SURE_SHARE", 0.0)
    assert scorer.deviation(0, everything) != pytest.approx(expected, rel=1e-7), "from the sums this test would tell"


def lift(by: float, *positions: int) -> Lift:
    mask = np.zeros(4, dtype=np.bool_)
    mask[list(positions)] = True
    return Lift(mask, by)


SIDE = Side("item", NO_IDS, NO_IDS, np.zeros(4, np.bool_), np.empty(0, np.int32), Attributes.empty(4))


def ask(lifts: list[Lift], barred: list[int] | None = None) -> Ask:
    rules: Bound = bind([], SIDE)
    return Ask(4, replace(rules, lifts=tuple(lifts), barred=(np.array(barred or [], dtype=np.int64),)))


def lifted(scorer: Scorer, *asks: Ask) -> Scorer:
    return _boosted(scorer, asks)


# Scores 1, 2, 3, 6: of the first three the deviation is 0.8165, of all four 1.8708.
EXAMPLES: list[tuple[list[Lift], list[int], list[float], str]] = [
    ([], [], [1, 2, 3, 6], "no boost, nothing changes"),
    ([lift(2.0, 0)], [], [2.8708287, 2, 3, 6], "one deviation is added"),
    ([lift(1.5, 0)], [3], [1.4082483, 2, 3, 6], "of what may fill the list, not of all"),
    ([lift(0.0, 3)], [], [1, 2, 3, 4.1291713], "0 takes one deviation off"),
    ([lift(2.0, 0), lift(0.5, 0, 1)], [], [1.9354143, 1.0645857, 3, 6], "boosts add up"),
    ([lift(1.0, 0, 1, 2, 3)], [], [1, 2, 3, 6], "1 changes nothing"),
]


@pytest.mark.parametrize(("lifts", "barred", "scores", "why"), EXAMPLES, ids=[why for *_, why in EXAMPLES])
def test_what_a_boost_adds(lifts: list[Lift], barred: list[int], scores: list[float], why: str) -> None:
    raised = lifted(given_scores([1, 2, 3, 6]), ask(lifts, barred))
    assert raised.exact(np.zeros(4, dtype=np.int64), np.arange(4)) == pytest.approx(scores, rel=1e-6)


def test_each_row_has_its_own_boosts() -> None:
    raised = lifted(given_scores([1, 2, 3, 6], n_rows=3), ask([lift(9.0, 0)]), ask([]), ask([lift(9.0, 1)]))
    assert [row.positions.tolist()[0] for row in best(raised, 1)] == [0, 3, 1]
    assert [row.positions.tolist()[0] for row in best(raised.take([2, 0]), 1)] == [1, 0]


def test_rows_without_boosts_are_scored_as_they_are() -> None:
    scorer = by_factors(*sides())
    assert lifted(scorer, ask([]), ask([])) is scorer
