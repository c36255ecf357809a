"""Task `audience`: the customers most likely to buy an item, or several."""

from typing import Any

import numpy as np

from alsriaz.model.ids import Positions
from alsriaz.questions.question import Against, Question, entry, page, with_warnings
from alsriaz.questions.served_model import ServedModel
from alsriaz.questions.similar import asked_field, asked_items, mean_factors, unknown_item
from alsriaz.rules.lists import Ask, ItemList
from alsriaz.rules.notices import notices
from alsriaz.serving.wire import Record

AUDIENCE_FIELDS = ("item", "items", "k", "offset", "include", "exclude")
AUDIENCE_RULES = (
    "include.customers",
    "include.only_customers",
    "include.placement",
    "exclude.customers",
    "exclude.purchased",
)


def audience(served: ServedModel, record: Record) -> Question:
    """Return customers by their mean score of the asked items."""
    items = asked_items(record)
    positions, unsold = served.known_items(items)
    if not len(positions):
        raise unknown_item(items, asked_field(record))
    k, rules = served.k(record), served.customer_rules(record)
    bought = buyers_of(served, positions) if rules.purchased else np.empty(0, dtype=np.int64)
    ask = Ask(k, rules, bought, offset=served.offset(record, k), included="include.customers")
    told = notices("unknown_item", "Item {} was never sold: it has no part in the scores.", unsold)

    def body(found: ItemList) -> dict[str, Any]:
        entries = [entry(pick, "customer") for pick in found.picks]
        answer = page(entries, "audience", ask, found, paged=record.get("offset") is not None)
        return with_warnings(
            {"items": items, **answer, "model": served.model_hash}, [*told, *rules.notices, *found.notices]
        )

    return Question(Against.CUSTOMERS, mean_factors(served, positions), ask, body)


def buyers_of(served: ServedModel, items: Positions) -> Positions:
    """Return the ascending positions of the customers who bought any of the items at these positions."""
    arrays = served.model.arrays
    pairs = np.flatnonzero(np.isin(arrays.purchase_items, items))
    return np.unique(np.searchsorted(arrays.purchase_offsets, pairs, side="right") - 1)
