"""A model under live rules: what they mean, layer by layer, and what is kept where not all can be."""

from typing import Any

import pytest

from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.questions.tasks import TASKS
from alsriaz.rules.rows import read_rules_file
from tests.small_models import shop

ITEMS = ["apple", "bread", "cocoa", "dates", "eggs", "figs"]
DEPARTMENT = {"department": ["FRUIT", "BAKERY", "SWEETS", "FRUIT", None, "FRUIT"]}


def served(**changes: Any) -> Shop:
    return Shop(shop(attributes=DEPARTMENT, **changes).in_memory(), Limits())


def under(rules: dict[str, Any], **changes: Any) -> Shop:
    return served(**changes).under("v", read_rules_file(rules))


def recommended(model: Shop, record: dict[str, Any]) -> list[str]:
    """Return all that may be recommended to ann, the best first."""
    answer = Recommender(model).answer({"customer": "ann", "k": 6, **record})
    return [place["item"] for place in answer["recommendations"]]


def barred(model: Shop, record: dict[str, Any]) -> set[str]:
    """Return the items that may not fill a list."""
    return set(ITEMS) - set(recommended(model, record))


LAYERS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], set[str], str]] = [
    # standing, live, the request's, what is barred, why
    ({}, {}, {}, set(), "live rules may be empty"),
    ({}, {"exclude": {"items": ["apple"]}}, {}, {"apple"}, "an item out of stock"),
    (
        {"exclude": {"items": ["figs"]}},
        {"exclude": {"items": ["apple"]}},
        {"exclude": {"items": ["eggs"]}},
        {"apple", "eggs", "figs"},
        "excluded ids unite over all three layers",
    ),
    (
        {"include": {"only": ["apple", "bread", "cocoa"]}},
        {"include": {"only": ["bread", "cocoa", "dates"]}},
        {"include": {"only": ["cocoa", "dates", "eggs"]}},
        {"apple", "bread", "dates", "eggs", "figs"},
        "only intersects",
    ),
    (
        {"exclude": {"popular": 3}},
        {"exclude": {"popular": 1}},
        {},
        {"bread"},
        "a live value replaces the standing one",
    ),
    (
        {"exclude": {"popular": 3}},
        {"exclude": {"popular": 1}},
        {"exclude": {"popular": 2}},
        {"bread", "apple"},
        "and a request's replaces both",
    ),
    ({}, {"exclude": {"items": ["no such", "apple"]}}, {}, {"apple"}, "an item that nobody knows has no effect"),
    ({}, {"exclude": {"where": {"department": "FRUIT"}}}, {}, {"apple", "dates", "figs"}, "a condition"),
]


@pytest.mark.parametrize(("standing", "rules", "record", "expected", "why"), LAYERS, ids=[why for *_, why in LAYERS])
def test_live_rules_lie_between_the_standing_ones_and_the_requests(
    standing: dict[str, Any], rules: dict[str, Any], record: dict[str, Any], expected: set[str], why: str
) -> None:
    assert barred(under(rules, standing=standing), record) == expected


def test_live_rules_lift_and_cap_until_a_request_says_otherwise() -> None:
    model = under({"boost": {"items": ["eggs"], "by": 2}, "at_most": {"department": 1}})
    assert recommended(model, {}) == ["apple", "bread", "eggs", "cocoa"], "eggs, with 2, are lifted above 3"
    asked = {"boost": {"items": ["eggs"], "by": 3}, "at_most": {"department": 2}}
    assert recommended(model, asked) == ["eggs", "apple", "bread", "cocoa", "dates"]


def test_an_item_that_must_appear_does_and_an_excluded_one_is_told() -> None:
    model = under({"include": {"items": ["eggs", "figs"]}}, standing={"exclude": {"items": ["figs"]}})
    answer = Recommender(model).answer({"customer": "ann", "k": 2})
    assert [(place["item"], place["reason"]) for place in answer["recommendations"]] == [
        ("apple", "model"),
        ("eggs", "included"),
    ]
    assert [notice["code"] for notice in answer["warnings"]] == ["include_overruled"]


def audience(model: Shop, record: dict[str, Any]) -> list[str]:
    answer = Recommender(model).answer({"task": "audience", "item": "apple", **record})
    return sorted(place["customer"] for place in answer["audience"])


CUSTOMERS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[str], str]] = [
    ({}, {"exclude": {"customers": ["bob"]}}, {}, ["ann", "cy"], "a customer who wants no mail"),
    (
        {"exclude": {"customers": ["ann"]}},
        {"exclude": {"customers": ["bob"]}},
        {"exclude": {"customers": ["cy"]}},
        [],
        "excluded customers unite over all three layers",
    ),
    (
        {"include": {"only_customers": ["ann", "bob"]}},
        {"include": {"only_customers": ["bob", "cy"]}},
        {},
        ["bob"],
        "only_customers intersects",
    ),
    ({}, {"include": {"customers": ["bob"]}}, {}, ["ann", "bob", "cy"], "include.customers is for output.csv"),
]


@pytest.mark.parametrize(("standing", "rules", "record", "expected", "why"), CUSTOMERS, ids=[w for *_, w in CUSTOMERS])
def test_live_rules_hold_for_customers_too(
    standing: dict[str, Any], rules: dict[str, Any], record: dict[str, Any], expected: list[str], why: str
) -> None:
    model = under(rules, standing=standing)
    assert audience(model, record) == expected
    assert audience(model, record) == expected, "also when they have been looked up before"


def test_a_version_replaces_the_one_before_and_leaves_that_as_it_was() -> None:
    standing = served(standing={"exclude": {"items": ["figs"]}})
    first = standing.under("1", read_rules_file({"exclude": {"items": ["apple"], "customers": ["ann"]}}))
    assert audience(first, {"item": "bread"}) == ["bob", "cy"]
    second = first.under("2", read_rules_file({"exclude": {"items": ["bread"]}}))
    assert [one.live_version for one in (standing, first, second)] == [None, "1", "2"]
    assert [barred(one, {}) for one in (standing, first, second)] == [{"figs"}, {"apple", "figs"}, {"bread", "figs"}]
    assert [audience(one, {"item": "cocoa"}) for one in (first, second)] == [["bob", "cy"], ["ann", "bob", "cy"]]


def test_what_took_time_once_is_shared_by_all_versions() -> None:
    first = served()
    second = first.under("1", read_rules_file({}))
    assert (second.scorers, second.items) == (first.scorers, first.items)


def test_every_task_answers_under_live_rules() -> None:
    model = under(
        {"exclude": {"items": ["apple"]}, "boost": {"items": ["eggs"], "by": 2}, "at_most": {"department": 1}}
    )
    asked: dict[str, dict[str, Any]] = {
        "recommend": {"customer": "ann"},
        "similar": {"item": "bread"},
        "audience": {"item": "bread"},
        "score": {"customer": "ann", "items": ["bread", "apple"]},
        "explain": {"customer": "ann", "item": "bread"},
        "popular": {},
    }
    assert asked.keys() == TASKS.keys()
    for name, record in asked.items():
        assert Recommender(model).answer({"task": name, **record})


IN_PART: list[tuple[dict[str, Any], str, str]] = [
    # what can't be kept, why not, why
    (
        {"exclude": {"where": {"brand": "ACME"}}},
        "exclude.where.brand names 'brand'",
        "a condition on what may not appear",
    ),
    ({"include": {"where": {"brand": "ACME"}}}, "include.where.brand names 'brand'", "a condition on what may"),
    ({"boost": {"where": {"brand": "ACME"}, "by": 2}}, "boost.where.brand names 'brand'", "a boost"),
    ({"at_most": {"brand": 1}}, "at_most.brand names 'brand'", "a cap"),
    (
        {"include": {"items": ["bread", "cocoa", "dates", "eggs"]}},
        "include.items has 4 items that must appear (standing rules count), but k is 3.",
        "more that must appear than a list has places",
    ),
]


@pytest.mark.parametrize(("rules", "reason", "why"), IN_PART, ids=[why for *_, why in IN_PART])
def test_a_model_that_can_not_keep_a_rule_keeps_the_others(rules: dict[str, Any], reason: str, why: str) -> None:
    all_rules = {name: dict(section) for name, section in rules.items()}
    all_rules.setdefault("exclude", {})["items"] = ["apple"]
    model = under(all_rules)
    assert model.live_version == "v"
    assert recommended(model, {}) == ["bread", "cocoa", "dates", "eggs", "figs"]
    (told,) = model.left_out
    assert str(told).startswith(reason)


def test_what_a_model_can_keep_of_rules_on_attributes_it_keeps() -> None:
    rules = {"include": {"where": {"brand": "ACME"}}, "exclude": {"where": {"department": "FRUIT"}}}
    model = under(rules | {"boost": {"items": ["eggs"], "by": 5}, "at_most": {"brand": 1, "department": 1}})
    assert recommended(model, {}) == ["eggs", "bread", "cocoa"], "eggs, with 2, are lifted above 4"
    assert [error.field for error in model.left_out] == ["include.where.brand", "at_most.brand"]
