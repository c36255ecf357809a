"""The lists of output.csv: who gets one, and what stands in it under the standing rules."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from alsriaz.errors import BadValue, SpecError
from alsriaz.model.folder import Model
from alsriaz.platform.layout import RULES_NAME
from alsriaz.platform.limits import MOST_HISTORY
from alsriaz.platform.values import shown
from alsriaz.questions.question import Question
from alsriaz.questions.recommender import pages_for
from alsriaz.questions.shop import Shop
from alsriaz.rules.lists import Page
from alsriaz.rules.rows import Guest, Rules
from alsriaz.scoring.history import HistoryEntry, read_history

PROGRESS_SECONDS = 5

CustomerList = tuple[str, Page]


def customer_lists(model: Model, progress: Callable[[str], None]) -> Iterator[CustomerList]:
    """Yield the list of each customer whom the standing rules let through, by position, then those they add.

    Added customers whom the model knows stand in their own place. One with a basket is scored by it, together with what
    is stored; one of whom nothing is known gets what is popular.

    Raises:
        SpecError: a basket can't be used.
    """
    shop = Shop(model)
    rules, ids = shop.standing, model.customer_ids
    baskets = read_baskets(rules)
    known = _wanted(model, rules)
    guests = [guest.customer for guest in _guests(rules) if ids.position_of(guest.customer) is None]
    n_customers, told = len(ids), time.monotonic()
    for start in range(0, len(known), model.spec.group_size):
        rows = known[start : start + model.spec.group_size]
        yield from _lists(shop, [ids.id_at(row) for row in rows], baskets)
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            progress(f"recommending, {rows[-1] + 1:,} of {n_customers:,} customers")
    yield from _lists(shop, guests, baskets)


def read_baskets(rules: Rules) -> dict[str, list[HistoryEntry]]:
    """Return the histories that include.customers of rules.json give, by customer.

    Raises:
        SpecError: one can't be read.
    """
    baskets = {}
    for place, guest in enumerate(_guests(rules)):
        if guest.history is not None:
            try:
                baskets[guest.customer] = read_history(guest.history, "history", MOST_HISTORY)
            except BadValue as error:
                raise SpecError(f"{RULES_NAME}: include.customers[{place}]: {error}") from None
    return baskets


def _guests(rules: Rules) -> tuple[Guest, ...]:
    guests: tuple[Guest, ...] = rules.get("include.customers", ())
    return guests


def _wanted(model: Model, rules: Rules) -> list[int]:
    """Return the ascending positions of the customers who get a list."""
    ids, only = model.customer_ids, rules.get("include.only_customers")
    wanted = np.full(len(ids), only is None)
    wanted[ids.positions_of(only or ())] = True
    wanted[ids.positions_of(guest.customer for guest in _guests(rules))] = True
    wanted[ids.positions_of(rules.get("exclude.customers", ()))] = False
    return np.flatnonzero(wanted).tolist()


def _lists(
    shop: Shop, customers: Sequence[str], baskets: Mapping[str, Sequence[HistoryEntry]]
) -> Iterator[CustomerList]:
    questions = [Question(customer=customer, history=baskets.get(customer)) for customer in customers]
    try:
        pages = pages_for(shop, questions)
    except BadValue:
        for customer, question in zip(customers, questions, strict=True):  # whose basket is it?
            try:
                pages_for(shop, [question])
            except BadValue as error:
                message = f"{RULES_NAME}: the history of {shown(customer)} in include.customers: {error}"
                raise SpecError(message) from None
        raise
    yield from zip(customers, pages, strict=True)
