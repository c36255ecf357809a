from typing import Any

import pytest

from alsriaz.errors import BadValue, CallerError, RequestError
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from tests.small_models import shop

# Scores of ann: apple 5, bread 4, cocoa 3, dates 3, eggs 2, figs -1. She bought apple and bread.
SHOP = shop(
    attributes={"department": ["fruit", "bakery", "sweets", "fruit", "dairy", "fruit", "dairy"]}, unsold=["goat cheese"]
)
RECOMMENDER = Recommender(Shop(SHOP.in_memory(), Limits()))

RANKED: list[tuple[dict[str, Any], list[tuple[str, Any]], str]] = [
    ({}, [("cocoa", 3.0), ("eggs", 2.0), ("figs", -1.0)], "by score"),
    ({"exclude": {"items": ["eggs"]}}, [("cocoa", 3.0), ("figs", -1.0)], "without excluded items"),
    (
        {"exclude": {"where": {"department": "fruit"}}},
        [("cocoa", 3.0), ("eggs", 2.0)],
        "without what a condition hides",
    ),
    ({"include": {"where": {"department": ["fruit"]}}}, [("figs", -1.0)], "only what meets a condition"),
    ({"include": {"only": ["eggs", "apple"]}}, [("eggs", 2.0)], "the list and only intersect"),
    # the candidates' scores are 3, 2, -1: their deviation is 1.69967
    (
        {"boost": {"items": ["figs"], "by": 4}},
        [("figs", pytest.approx(4.099, abs=1e-3)), ("cocoa", 3.0), ("eggs", 2.0)],
        "boosted",
    ),
]


@pytest.mark.parametrize(("rules", "expected", "why"), RANKED, ids=[why for *_, why in RANKED])
def test_a_list_re_ranked(rules: dict[str, Any], expected: list[tuple[str, float | None]], why: str) -> None:
    request = {"task": "score", "customer": "ann", "items": ["figs", "eggs", "cocoa"], "order": "score"} | rules
    answer = RECOMMENDER.answer(request)
    assert [(entry["item"], entry["score"]) for entry in answer["scores"]] == expected
    assert answer["source"] == "model"


def test_a_list_in_its_own_order_has_every_item() -> None:
    answer = RECOMMENDER.answer({"task": "score", "customer": "ann", "items": ["figs", "nuts", "apple", "figs"]})
    assert answer["scores"] == [
        {"item": "figs", "score": -1.0},
        {"item": "nuts", "score": None},
        {"item": "apple", "score": 5.0},
        {"item": "figs", "score": -1.0},
    ]
    assert [warning["code"] for warning in answer["warnings"]] == ["never_sold"]


@pytest.mark.parametrize(
    "rules",
    [{"include": 5}, {"include": []}, {"exclude": {"prchased": False}}, {"exclude": {"purchased": 0}}, {"boost": "x"}],
    ids=str,
)
def test_a_list_in_its_own_order_takes_no_malformed_rules_for_none(rules: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        RECOMMENDER.answer({"task": "score", "customer": "ann", "items": ["figs"]} | rules)


def test_what_a_history_holds_is_purchased_though_it_was_never_sold() -> None:
    items = ["nuts", "goat cheese", "figs"]
    request = {"task": "score", "history": ["nuts", "goat cheese", "eggs"], "items": items, "order": "score"}
    answer = RECOMMENDER.answer(request | {"exclude": {"purchased": True}})
    assert [entry["item"] for entry in answer["scores"]] == ["figs"]
    assert len(RECOMMENDER.answer(request)["scores"]) == 3


def test_items_without_a_score_come_last_in_the_given_order_where_filters_let_them_through() -> None:
    items = ["nuts", "goat cheese", "figs", "eggs", "berries"]
    request: dict[str, Any] = {"task": "score", "customer": "ann", "items": items, "order": "score"}

    def ranked(**rules: Any) -> list[str]:
        return [entry["item"] for entry in RECOMMENDER.answer(request | rules)["scores"]]

    assert ranked() == ["eggs", "figs", "nuts", "goat cheese", "berries"]
    assert ranked(exclude={"items": ["nuts", "goat cheese"]}) == ["eggs", "figs", "berries"]
    assert ranked(include={"where": {"department": "dairy"}}) == ["eggs", "goat cheese"]
    assert ranked(exclude={"where": {"department": "dairy"}}) == ["figs", "nuts", "berries"]
    assert ranked(include={"only": ["nuts", "figs"]}) == ["figs", "nuts"]


def test_standing_rules_filter_a_re_ranked_list_and_force_nothing_into_it() -> None:
    standing = {"include": {"items": ["dates"], "new": 2}, "exclude": {"items": ["eggs"], "purchased": True}}
    recommender = Recommender(Shop(shop(standing=standing).in_memory(), Limits()))
    request = {"task": "score", "customer": "ann", "items": ["eggs", "figs", "apple", "cocoa"]}
    answer = recommender.answer(request | {"order": "score"})
    assert [entry["item"] for entry in answer["scores"]] == ["cocoa", "figs"]
    assert "warnings" not in answer
    assert len(recommender.answer(request)["scores"]) == 4


def test_a_stranger_is_told_how_many_bought() -> None:
    answer = RECOMMENDER.answer({"task": "score", "customer": "zoe", "items": ["bread", "figs"]})
    assert answer["source"] == "popular"
    assert [entry["score"] for entry in answer["scores"]] == [3.0, 0.0]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({}, "items", "The record has no items"),
    ({"items": "figs"}, "items", "items is 'figs', expected a list of at least one id"),
    ({"items": []}, "items", "items is [], expected a list of at least one id"),
    ({"items": [1.5]}, "items[0]", "items[0] is 1.5: expected an id"),
    ({"items": ["x"] * 10_001}, "items", "items has 10001 ids, expected at most 10000"),
    ({"items": ["figs"], "order": "best"}, "order", 'order is \'best\', expected "given" or "score"'),
    ({"items": ["figs"], "exclude": {"items": ["figs"]}}, "exclude.items", 'ask for "order": "score"'),
    ({"items": ["figs"], "order": "score", "include": {"new": 1}}, "include.new", "has no meaning in task score"),
    ({"items": ["figs"], "k": 3}, "k", "There is no field 'k'"),
]


@pytest.mark.parametrize(("fields", "field", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_can_not_be_scored(fields: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(CallerError) as caught:
        RECOMMENDER.answer({"task": "score", "customer": "ann"} | fields)
    assert getattr(caught.value, "field", None) == field
    assert words in str(caught.value)


def test_an_unknown_customer_may_be_an_error() -> None:
    with pytest.raises(RequestError, match="'zoe' is not in the model"):
        RECOMMENDER.answer({"task": "score", "customer": "zoe", "items": ["figs"], "on_unknown": "error"})
