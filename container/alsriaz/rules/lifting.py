"""Boosts: rules that lift the scores of some items, on a scale that the candidates' own scores give.

A boost by 1.3 adds 0.3 standard deviations of the candidates' scores. (To multiply would push down an item whose score
is below 0.) The deviation is that of the population, over what may fill the list, and is rounded to float32.
"""

from collections.abc import Sequence

from alsriaz.rules.binding import BoundLift
from alsriaz.scoring.boosts import Boost, BoostedScorer
from alsriaz.scoring.ranking import Wanted
from alsriaz.scoring.scorers import Scorer


def lifted(scorer: Scorer, rows: Sequence[tuple[Sequence[BoundLift], Wanted]]) -> Scorer:
    """Return a scorer with each row's boosts; its candidates are what `Wanted` lets through."""
    if not any(lifts for lifts, _ in rows):
        return scorer
    boosts = []
    for row, (lifts, wanted) in enumerate(rows):
        scale = scorer.spread(row, wanted.candidates(scorer.n_items)) if lifts else 0.0
        boosts.append([Boost(lift.mask, (lift.by - 1) * scale) for lift in lifts])
    return BoostedScorer(scorer, boosts)
