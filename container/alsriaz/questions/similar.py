"""Task `similar`: items alike one item, or several."""

import numpy as np

from alsriaz.errors import RequestError
from alsriaz.model.ids import Positions
from alsriaz.platform.values import shown
from alsriaz.questions import fields
from alsriaz.questions.question import Against, Question
from alsriaz.questions.recommend import LIST_FIELDS, item_lists
from alsriaz.questions.served_model import ServedModel
from alsriaz.rules.lists import Ask
from alsriaz.rules.notices import notices
from alsriaz.scoring.scorers import Factors
from alsriaz.serving.wire import Record

SIMILAR_FIELDS = ("item", "items", "measure", *LIST_FIELDS)
MEASURES = ("cosine", "inner_product")
MOST_ITEMS = 1000


def similar(served: ServedModel, record: Record) -> Question:
    """Return items by their mean likeness to the asked ones, which don't appear themselves unless included."""
    items = asked_items(record)
    measure = fields.choice(record, "measure", MEASURES)
    positions, unsold = served.known_items(items)
    if not len(positions):
        raise unknown_item(items, asked_field(record))
    k = served.k(record)
    # What is asked about is no answer: it is kept out as purchases are.
    rules = served.rules(record).keeping_out(positions, served.catalogue.positions_of(unsold))
    ask = Ask(k, rules, offset=served.offset(record, k))
    told = notices("unknown_item", "Item {} was never sold: nothing is known to be alike.", unsold)
    body = item_lists(served, record, ask, {"items": items, "measure": measure}, *told)
    if measure == "cosine":
        return Question(Against.COSINES, served.items.direction(positions), ask, body)
    return Question(Against.ITEMS, mean_factors(served, positions), ask, body)


def mean_factors(served: ServedModel, positions: Positions) -> Factors:
    """Return the mean factors, shape (rank,) of float32: their product with others is the mean of the products."""
    mean: Factors = served.items.factors[positions].mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def asked_items(record: Record) -> list[str]:
    """Return the ids in the field `item` or `items`, of which there must be one."""
    item, items = record.get("item"), record.get("items")
    if item is None and items is None:
        raise RequestError("missing_field", "The record has neither item nor items, expected one of them.", "item")
    if item is not None and items is not None:
        raise RequestError("bad_value", "The record has both item and items, expected one of them.", "item")
    return (
        [fields.an_id(item, "item")] if items is None else list(dict.fromkeys(fields.ids(items, "items", MOST_ITEMS)))
    )


def asked_field(record: Record) -> str:
    """Return the name of the field that `asked_items` has read."""
    return "items" if record.get("item") is None else "item"


def unknown_item(items: list[str], field: str) -> RequestError:
    """Return the error for items of which none was ever sold; `field` names them."""
    more = len(items) - 1
    others = f", nor {'was the other one' if more == 1 else f'were the other {more}'}" if more else ""
    message = f"Item {shown(items[0])} was never sold{others}: the model has nothing to go by."
    return RequestError("unknown_item", message, field)
