"""Answers under every rule, over random shops whose factors are small whole numbers, so that ties are real."""

import itertools
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from alsriaz.core.errors import RuleError
from alsriaz.serving.recommender import Limits, Recommender
from tests.oracle import Contradiction, expect
from tests.small_models import Purchase, SmallModel

CUSTOMERS = ["c1", "c2", "c3", "c4"]
ITEMS = [f"i{number:02}" for number in range(9)]
UNSOLD = ["a-never", "z-never"]

small = st.integers(-2, 2)
item = st.sampled_from(ITEMS)
any_item = st.sampled_from(ITEMS + UNSOLD)


def lists(of: st.SearchStrategy[str], most: int = 4) -> st.SearchStrategy[list[str]]:
    return st.lists(of, max_size=most, unique=True)


@st.composite
def rules(draw: st.DrawFn, most_new: int) -> dict[str, Any]:
    """Draw one layer, in which no id is both included and excluded."""
    include: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "items": lists(any_item, 3),
                "new": st.integers(0, most_new),
                "only": lists(any_item, 8),
                "placement": st.sampled_from(["score", "first"]),
            },
        )
    )
    exclude: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "items": lists(any_item),
                "purchased": st.booleans(),
                "popular": st.integers(0, 10) | st.sampled_from([0.1, 0.25, 0.34, 0.5, 0.99]),
            },
        )
    )
    if "items" in exclude:
        exclude["items"] = [one for one in exclude["items"] if one not in include.get("items", [])]
    return {"include": include, "exclude": exclude}


@st.composite
def shops(draw: st.DrawFn) -> SmallModel:
    rank = draw(st.integers(1, 3))
    factors = st.lists(small, min_size=rank, max_size=rank)
    bought = draw(st.lists(st.tuples(st.sampled_from(CUSTOMERS), item), unique=True, min_size=1, max_size=20))
    return SmallModel(
        customers=CUSTOMERS,
        items=ITEMS,
        customer_factors=draw(st.lists(factors, min_size=4, max_size=4)),
        item_factors=draw(st.lists(factors, min_size=9, max_size=9)),
        purchases=[Purchase(customer, one, count=draw(st.integers(1, 3))) for customer, one in bought],
        first_ages=draw(st.lists(st.sampled_from([0, 29, 30, 400]), min_size=9, max_size=9)),
        standing=draw(st.just({}) | rules(3)),
        spec={"als_rank": rank, "reco_item": 4, "new_item_days": 30},
    )


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    request: dict[str, Any] = draw(st.just({}) | rules(4))
    if draw(st.booleans()):
        request["k"] = draw(st.integers(1, 12))
    if draw(st.integers(0, 5)) == 0:
        request.get("exclude", {}).pop("purchased", None)
        return request | {"task": "popular"}
    return request | {"customer": draw(st.sampled_from([*CUSTOMERS, "stranger"]))}


@settings(max_examples=600, deadline=None)
@given(shops(), requests())
def test_answers_agree_with_plain_python(shop: SmallModel, request: dict[str, Any]) -> None:
    recommender = Recommender(shop.in_memory(), Limits())
    try:
        expected = expect(shop, request)
    except Contradiction:
        event("contradiction")
        with pytest.raises(RuleError):
            recommender.answer(request)
        return
    answer = recommender.answer(request)
    event(f"source {expected.source}, {len(set(expected.warnings))} kinds of warnings")
    assert answer["source"] == expected.source
    got = [(entry["item"], entry["score"], entry["reason"]) for entry in answer["recommendations"]]
    assert got == expected.places
    assert sorted(notice["code"] for notice in answer.get("warnings", [])) == sorted(expected.warnings)


@settings(max_examples=200, deadline=None)
@given(shops(), requests(), st.lists(any_item, min_size=1, max_size=4))
def test_a_history_is_folded_in_and_ranked_under_the_same_rules(
    shop: SmallModel, request: dict[str, Any], history: list[str]
) -> None:
    request = {name: value for name, value in request.items() if name != "task"} | {"history": history}
    recommender = Recommender(shop.in_memory(), Limits())
    try:
        expected = expect(shop, request)
    except Contradiction:
        with pytest.raises(RuleError):
            recommender.answer(request)
        return
    answer = recommender.answer(request)
    assert answer["source"] == expected.source
    assert sorted(notice["code"] for notice in answer.get("warnings", [])) == sorted(expected.warnings)
    got = [(entry["item"], entry["score"], entry["reason"]) for entry in answer["recommendations"]]
    # Two solvers agree to rounding only, so items whose scores are that close may stand in each other's places.
    assert [place[1] for place in got] == [
        None if score is None else pytest.approx(score, abs=1e-5) for _, score, _ in expected.places
    ]
    scores = [score for _, score, _ in expected.places if score is not None]
    if all(abs(one - other) > 1e-4 for one, other in itertools.combinations({*scores, *expected.left_out}, 2)):
        event("no ties")
        assert [(place[0], place[2]) for place in got] == [(place[0], place[2]) for place in expected.places]
