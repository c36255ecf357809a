"""How good the recommendations are: trained on the window's earlier part, tested on its last days.

Ranked by core.ranking, as the server ranks, among customers and items that the earlier part knows. The ideal of NDCG
is capped at min(10, number bought). Source of the measures: Jarvelin and Kekalainen (2002), with binary relevance.
"""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from alsriaz.model.ids import Positions
from alsriaz.scoring.ranking import best
from alsriaz.scoring.scorers import FixedScorer, ItemFactors, Scorer
from alsriaz.training.engines import FittedFactors
from alsriaz.training.pairs import Pairs

K = 10
_SCORES_AT_ONCE = 1 << 24
_DISCOUNTS = 1 / np.log2(np.arange(2, K + 2))


@dataclass(frozen=True)
class Measures:
    """Means over the tested customers, each from 0 to 1, higher is better."""

    ndcg: float
    precision: float
    recall: float
    customers: int


@dataclass(frozen=True)
class Evaluation:
    """The model beside "most popular", over all items and over those new to the customer.

    Attributes:
        model: what ALS recommends; an item bought before may be recommended again.
        popular: the items with most customers, the same for everybody.
        model_new: as `model`, leaving out of lists and of what counts as right all that the customer bought before.
        popular_new: likewise.
    """

    model: Measures
    popular: Measures
    model_new: Measures
    popular_new: Measures

    def metrics(self) -> dict[str, float]:
        """Return the measures by the names that the job prints: ``ndcg_at_10``, ``popular_recall_at_10_new``, ..."""
        named = {}
        for group, measures in asdict(self).items():
            popular, new = group.startswith("popular"), group.endswith("_new")
            for measure in ("ndcg", "precision", "recall"):
                name = f"{'popular_' if popular else ''}{measure}_at_{K}{'_new' if new else ''}"
                named[name] = float(measures[measure])
        return named


def evaluate(factors: FittedFactors, trained: Pairs, later: Pairs) -> Evaluation | None:
    """Return how well factors learnt from `trained` foretell `later`; None where no customer can be tested.

    Args:
        factors: by the positions of `trained`.
        trained: the pairs of the earlier part.
        later: the pairs of the days after it; both were made from the same purchases.
    """
    truth = _truth(trained, later)
    if not truth:
        return None
    items = ItemFactors(factors.items)
    popularity = trained.item_customers.astype(np.float32)
    fresh = {customer: np.setdiff1d(bought, trained.items_of(customer)) for customer, bought in truth.items()}
    fresh = {customer: bought for customer, bought in fresh.items() if len(bought)}
    measured = []
    for new, relevant in ((False, truth), (True, fresh)):
        tallies = {"model": _Tally(), "popular": _Tally()}
        for customers in _blocks(list(relevant), trained.n_items):
            barred = [trained.items_of(customer) for customer in customers] if new else None
            right = [relevant[customer] for customer in customers]
            tallies["model"].add(items.scorer(factors.customers[customers]), right, barred)
            tallies["popular"].add(FixedScorer(popularity, len(customers)), right, barred)
        measured += [tallies["model"].means(), tallies["popular"].means()]
    return Evaluation(*measured)


def _truth(trained: Pairs, later: Pairs) -> dict[int, Positions]:
    """Return what each known customer bought later, as positions of `trained` where it is known."""
    customers = _translated(later.customer_codes, trained.customer_codes)[later.customers]
    items = _translated(later.item_codes, trained.item_codes)[later.items]
    known = np.flatnonzero((customers >= 0) & (items >= 0))
    customers, items = customers[known], items[known]
    if not len(customers):
        return {}
    starts = np.flatnonzero(np.diff(customers, prepend=-1))
    return dict(zip(customers[starts].tolist(), np.split(items, starts[1:]), strict=True))


def _translated(codes: npt.NDArray[np.int32], known: npt.NDArray[np.int32]) -> Positions:
    """Return where each code stands in `known`, ascending; -1 where it doesn't."""
    places = np.searchsorted(known, codes)
    places[places == len(known)] = 0
    return np.where(known[places] == codes, places, -1)


def _blocks(customers: list[int], n_items: int) -> list[list[int]]:
    size = max(1, _SCORES_AT_ONCE // n_items)
    return [customers[start : start + size] for start in range(0, len(customers), size)]


class _Tally:
    """Sums of the measures over customers."""

    def __init__(self) -> None:
        self._sums = np.zeros(3)
        self._customers = 0

    def add(self, scorer: Scorer, wanted: list[Positions], barred: list[Positions] | None) -> None:
        """Rank for the customers of `scorer` and compare with what they wanted."""
        for ranked, right in zip(best(scorer, K, row_barred=barred), wanted, strict=True):
            hits = np.isin(ranked.positions, right)
            gain = float(_DISCOUNTS[: len(hits)][hits].sum())
            found = int(np.count_nonzero(hits))
            self._sums += (gain / _DISCOUNTS[: len(right)].sum(), found / K, found / len(right))
        self._customers += len(wanted)

    def means(self) -> Measures:
        """Return the means; zeros where no customer was added."""
        ndcg, precision, recall = (self._sums / max(1, self._customers)).tolist()
        return Measures(ndcg, precision, recall, self._customers)
