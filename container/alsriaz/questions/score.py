"""Tasks `score` and `explain`: a customer's score of given items, and which purchases made it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from alsriaz.errors import BadValue, RequestError
from alsriaz.model.arrays import Positions, Scores
from alsriaz.platform.values import shown
from alsriaz.questions.question import Question
from alsriaz.questions.recommend import history_notices, read_buyer, with_warnings
from alsriaz.questions.shop import Listing, Prepared, Shop
from alsriaz.questions.tally import Answer
from alsriaz.rules.binding import Bound, Notice, notices
from alsriaz.rules.lists import Ask, Page, shortest
from alsriaz.rules.rows import Rules
from alsriaz.scoring.history import Buyer
from alsriaz.scoring.scorers import Scorers


def score(shop: Shop, question: Question) -> Prepared:
    """Return the scores of the items that a question names: in their order, or re-ranked under the rules."""
    buyer = read_buyer(shop, question)
    items = question.items or ()
    first = {"customer": question.customer, "source": buyer.source}
    if question.order == "score":
        return _by_score(shop, question, buyer, list(dict.fromkeys(items)), first)
    for rule in question.named_rules:
        message = f'{rule} holds for a list that is ranked, and this one keeps its order: ask for "order": "score".'
        raise BadValue(rule, message)
    return _as_given(shop, question, buyer, items, first)


def _as_given(shop: Shop, question: Question, buyer: Buyer, items: Sequence[str], first: Mapping[str, Any]) -> Answer:
    found = {item: shop.items.ids.position_of(item) for item in items}
    known = {item: position for item, position in found.items() if position is not None}
    scores = shortest(_scores(shop, buyer, np.array(list(known.values()), dtype=np.int64)))
    score_of = dict(zip(known, scores, strict=True))
    never = list(dict.fromkeys(item for item in items if item not in known))
    scored = [(item, score_of.get(item), shop.items.position_of(item)) for item in items]
    return _answer(shop, question, first, scored, [*history_notices(buyer), *_never_sold(never)])


def _by_score(shop: Shop, question: Question, buyer: Buyer, items: Sequence[str], first: Mapping[str, Any]) -> Listing:
    rules = shop.rules(question, Rules({"include.only": frozenset(items)})).filters_only()
    ask = Ask(len(items), rules, buyer.bought_items(shop.model), buyer.reason)
    kept = [item for item in items if not (rules.purchased and item in buyer.history)]
    unscored = _unscored(shop, rules, kept)
    told = [*history_notices(buyer), *rules.notices, *_never_sold([item for item, _ in unscored])]
    shop.shown(question)

    def answer(page: Page) -> Answer:
        scored = [*zip(page.ids, page.scores, page.positions, strict=True)]
        scored += [(item, None, position) for item, position in unscored]
        return _answer(shop, question, first, scored, told)

    return Listing(Scorers.scorer, buyer, ask, answer)


def _scores(shop: Shop, buyer: Buyer, positions: Positions) -> Scores:
    return shop.scorers.scorer([buyer]).exact(np.zeros(len(positions), dtype=np.int64), positions)


def _unscored(shop: Shop, rules: Bound, items: Sequence[str]) -> list[tuple[str, int | None]]:
    """Return the items that were never sold and that the filters let through, in the given order."""
    never = [(item, shop.items.position_of(item)) for item in items]
    return [
        (item, position)
        for item, position in never
        if (position is None or position >= len(shop.items.ids)) and rules.lets_through(item, position)
    ]


def _answer(
    shop: Shop,
    question: Question,
    first: Mapping[str, Any],
    scored: Sequence[tuple[str, float | None, int | None]],
    told: Sequence[Notice],
) -> Answer:
    names = shop.shown(question)
    entries: list[dict[str, Any]] = [{"item": item, "score": score} for item, score, _ in scored]
    if names is not None:
        shop.show(entries, [position for *_, position in scored], names)
    return with_warnings({**first, "scores": entries, "model": shop.model_hash}, told)


def _never_sold(items: Sequence[str]) -> list[Notice]:
    return notices("never_sold", "Item {} was never sold: it has no score.", items)


def explain(shop: Shop, question: Question) -> Answer:
    """Return the purchases that made a score, the largest contribution first, ties by position.

    The contributions sum to the score; beyond the first `k` they are summed up as `others`.
    """
    buyer = read_buyer(shop, question)
    item = question.item or ""
    shop.shown(question)
    if buyer.source == "popular":
        raise question.unknown_customer()
    bought, position = buyer.bought(shop.model), shop.items.ids.position_of(item)
    if not len(bought.items):
        message = f"Customer {shown(question.customer)} has no purchases in the model: there is nothing to explain."
        raise RequestError("unknown_customer", message, "customer")
    if position is None:
        raise question.unknown_items()
    parts = shop.scorers.contributions(bought, position)
    order = np.lexsort((bought.items, -parts))
    named = order if question.k is None else order[: question.k]
    (value,) = shortest(_scores(shop, buyer, np.array([position])))
    numbers = _rounded(parts[named])
    answer: dict[str, Any] = {
        "customer": question.customer,
        "item": item,
        "source": buyer.source,
        "score": value,
        "contributions": [
            _entry(shop, int(item), part, question.show)
            for item, part in zip(bought.items[named], numbers, strict=True)
        ],
    }
    if len(named) < len(order):
        rest = order[len(named) :]
        (sum_of_rest,) = _rounded(np.array([parts[rest].sum()]))
        answer["others"] = {"purchases": len(rest), "contribution": sum_of_rest}
    return with_warnings({**answer, "model": shop.model_hash}, history_notices(buyer))


def _entry(shop: Shop, position: int, part: float, names: Sequence[str] | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"item": shop.items.id_at(position), "contribution": part}
    if names is not None:
        entry["attributes"] = shop.items.attributes.shown(position, names)
    return entry


def _rounded(parts: Any) -> list[float]:
    """Return contributions as float32 has them, each in its fewest digits."""
    return shortest(parts.astype(np.float32) + np.float32(0))
