"""How good the recommendations are: trained on the window's earlier part, tested on its last days.

The server's own questions are asked, among customers and items that the earlier part knows: once without rules, and
once under the standing ones where there are any, which tells what these cost. The ideal of NDCG is capped at
min(10, number bought). Source of the measures: Jarvelin and Kekalainen (2002), with binary relevance.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from alsriaz.model.arrays import Positions
from alsriaz.model.folder import Model
from alsriaz.questions.question import Question
from alsriaz.questions.recommender import pages_for
from alsriaz.questions.shop import Shop
from alsriaz.rules.rows import NO_RULES, Rules
from alsriaz.scoring.best import Wanted, best_of_each
from alsriaz.scoring.history import NOBODY
from alsriaz.training.pairs import Pairs

K: Final = 10
_SCORES_AT_ONCE = 1 << 22  # 16 MB of float32
_DISCOUNTS = 1 / np.log2(np.arange(2, K + 2))
_PURCHASED_OUT: Final = Rules({"exclude.purchased": True})


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
        groups: by name. `model` is what the model recommends without rules; an item bought before may be recommended
            again. `popular` is the items with most customers, the same for everybody. `rules` is the model under the
            standing rules, where there are any. Those named `..._new` leave out of lists, and of what counts as right,
            all that the customer bought before.
    """

    groups: Mapping[str, Measures]

    def metrics(self) -> dict[str, float]:
        """Return the measures by the names that the job prints: ``ndcg_at_10``, ``popular_recall_at_10_new``, ..."""
        named = {}
        for group, measures in self.groups.items():
            kind, _, new = group.partition("_")
            prefix, suffix = "" if kind == "model" else f"{kind}_", "_new" if new else ""
            for measure in ("ndcg", "precision", "recall"):
                named[f"{prefix}{measure}_at_{K}{suffix}"] = float(getattr(measures, measure))
        return named

    def as_json(self) -> dict[str, Any]:
        """Return the measures of each group."""
        return {group: asdict(measures) for group, measures in self.groups.items()}


def evaluate(model: Model, trained: Pairs, later: Pairs) -> Evaluation | None:
    """Return how well a model learnt from `trained` foretells `later`; None where no customer can be tested.

    Args:
        model: of the earlier part, by the positions of `trained`, with the standing rules.
        trained: the pairs of the earlier part.
        later: the pairs of the days after it; both were made from the same purchases.
    """
    truth = _truth(trained, later)
    if not truth:
        return None
    fresh = {customer: np.setdiff1d(bought, trained.items_of(customer)) for customer, bought in truth.items()}
    fresh = {customer: bought for customer, bought in fresh.items() if len(bought)}
    plain, ruled = Shop(replace(model, standing={})), Shop(model)
    groups = {
        "model": _means(_asked(plain, truth, NO_RULES), truth),
        "popular": _means(_popular(plain, truth, None), truth),
        "model_new": _means(_asked(plain, fresh, _PURCHASED_OUT), fresh),
        "popular_new": _means(_popular(plain, fresh, trained), fresh),
    }
    if ruled.standing:
        groups["rules"] = _means(_asked(ruled, truth, NO_RULES), truth)
        groups["rules_new"] = _means(_asked(ruled, fresh, _PURCHASED_OUT), fresh)
    return Evaluation(groups)


def _asked(shop: Shop, customers: Iterable[int], rules: Rules) -> Iterable[Positions]:
    """Yield for each customer the positions of the list that the server would answer with; -1 for an unsold item."""
    k = max(K, len(shop.standing.get("include.items", ())))  # what must appear needs a place
    for some in _blocks(list(customers), len(shop.items.ids)):
        asked = [Question(customer=shop.model.customer_ids.id_at(customer), k=k, rules=rules) for customer in some]
        for page in pages_for(shop, asked):
            yield np.array([-1 if position is None else position for position in page.positions[:K]], dtype=np.int64)


def _popular(shop: Shop, customers: Iterable[int], trained: Pairs | None) -> Iterable[Positions]:
    """Yield for each customer the most popular items, without those bought in `trained` where that is given."""
    for some in _blocks(list(customers), len(shop.items.ids)):
        scorer = shop.scorers.scorer([NOBODY] * len(some))
        wanted = [Wanted(K, barred=(trained.items_of(customer),) if trained else ()) for customer in some]
        yield from (ranked.positions for ranked in best_of_each(scorer, wanted))


def _means(lists: Iterable[Positions], truth: Mapping[int, Positions]) -> Measures:
    """Return the means over customers of what their lists have right; zeros where there are no customers."""
    sums = np.zeros(3)
    for listed, right in zip(lists, truth.values(), strict=True):
        hits = np.isin(listed, right)
        gain = float(_DISCOUNTS[: len(hits)][hits].sum())
        found = int(np.count_nonzero(hits))
        sums += (gain / _DISCOUNTS[: len(right)].sum(), found / K, found / len(right))
    ndcg, precision, recall = (sums / max(1, len(truth))).tolist()
    return Measures(ndcg, precision, recall, len(truth))


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


def _blocks(customers: Sequence[int], n_items: int) -> Iterable[Sequence[int]]:
    size = max(1, _SCORES_AT_ONCE // n_items)
    return (customers[start : start + size] for start in range(0, len(customers), size))
