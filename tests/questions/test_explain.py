from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsriaz.errors import CallerError
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.serving.wire import error_code
from tests.small_models import Purchase, SmallModel, shop

ITEMS = [f"i{n}" for n in range(7)]


def random_shop(seed: int, **spec: Any) -> SmallModel:
    """Return a shop whose customer factors are nothing in particular: only folded-in scores can be explained."""
    rng = np.random.default_rng(seed)
    bought = [
        Purchase(f"c{c}", ITEMS[i], count=int(rng.integers(1, 4)))
        for c in range(3)
        for i in range(7)
        if rng.random() < 0.5
    ]
    return SmallModel(
        customers=["c0", "c1", "c2"],
        items=ITEMS,
        customer_factors=rng.normal(size=(3, 3)).tolist(),
        item_factors=rng.normal(size=(7, 3)).tolist(),
        purchases=bought,
        first_ages=[100] * 7,
        standing={},
        spec={"als_rank": 3, "alpha": 2.0, "reg_param": 0.05} | spec,
    )


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["implicit", "explicit"]), st.booleans(), st.sampled_from(ITEMS))
def test_contributions_sum_to_the_score_of_a_basket(seed: int, feedback: str, nonnegative: bool, item: str) -> None:
    recommender = Recommender(Shop(random_shop(seed, feedback=feedback, nonnegative=nonnegative).in_memory(), Limits()))
    basket = {"customer": "c0", "history": ["i1", {"item": "i4", "quantity": 3}, "i4"]}
    answer = recommender.answer({"task": "explain", "item": item} | basket)
    parts = [entry["contribution"] for entry in answer["contributions"]]
    assert answer["source"] == "history"
    assert sum(parts) == pytest.approx(answer["score"], abs=1e-5)
    assert parts == sorted(parts, reverse=True)
    few = recommender.answer({"task": "explain", "item": item, "k": 1} | basket)
    assert few["contributions"] == answer["contributions"][:1]
    rest = few["others"]["contribution"] if len(parts) > 1 else 0.0
    assert parts[0] + rest == pytest.approx(answer["score"], abs=1e-5)
    assert ("others" in few) == (len(parts) > 1)


def test_a_contribution_is_what_a_rating_weighs_times_how_alike_the_items_are() -> None:
    # One purchase of dates, factors [3, 0]; A = Y'Y + 1 * y y' + 0.1 I, b = 2 y: score of apple = apple' A^-1 b.
    items = np.array(shop().item_factors, dtype=float)
    left = items.T @ items + np.outer(items[3], items[3]) + 0.1 * np.eye(2)
    expected = items[0] @ np.linalg.inv(left) @ (2 * items[3])
    answer = Recommender(Shop(shop().in_memory(), Limits())).answer(
        {"task": "explain", "history": ["dates"], "item": "apple"}
    )
    assert answer["contributions"] == [{"item": "dates", "contribution": pytest.approx(expected, rel=1e-5)}]
    assert answer["score"] == pytest.approx(expected, rel=1e-5)
    assert answer["customer"] is None


def test_attributes_are_shown_on_request() -> None:
    described = shop(attributes={"description": ["An apple", None, None, "Dates", None, None]})
    recommender = Recommender(Shop(described.in_memory(), Limits()))
    answer = recommender.answer(
        {"task": "explain", "history": ["dates", "bread"], "item": "apple", "show": ["description"]}
    )
    shown = {entry["item"]: entry["attributes"] for entry in answer["contributions"]}
    assert shown == {"dates": {"description": "Dates"}, "bread": {"description": None}}


REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    ({"customer": "ann"}, "missing_field", "item", "The record has no item"),
    ({"customer": "ann", "item": "nuts"}, "unknown_item", "item", "Item 'nuts' was never sold"),
    ({"customer": "zoe", "item": "figs"}, "unknown_customer", "customer", "'zoe' is not in the model"),
    ({"history": ["nuts"], "item": "figs"}, "unknown_customer", "history", "neither a known customer nor a history"),
    ({"customer": "zoe", "item": "nuts", "k": 1.5}, "bad_value", "k", "k is 1.5, expected a whole number from 1"),
    ({"customer": "zoe", "item": "nuts", "show": 1}, "bad_value", "show", "show is 1, expected a list"),
    ({"customer": "ann", "item": "figs", "k": 0}, "bad_value", "k", "k is 0, expected a whole number from 1"),
    ({"customer": "ann", "item": "figs", "exclude": {}}, "unknown_field", "exclude", "There is no field 'exclude'"),
]


@pytest.mark.parametrize(("fields", "code", "field", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_can_not_be_explained(fields: dict[str, Any], code: str, field: str, words: str) -> None:
    with pytest.raises(CallerError) as caught:
        Recommender(Shop(shop().in_memory(), Limits())).answer({"task": "explain"} | fields)
    assert (error_code(caught.value), getattr(caught.value, "field", None)) == (code, field)
    assert words in str(caught.value)
