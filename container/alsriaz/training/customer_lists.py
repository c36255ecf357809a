"""The lists of output.csv: who gets one, and what stands in it under the standing rules."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from alsriaz.errors import RequestError, SpecError
from alsriaz.model.folder import Model
from alsriaz.platform.days import Day
from alsriaz.platform.layout import RULES_NAME
from alsriaz.platform.progress import Progress
from alsriaz.platform.values import shown
from alsriaz.rules.binding import BoundRules, bind, make_layer, without_history
from alsriaz.rules.lists import Ask, Pick, make_lists
from alsriaz.rules.rules import Rules
from alsriaz.scoring.history import (
    DEFAULT_MOST_ENTRIES,
    Bought,
    Entry,
    factors_from,
    parse_history,
    stored,
    with_history,
)
from alsriaz.scoring.ranking import NONE
from alsriaz.scoring.scorers import FixedScorer, Scorer

PROGRESS_SECONDS = 5
_SCORES_AT_ONCE = 1 << 24  # 64 MB of float32

List = tuple[str, list[Pick]]


class Basket(NamedTuple):
    """What a customer of rules.json brings: the ids of its items, and with what is stored, where any is known."""

    items: frozenset[str] = frozenset()
    bought: Bought | None = None


def customer_lists(model: Model, progress: Progress) -> Iterator[List]:
    """Yield the list of each customer whom the standing rules let through, by position, then those they add.

    Added customers whom the model knows stand in their own place. One with a basket is scored by it, together with what
    is stored; one whom nothing is known of gets what is popular.

    Raises:
        SpecError: a basket can't be used.
    """
    standing = model.standing_rules
    rules = bind([make_layer(standing, model.catalogue)], model.catalogue)
    baskets = _baskets(model, standing)
    n_customers, told = len(model.customer_ids), time.monotonic()
    size = min(model.spec.group_size, max(1, _SCORES_AT_ONCE // len(model.catalogue.ids)))
    wanted = _wanted(model, standing)
    for start in range(0, len(wanted), size):
        rows = wanted[start : start + size]
        yield from _known(model, rules, rows, baskets)
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            progress(f"recommending, {rows[-1] + 1:,} of {n_customers:,} customers")
    for guest in standing.include_customers:
        if model.customer_ids.position_of(guest.customer) is None:
            yield guest.customer, _guest(model, rules, guest.customer, baskets.get(guest.customer, Basket()))


def _wanted(model: Model, rules: Rules) -> list[int]:
    """Return the ascending positions of the customers who get a list."""
    ids = model.customer_ids
    if rules.only_customers is None:
        wanted = np.ones(len(ids), dtype=np.bool_)
    else:
        wanted = np.zeros(len(ids), dtype=np.bool_)
        wanted[ids.positions_of(rules.only_customers)] = True
    wanted[ids.positions_of(guest.customer for guest in rules.include_customers)] = True
    wanted[ids.positions_of(rules.exclude_customers)] = False
    return np.flatnonzero(wanted).tolist()


def parse_baskets(rules: Rules, last_day: Day) -> dict[str, list[Entry]]:
    """Return the histories that include.customers of rules.json give, by customer.

    Raises:
        SpecError: one can't be read.
    """
    baskets = {}
    for number, guest in enumerate(rules.include_customers):
        if guest.history is None:
            continue
        try:
            baskets[guest.customer] = parse_history(guest.history, last_day, DEFAULT_MOST_ENTRIES)
        except RequestError as error:
            raise SpecError(f"{RULES_NAME}: include.customers[{number}]: {error}") from None
    return baskets


def _baskets(model: Model, rules: Rules) -> dict[str, Basket]:
    """Return the baskets of the customers who bring one, by id."""
    baskets = {}
    for customer, entries in parse_baskets(rules, model.last_day).items():
        before = stored(model, model.customer_ids.position_of(customer))
        bought, _ = with_history(model, before, entries)
        items = frozenset(entry.item for entry in entries)
        baskets[customer] = Basket(items, None if bought is before else bought)
    return baskets


def _known(model: Model, rules: BoundRules, rows: Sequence[int], baskets: Mapping[str, Basket]) -> Iterator[List]:
    factors = model.arrays.customer_factors[rows]
    ids = [model.customer_ids.id_at(row) for row in rows]
    asks = []
    for place, (row, customer) in enumerate(zip(rows, ids, strict=True)):
        basket = baskets.get(customer, Basket())
        if basket.bought is not None:
            factors[place] = _factors(model, customer, basket.bought)
        some = without_history(rules, basket.items, model.catalogue)
        asks.append(Ask(model.spec.reco_item, some, _purchased(model, rules, row, basket.bought)))
    lists = make_lists(model.item_factors.scorer(factors), asks, model.catalogue)
    yield from zip(ids, (found.picks for found in lists), strict=True)


def _purchased(
    model: Model, rules: BoundRules, row: int, bought: Bought | None
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if not rules.purchased:
        return NONE
    return model.purchased(row) if bought is None else bought.items


def _guest(model: Model, rules: BoundRules, guest: str, basket: Basket) -> list[Pick]:
    scorer: Scorer
    rules = without_history(rules, basket.items, model.catalogue)
    if basket.bought is None:
        scorer = FixedScorer(model.arrays.item_customers.astype(np.float32))
        ask = Ask(model.spec.reco_item, rules, reason="popular")
    else:
        scorer = model.item_factors.scorer(_factors(model, guest, basket.bought)[None, :])
        ask = Ask(model.spec.reco_item, rules, basket.bought.items)
    return make_lists(scorer, [ask], model.catalogue)[0].picks


def _factors(model: Model, customer: str, basket: Bought) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    try:
        return factors_from(model, basket)
    except RequestError as error:
        raise SpecError(f"{RULES_NAME}: the history of {shown(customer)} in include.customers: {error}") from None
