"""Task `explain`: what each purchase of a customer adds to the score of one item."""

from typing import Any

import numpy as np

from alsriaz.errors import RequestError
from alsriaz.platform.values import shown
from alsriaz.questions import fields
from alsriaz.questions.buyer import read_buyer, unknown_customer
from alsriaz.questions.question import json_score, with_warnings
from alsriaz.questions.served_model import ServedModel
from alsriaz.questions.similar import unknown_item
from alsriaz.scoring.history import contributions_to
from alsriaz.serving.wire import Record

EXPLAIN_FIELDS = ("customer", "history", "item", "k", "show")


def explain(served: ServedModel, record: Record) -> dict[str, Any]:
    """Return the purchases that made a score, the largest contribution first, ties by position.

    The contributions sum to the score; beyond the first `k` they are summed up as `others`.
    """
    buyer = read_buyer(served, record)
    if record.get("item") is None:
        raise RequestError("missing_field", "The record has no item, expected the one whose score to explain.", "item")
    item = fields.an_id(record["item"], "item")
    k, names = fields.whole(record, "k", 1, served.limits.most_k), served.shown(record)
    vector, position = buyer.vector(served), served.catalogue.ids.position_of(item)
    if vector is None:
        raise unknown_customer(buyer.customer)
    if not len(buyer.bought.items):
        message = f"Customer {shown(buyer.customer)} has no purchases in the model: there is nothing to explain."
        raise RequestError("unknown_customer", message, "customer")
    if position is None:
        raise unknown_item([item], "item")
    parts = contributions_to(served.model, buyer.bought, position)
    order = np.lexsort((buyer.bought.items, -parts))
    named = order if k is None else order[:k]
    scorer = served.items.scorer(vector[None, :])
    body: dict[str, Any] = {
        "customer": buyer.customer,
        "item": item,
        "source": buyer.source,
        "score": json_score(scorer.exact(np.zeros(1, dtype=np.int64), np.array([position]))[0]),
        "contributions": [_entry(served, buyer.bought.items[one], parts[one], names) for one in named],
    }
    if len(named) < len(order):
        rest = order[len(named) :]
        body["others"] = {"purchases": len(rest), "contribution": _rounded(parts[rest].sum())}
    return with_warnings({**body, "model": served.model_hash}, buyer.notices)


def _entry(served: ServedModel, position: int, part: float, names: list[str] | None) -> dict[str, Any]:
    entry = {"item": served.catalogue.id_at(int(position)), "contribution": _rounded(part)}
    return entry if names is None else {**entry, "attributes": served.catalogue.attributes.shown(int(position), names)}


def _rounded(part: float) -> float:
    """Return a contribution as a float32 has it, in its fewest digits."""
    return float(str(np.float32(part) + np.float32(0)))
