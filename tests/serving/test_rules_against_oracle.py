"""Answers under every rule, over random shops whose factors are small whole numbers, so that ties are real."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from alsriaz.errors import BadValue
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from tests.oracle import Contradiction, expect
from tests.small_models import Purchase, SmallModel

CUSTOMERS = ["c1", "c2", "c3", "c4"]
ITEMS = [f"i{number:02}" for number in range(9)]
TABLED = ["a-tabled", "i05-tabled", "z-tabled"]
UNSOLD = ["a-never", "i05-tabled", "z-never"]
DEPARTMENTS, PRICES = ["bakery", "dairy", "fruit"], [1.0, 2.5, 4.0]

TASKS = {"recommend": 800, "popular": 250, "similar": 350, "audience": 500, "score": 400}

small = st.integers(-2, 2)
item = st.sampled_from(ITEMS)
any_item = st.sampled_from(ITEMS + UNSOLD)
any_customer = st.sampled_from([*CUSTOMERS, "stranger"])
bounds = st.dictionaries(st.sampled_from(["below", "above", "from", "to"]), st.sampled_from(PRICES), min_size=1)
condition = {
    "department": st.sampled_from(DEPARTMENTS) | st.lists(st.sampled_from(DEPARTMENTS), max_size=2),
    "price": st.sampled_from(PRICES) | bounds,
}
where = st.fixed_dictionaries({"department": condition["department"]}, optional={"price": condition["price"]}) | (
    st.fixed_dictionaries({"price": condition["price"]})
)
by = st.sampled_from([0.0, 0.5, 1.0, 1.25, 3.0])


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
                "where": where,
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
                "where": where,
            },
        )
    )
    lift = st.fixed_dictionaries({"where": where, "by": by}) | st.fixed_dictionaries({"items": lists(item), "by": by})
    more: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "boost": lift | st.lists(lift, max_size=3),
                "at_most": st.dictionaries(st.sampled_from(["department", "price"]), st.integers(1, 3), min_size=1),
            },
        )
    )
    if "items" in exclude:
        exclude["items"] = [one for one in exclude["items"] if one not in include.get("items", [])]
    return {"include": include, "exclude": exclude, **more}


@st.composite
def customer_rules(draw: st.DrawFn) -> dict[str, Any]:
    include = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "customers": lists(any_customer, 3),
                "only_customers": lists(any_customer),
                "placement": st.sampled_from(["score", "first"]),
            },
        )
    )
    exclude: dict[str, Any] = draw(
        st.fixed_dictionaries({}, optional={"customers": lists(any_customer), "purchased": st.booleans()})
    )
    if "customers" in exclude:
        exclude["customers"] = [one for one in exclude["customers"] if one not in include.get("customers", [])]
    return {"include": include, "exclude": exclude}


@st.composite
def standing_rules(draw: st.DrawFn) -> dict[str, Any]:
    """Draw rules on items, and at times on customers, too; where items are first decides for customers as well."""
    layer, more = draw(rules(3)), draw(customer_rules())
    for section in ("include", "exclude"):
        layer[section] = {**more[section], **layer[section]} if draw(st.booleans()) else layer[section]
    return layer


def values(of: list[Any]) -> st.SearchStrategy[list[Any]]:
    count = len(ITEMS) + len(TABLED)
    return st.lists(st.sampled_from([*of, None]), min_size=count, max_size=count)


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
        standing=draw(st.just({}) | standing_rules()),
        spec={"als_rank": rank, "reco_item": 4, "new_item_days": 30},
        attributes={"department": draw(values(DEPARTMENTS)), "price": draw(values(PRICES))},
        unsold=TABLED,
    )


@st.composite
def requests(draw: st.DrawFn, task: str) -> dict[str, Any]:
    request: dict[str, Any] = draw(st.just({}) | (customer_rules() if task == "audience" else rules(4)))
    if draw(st.booleans()):
        request["k"] = draw(st.integers(1, 12))
    if draw(st.booleans()):
        request["offset"] = draw(st.integers(0, 3)) * request.get("k", 4)
    if task in ("popular", "similar"):
        request.get("exclude", {}).pop("purchased", None)
    if task == "similar":
        request |= draw(st.fixed_dictionaries({}, optional={"measure": st.sampled_from(["cosine", "inner_product"])}))
    if task in ("similar", "audience"):
        first = draw(item)
        return request | {"task": task} | draw(st.just({"item": first}) | st.just({"items": [first, draw(any_item)]}))
    if task == "score":
        return draw(score_requests(request))
    return request | ({"task": task} if task == "popular" else {"customer": draw(any_customer)})


@st.composite
def score_requests(draw: st.DrawFn, request: dict[str, Any]) -> dict[str, Any]:
    """Draw a list to score, re-ranked under what of a request's rules holds there."""
    asked = {"task": "score", "customer": draw(any_customer), "items": draw(st.lists(any_item, min_size=1, max_size=6))}
    if draw(st.booleans()):
        return asked
    include = {name: rule for name, rule in request.get("include", {}).items() if name in ("only", "where")}
    kept: dict[str, Any] = {name: request[name] for name in ("exclude", "boost") if name in request}
    return {**asked, "order": "score", "include": include, **kept}


@pytest.mark.parametrize(("task", "examples"), TASKS.items())
def test_answers_agree_with_plain_python(task: str, examples: int) -> None:
    settings(max_examples=examples, deadline=None)(given(shops(), requests(task))(agree))()


def agree(shop: SmallModel, request: dict[str, Any]) -> None:
    recommender = Recommender(Shop(shop.in_memory(), Limits()))
    try:
        expected = expect(shop, request)
    except Contradiction:
        event("contradiction")
        with pytest.raises(BadValue):
            recommender.answer(request)
        return
    answer = recommender.answer(request)
    event(f"source {expected.source}, {len(set(expected.warnings))} kinds of warnings")
    assert answer.get("source", "model") == expected.source
    assert places(answer) == [
        # A cosine or a boost of the oracle is rounded in another order; ties are told apart by equal floats in both.
        (one, None if score is None else pytest.approx(score, rel=1e-6, abs=1e-6), reason)
        for one, score, reason in expected.places
    ]
    assert codes(answer) == sorted(expected.warnings)
    if "offset" in request:
        following = request["offset"] + request.get("k", 4)
        assert answer.get("next_offset") == (following if expected.more else None)


def places(answer: Any) -> list[tuple[str, float | None, str]]:
    if "scores" in answer:
        return [(entry["item"], entry["score"], "") for entry in answer["scores"]]
    kind, name = ("customer", "audience") if "audience" in answer else ("item", "recommendations")
    return [(entry[kind], entry["score"], entry["reason"]) for entry in answer[name]]


def codes(answer: Any) -> list[str]:
    """Return the codes of an answer's warnings; what no item has is the property of the shop that was drawn."""
    return sorted(notice["code"] for notice in answer.get("warnings", []) if notice["code"] != "no_such_value")


@settings(max_examples=200, deadline=None)
@given(shops(), requests("recommend"), st.lists(any_item, min_size=1, max_size=4))
def test_a_history_is_folded_in_and_ranked_under_the_same_rules(
    shop: SmallModel, request: dict[str, Any], history: list[str]
) -> None:
    # Caps choose between items by score, and two solvers agree to rounding only.
    request = {name: value for name, value in request.items() if name != "at_most"} | {"history": history}
    shop = replace(shop, standing={name: value for name, value in shop.standing.items() if name != "at_most"})
    recommender = Recommender(Shop(shop.in_memory(), Limits()))
    try:
        expected = expect(shop, request)
    except Contradiction:
        with pytest.raises(BadValue):
            recommender.answer(request)
        return
    answer = recommender.answer(request)
    assert answer["source"] == expected.source
    assert codes(answer) == sorted(expected.warnings)
    got = places(answer)
    # Items whose scores are that close may stand in each other's places.
    assert [place[1] for place in got] == [
        None if score is None else pytest.approx(score, abs=1e-4) for _, score, _ in expected.places
    ]
    scores = [score for _, score, _ in expected.places if score is not None]
    if all(abs(one - other) > 1e-4 for one, other in itertools.combinations({*scores, *expected.left_out}, 2)):
        event("no ties")
        assert [(place[0], place[2]) for place in got] == [(place[0], place[2]) for place in expected.places]
