"""Task `score`: a customer's score of each item of a given list, in its order, or re-ranked under the rules."""

from typing import Any

import numpy as np

from alsriaz.errors import RequestError, RuleError
from alsriaz.questions import fields
from alsriaz.questions.buyer import BUYER_FIELDS, Buyer, read_buyer
from alsriaz.questions.question import Prepared, Question, json_score, with_warnings
from alsriaz.questions.served_model import ServedModel
from alsriaz.rules.binding import BoundRules
from alsriaz.rules.lists import Ask, ItemList, Pick
from alsriaz.rules.notices import Notice, notices
from alsriaz.rules.rules import Rules, named_rules, parse_rules
from alsriaz.scoring.scorers import FixedScorer, Scorer
from alsriaz.serving.wire import Record

SCORE_FIELDS = (*BUYER_FIELDS, "items", "order", "include", "exclude", "boost", "show")
SCORE_RULES = (
    "include.only",
    "include.where",
    "exclude.items",
    "exclude.purchased",
    "exclude.popular",
    "exclude.where",
    "boost",
)
ORDERS = ("given", "score")
MOST_ITEMS = 10_000


def score(served: ServedModel, record: Record) -> Prepared:
    """Return the scores of the items that a record names."""
    buyer = read_buyer(served, record)
    if record.get("items") is None:
        raise RequestError("missing_field", "The record has no items, expected a list of what to score.", "items")
    items = fields.ids(record["items"], "items", MOST_ITEMS)
    order = fields.choice(record, "order", ORDERS)
    first = {"customer": buyer.customer, "source": buyer.source}
    if order == "score":
        return _by_score(served, record, buyer, list(dict.fromkeys(items)), first)
    parse_rules(record, served.limits.most_ids)  # for its errors
    for rule in named_rules(record):
        message = f'{rule} holds for a list that is ranked, and this one keeps its order: ask for "order": "score".'
        raise RuleError(rule, message)
    return _as_given(served, record, buyer, items, first)


def _as_given(
    served: ServedModel, record: Record, buyer: Buyer, items: list[str], first: dict[str, Any]
) -> dict[str, Any]:
    names = served.shown(record)
    scores = _scores(served, buyer, items)
    picks = [Pick(item, scores.get(item), buyer.reason, served.catalogue.position_of(item)) for item in items]
    told = [*buyer.notices, *_never_sold(list(dict.fromkeys(item for item in items if item not in scores)))]
    entries = [_entry(served, pick, names) for pick in picks]
    return with_warnings({**first, "scores": entries, "model": served.model_hash}, told)


def _scores(served: ServedModel, buyer: Buyer, items: list[str]) -> dict[str, np.float32]:
    found = {item: served.catalogue.ids.position_of(item) for item in items}
    known = {item: position for item, position in found.items() if position is not None}
    positions = np.array(list(known.values()), dtype=np.int64)
    vector = buyer.vector(served)
    scorer: Scorer = FixedScorer(served.popularity) if vector is None else served.items.scorer(vector[None, :])
    return dict(zip(known, scorer.exact(np.zeros(len(positions), dtype=np.int64), positions), strict=True))


def _by_score(served: ServedModel, record: Record, buyer: Buyer, items: list[str], first: dict[str, Any]) -> Question:
    names = served.shown(record)
    rules = served.rules(record, Rules(only=frozenset(items))).filters_only()
    ask = Ask(len(items), rules, buyer.bought.items, buyer.reason)
    kept = [item for item in items if not (rules.purchased and item in buyer.history)]
    unscored = _unscored(served, rules, kept)

    def body(found: ItemList) -> dict[str, Any]:
        picks = [*found.picks, *(Pick(item, None, buyer.reason, position) for item, position in unscored)]
        told = [*buyer.notices, *rules.notices, *_never_sold([item for item, _ in unscored])]
        entries = [_entry(served, pick, names) for pick in picks]
        return with_warnings({**first, "scores": entries, "model": served.model_hash}, told)

    return Question(buyer.against, buyer.vector(served), ask, body)


def _unscored(served: ServedModel, rules: BoundRules, items: list[str]) -> list[tuple[str, int | None]]:
    """Return the items that were never sold and that the filters let through, in the given order."""
    never = [(item, served.catalogue.position_of(item)) for item in items]
    return [
        (item, position)
        for item, position in never
        if (position is None or position >= len(served.catalogue.ids)) and rules.lets_through(item, position)
    ]


def _entry(served: ServedModel, pick: Pick, names: list[str] | None) -> dict[str, Any]:
    entry = {"item": pick.item, "score": json_score(pick.score)}
    return entry if names is None else {**entry, "attributes": served.attributes(pick, names)}


def _never_sold(items: list[str]) -> list[Notice]:
    return notices("never_sold", "Item {} was never sold: it has no score.", items)
