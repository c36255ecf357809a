from typing import Any

import numpy as np
import pytest

from alsriaz.errors import BadValue
from alsriaz.platform.days import Day, day_text
from alsriaz.scoring.foldin import Equations
from alsriaz.scoring.history import HistoryEntry, find_buyer, read_history
from tests.small_models import LAST_DAY, shop

LAST = Day(LAST_DAY)

READ: list[tuple[list[Any], list[HistoryEntry], str]] = [
    ([], [], "nothing"),
    (["apple", 7], [HistoryEntry("apple", 1), HistoryEntry("7", 1)], "ids alone: one piece, on the last day"),
    ([{"item": "apple", "quantity": 2.5}], [HistoryEntry("apple", 2.5)], "a quantity"),
    ([{"item": "a", "date": day_text(14_990)}], [HistoryEntry("a", 1, Day(14_990))], "a date"),
    ([{"item": "a", "date": 20110101}], [HistoryEntry("a", 1, Day(14_975))], "a date as a number"),
    ([{"item": "a", "date": None}], [HistoryEntry("a", 1)], "no date"),
]


@pytest.mark.parametrize(("given", "entries", "why"), READ, ids=[why for *_, why in READ])
def test_a_history_is_read(given: list[Any], entries: list[HistoryEntry], why: str) -> None:
    assert read_history(given, "history", most=10) == entries


REFUSED = [
    ("apple", "history", "history is 'apple', expected a list of purchases.", "no list"),
    (["a"] * 11, "history", "history has 11 entries, expected at most 10.", "too long"),
    ([1.5], "history[0]", "history[0] is 1.5: expected an id", "no id"),
    ([{}], "history[0].item", "history[0] has no item", "no item"),
    (["a", {"item": ""}], "history[1].item", "history[1].item is '': expected an id", "an empty id"),
    ([{"item": "a", "qty": 1}], "history[0].qty", "There is no field 'qty'", "an unknown field"),
    ([{"item": "a", "quantity": 0}], "history[0].quantity", "quantity is 0, expected a number above 0", "none bought"),
    ([{"item": "a", "quantity": True}], "history[0].quantity", "quantity is true", "a boolean"),
    ([{"item": "a", "quantity": 1e16}], "history[0].quantity", "quantity is 1e+16", "absurd"),
    ([{"item": "a", "date": "9/12/2011"}], "history[0].date", "date is '9/12/2011', expected a day", "no day"),
    ([{"item": "a", "date": [1]}], "history[0].date", "date is [1], expected a day", "a list is no day"),
]


@pytest.mark.parametrize(("given", "field", "words", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_a_history_that_can_not_be_read(given: Any, field: str, words: str, why: str) -> None:
    with pytest.raises(BadValue) as caught:
        read_history(given, "history", most=10)
    assert caught.value.field == field
    assert words in str(caught.value)


def test_a_history_adds_to_what_is_stored() -> None:
    model = shop(spec={"als_rank": 2, "half_life_days": 10}).in_memory()
    history = [
        HistoryEntry("bread", 3, LAST),
        HistoryEntry("figs", 2, Day(LAST - 10)),
        HistoryEntry("figs", 1, Day(LAST + 5)),
    ]
    buyer = find_buyer(model, "ann", history)
    bought = buyer.bought(model)
    assert bought.items.tolist() == [0, 1, 5]
    assert bought.purchases.counts.tolist() == [2, 2, 2]
    assert bought.purchases.quantities.tolist() == [6, 4, 3]
    assert bought.purchases.decayed.tolist() == [2, 2, 1.5], "a purchase after the last day counts as one of that day"
    assert buyer.unknown == ()
    assert buyer.source == "history"


def test_unknown_items_are_named_once_each_and_left_out() -> None:
    model = shop().in_memory()
    buyer = find_buyer(model, None, [HistoryEntry("soap"), HistoryEntry("soap")])
    assert len(buyer.bought(model).items) == 0
    assert buyer.unknown == ("soap",)
    assert buyer.source == "popular"
    assert find_buyer(model, "ann", [HistoryEntry("soap")]).source == "model"


@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
@pytest.mark.parametrize("ranking_type", ["incident", "count", "total_qty", "normalize_count", "recency"])
def test_factors_follow_from_the_ratings_of_the_models_own_type(ranking_type: str, feedback: str) -> None:
    spec = {"als_rank": 2, "ranking_type": ranking_type, "feedback": feedback, "half_life_days": 10, "alpha": 2}
    model = shop(spec=spec).in_memory()
    buyer = find_buyer(model, None, [HistoryEntry("bread", 6, LAST), HistoryEntry("dates", 2, Day(LAST - 10))])
    ratings = {
        "incident": [1, 1],
        "count": [1, 1],
        "total_qty": [6, 2],
        "normalize_count": [1 / 3, 1],  # bread has 3 customers, dates 1: the stored divisors
        "recency": [1, 0.5],
    }[ranking_type]
    expected = Equations(
        model.arrays.item_factors[[1, 3]],
        np.array(ratings, dtype=np.float32),
        model.arrays.item_gram,
        implicit=feedback == "implicit",
        alpha=2,
        reg_param=0.1,
        nonnegative=False,
    ).factors()
    assert buyer.factors is not None
    assert buyer.factors.tobytes() == expected.tobytes()
