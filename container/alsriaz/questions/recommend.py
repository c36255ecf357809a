"""Tasks `recommend` and `popular`: a customer's list, and what most customers bought."""

from typing import Any

from alsriaz.questions.buyer import BUYER_FIELDS, read_buyer
from alsriaz.questions.question import Against, Question, entry, page, with_warnings
from alsriaz.questions.served_model import ServedModel
from alsriaz.rules.binding import without_history
from alsriaz.rules.lists import Ask, ItemList
from alsriaz.serving.wire import Record

LIST_FIELDS = ("k", "offset", "include", "exclude", "boost", "at_most", "show")
RECOMMEND_FIELDS = (*BUYER_FIELDS, *LIST_FIELDS)
POPULAR_FIELDS = LIST_FIELDS


def recommend(served: ServedModel, record: Record) -> Question:
    """Return what will this customer buy?"""
    buyer = read_buyer(served, record)
    rules, k = without_history(served.rules(record), buyer.history, served.catalogue), served.k(record)
    ask = Ask(k, rules, buyer.bought.items, buyer.reason, served.offset(record, k))
    answer = item_lists(served, record, ask, {"customer": buyer.customer, "source": buyer.source}, *buyer.notices)
    return Question(buyer.against, buyer.vector(served), ask, answer)


def popular(served: ServedModel, record: Record) -> Question:
    """Return what did most customers buy?"""
    k = served.k(record)
    ask = Ask(k, served.rules(record), reason="popular", offset=served.offset(record, k))
    return Question(Against.POPULARITY, None, ask, item_lists(served, record, ask, {"source": "popular"}))


def item_lists(served: ServedModel, record: Record, ask: Ask, first: dict[str, Any], *notices: Any) -> Any:
    """Return what turns a list of items into the answer to a record, which begins with `first`."""
    names, paged = served.shown(record), record.get("offset") is not None

    def body(found: ItemList) -> dict[str, Any]:
        entries = [entry(pick, shown=served.attributes(pick, names)) for pick in found.picks]
        answer = {**first, **page(entries, "recommendations", ask, found, paged=paged), "model": served.model_hash}
        return with_warnings(answer, [*notices, *ask.rules.notices, *found.notices])

    return body
