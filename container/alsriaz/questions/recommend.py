"""Tasks `recommend` and `popular`: a customer's list, and what most customers bought."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from alsriaz.platform.limits import MOST_OFFSET
from alsriaz.questions.question import Question
from alsriaz.questions.shop import Listing, Shop
from alsriaz.questions.tally import Answer
from alsriaz.rules.binding import Notice, notices
from alsriaz.rules.lists import Ask, Page
from alsriaz.scoring.history import NOBODY, Buyer, find_buyer
from alsriaz.scoring.scorers import Scorers


def recommend(shop: Shop, question: Question) -> Listing:
    """Return what this customer will buy."""
    buyer = read_buyer(shop, question)
    rules, k = shop.rules(question).without_history(buyer.history, shop.items), shop.k(question)
    bought = buyer.bought_items(shop.model) if rules.purchased else None
    ask = Ask(k, rules, bought, buyer.reason, shop.offset(question, k))
    first = {"customer": question.customer, "source": buyer.source}
    return Listing(Scorers.scorer, buyer, ask, item_answer(shop, question, ask, first, history_notices(buyer)))


def popular(shop: Shop, question: Question) -> Listing:
    """Return what most customers bought."""
    k = shop.k(question)
    ask = Ask(k, shop.rules(question), reason="popular", offset=shop.offset(question, k))
    return Listing(Scorers.scorer, NOBODY, ask, item_answer(shop, question, ask, {"source": "popular"}))


def read_buyer(shop: Shop, question: Question) -> Buyer:
    """Return who a question is about.

    Raises:
        BadValue: no scores follow from the history.
        RequestError: the customer is unknown, and the question asks for an error then.
    """
    buyer = find_buyer(shop.model, question.customer, question.history)
    if question.on_unknown == "error" and buyer.source == "popular":
        raise question.unknown_customer()
    return buyer


def history_notices(buyer: Buyer) -> Sequence[Notice]:
    """Return what is to be told of a history."""
    if not buyer.unknown:
        return ()
    return notices("unknown_item", "Item {} of the history was never sold: it is left out.", buyer.unknown)


def item_answer(
    shop: Shop, question: Question, ask: Ask, first: Mapping[str, Any], told: Iterable[Notice] = ()
) -> Callable[[Page], Answer]:
    """Return what turns a page of items into the answer, which begins with `first`."""
    names = shop.shown(question)

    def answer(page: Page) -> Answer:
        ids, scores, reasons, positions, told_of_page, _ = page
        entries: list[dict[str, Any]] = [
            {"item": item, "score": score, "reason": reason}
            for item, score, reason in zip(ids, scores, reasons, strict=True)
        ]
        if names is not None:
            shop.show(entries, positions, names)
        return with_warnings(
            {**first, **paged("recommendations", entries, question, ask, page), "model": shop.model_hash},
            [*told, *ask.rules.notices, *told_of_page],
        )

    return answer


def paged(name: str, entries: Sequence[Any], question: Question, ask: Ask, page: Page) -> dict[str, Any]:
    """Return the part of an answer that holds a list: its entries, and where it goes on if the question pages."""
    beyond = ask.offset + ask.k
    if question.offset is not None and page.more and beyond <= MOST_OFFSET:
        return {name: entries, "next_offset": beyond}
    return {name: entries}


def with_warnings(answer: dict[str, Any], told: Sequence[Notice]) -> dict[str, Any]:
    """Return an answer with its warnings, where there are any."""
    return {**answer, "warnings": [notice._asdict() for notice in told]} if told else answer
