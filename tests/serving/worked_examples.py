"""Worked examples: a question, its answer, and why, for each row of the tables in docs/http-api.md.

The shop fits in the head. Scores of ann: apple 5, bread 4, cocoa 3, dates 3, eggs 2 (new), figs -1 (new); she bought
apple and bread. bob's scores are the negatives, cy's are 0. Customers of items: bread 3, apple 2, cocoa 1, dates 1.
As likely as bread (cosine): dates 1, apple 0.98, eggs 0.89, cocoa 0.83, figs -1. beans and curry were never sold.
"""

from typing import Any, NamedTuple

import pytest

from tests.small_models import SmallModel, shop

DEPARTMENT = ["fruit", "bakery", "sweets", "fruit", "dairy", "fruit", "tins", "tins"]
PRICE = [1, 2, 3, 4, 5, None, 0.5, 7]
DESCRIPTION = ["An apple", "Rye bread", None, "Dates", "Six eggs", "Figs", "Baked beans", None]


def example_shop(**standing: Any) -> SmallModel:
    """Return the shop; its standing rules exclude an item that nobody knows."""
    return shop(
        standing=standing,
        attributes={"department": DEPARTMENT, "price": PRICE, "description": DESCRIPTION},
        unsold=["beans", "curry"],
    )


class Example(NamedTuple):
    """A question and its answer.

    Attributes:
        covers: what the docs call the field, rule, condition or warning that it is an example of.
        request: without ``"task": "recommend"``, and without ``"customer": "ann"`` in tasks that need one.
        expected: the answer's list in words, see `brief`; or of an error its code.
        why: what the example shows.
        has: further fields of the answer.
    """

    covers: str
    request: dict[str, Any]
    expected: str
    why: str
    has: dict[str, Any] = {}  # noqa: RUF012 - never changed


def brief(answer: dict[str, Any]) -> str:
    """Return a list as words: ``item`` or ``item:reason``, ``item=score`` where scores are what is asked for."""
    if "error" in answer:
        return str(answer["error"]["code"])
    if "scores" in answer or "contributions" in answer:
        entries = answer.get("scores") or answer.get("contributions") or []
        return " ".join(f"{entry['item']}={number(entry.get('score', entry.get('contribution')))}" for entry in entries)
    entries = answer["audience"] if "audience" in answer else answer["recommendations"]
    return " ".join(
        (entry.get("item") or entry["customer"]) + ("" if entry["reason"] == "model" else f":{entry['reason']}")
        for entry in entries
    )


def number(value: float | None) -> str:
    """Return a score with four digits."""
    return "none" if value is None else f"{value:.4g}"


def warned(*codes: str) -> dict[str, Any]:
    """Return the field `warnings` with these codes; messages have tests of their own."""
    return {"warnings": list(codes)}


def include(**rules: Any) -> dict[str, Any]:
    return {"include": rules}


def exclude(**rules: Any) -> dict[str, Any]:
    return {"exclude": rules}


def boost(by: float, **which: Any) -> dict[str, Any]:
    return {"boost": {**which, "by": by}}


def where(**conditions: Any) -> dict[str, Any]:
    return {"include": {"where": conditions}, "k": 6}


TWO, FOUR = {"k": 2, "offset": 2}, {"k": 4}
FRUIT, DAIRY = {"department": "fruit"}, {"department": "dairy"}

RECOMMEND = [
    Example("customer", {}, "apple bread cocoa", "best first, as many as the model's reco_item"),
    Example("customer", {"customer": "bob"}, "figs eggs cocoa", "another customer; equal scores by id: cocoa, dates"),
    Example("customer", {"customer": 17850}, "bread:popular apple:popular cocoa:popular", "a number is its digits"),
    Example("k", FOUR, "apple bread cocoa dates", "so many are wanted"),
    Example("offset", TWO, "cocoa dates", "the second page", {"next_offset": 4}),
    Example("offset", {"k": 2, "offset": 0}, "apple bread", "the first page", {"next_offset": 2}),
    Example("offset", {"k": 3, "offset": 3}, "dates eggs figs", "the last page has no next_offset"),
    Example(
        "show",
        {"k": 1, "show": ["description", "price"]},
        "apple",
        "attributes are shown",
        {
            "recommendations": [
                {
                    "item": "apple",
                    "score": 5.0,
                    "reason": "model",
                    "attributes": {"description": "An apple", "price": 1},
                }
            ]
        },
    ),
    Example("history", {"history": ["cocoa"]}, "apple cocoa bread", "news of a known customer", {"source": "history"}),
    Example(
        "history",
        {"customer": None, "history": [{"item": "dates", "quantity": 2, "date": "2011-01-09"}]},
        "bread dates apple",
        "nobody but a basket",
        {"customer": None, "source": "history"},
    ),
    Example("on_unknown", {"customer": "zoe"}, "bread:popular apple:popular cocoa:popular", "what is popular"),
    Example("on_unknown", {"customer": "zoe", "on_unknown": "error"}, "unknown_customer", "or an error"),
    Example("task", {"task": "recommend"}, "apple bread cocoa", "the default task, by its name"),
    Example("source", {}, "apple bread cocoa", "a known customer", {"source": "model"}),
    Example("source", {"customer": "zoe"}, "bread:popular apple:popular cocoa:popular", "-", {"source": "popular"}),
    Example(
        "score",
        include(items=["soap", "figs"]),
        "apple figs:included soap:included",
        "null for what was never sold",
        {
            "recommendations": [
                {"item": "apple", "score": 5.0, "reason": "model"},
                {"item": "figs", "score": -1.0, "reason": "included"},
                {"item": "soap", "score": None, "reason": "included"},
            ]
        },
    ),
    Example("reason", include(items=["bread"], new=1), "apple bread:included eggs:new", "three reasons in one list"),
    Example("model", {}, "apple bread cocoa", "every answer has the model's short hash"),
    Example("warnings", {}, "apple bread cocoa", "absent where there are none", {"warnings": None}),
    Example("include.items", include(items=["figs"]), "apple bread figs:included", "it must appear"),
    Example("include.items", include(items=["a", "b", "c", "d"]), "bad_rule", "more than k is an error"),
    Example("include.new", include(new=1), "apple bread eggs:new", "the best new item takes the last place"),
    Example("include.new", {"k": 5} | include(new=1), "apple bread cocoa dates eggs", "one by score counts"),
    Example(
        "include.new",
        {"k": 5} | include(new=3),
        "apple bread eggs figs:new beans:new",
        "one that was never sold fills up",
    ),
    Example("include.only", include(only=["eggs", "apple", "soap"]), "apple eggs", "nothing else may appear"),
    Example("include.only", include(only=[]), "", "an empty list means nothing"),
    Example("include.only", include(only=["eggs"], items=["figs"]), "eggs figs:included", "included ones all the same"),
    Example("include.where", include(where=FRUIT), "apple dates figs", "only fruit"),
    Example(
        "include.where",
        include(where=FRUIT, items=["eggs"]),
        "apple dates eggs:included",
        "included ones all the same",
    ),
    Example(
        "include.placement",
        include(items=["figs", "dates"], placement="first"),
        "figs:included dates:included apple",
        "first, in the order given",
    ),
    Example(
        "include.placement",
        include(items=["figs", "dates"], placement="score"),
        "apple dates:included figs:included",
        "one list by score",
    ),
    Example("exclude.items", exclude(items=["apple", "soap"]), "bread cocoa dates", "and the list is still full"),
    Example("exclude.purchased", exclude(purchased=True), "cocoa dates eggs", "what she bought"),
    Example("exclude.popular", exclude(popular=1), "apple cocoa dates", "bread has most customers"),
    Example("exclude.popular", exclude(popular=0.34), "dates eggs figs", "a third of 6 items, rounded up to 3"),
    Example("exclude.where", exclude(where=FRUIT), "bread cocoa eggs", "anything but fruit"),
    # The deviation of 5, 4, 3, 3, 2, -1 is 1.886.
    Example("boost", boost(4, items=["figs"]), "apple figs bread", "-1 + 3 x 1.886 = 4.66"),
    Example("boost", boost(2, where=DAIRY), "apple bread eggs", "2 + 1.886 = 3.89"),
    Example("boost", boost(0, where=FRUIT), "bread apple cocoa", "5 - 1.886 = 3.11: below 1 lowers"),
    Example("at_most", FOUR | {"at_most": {"department": 1}}, "apple bread cocoa eggs", "dates are fruit, as apple is"),
    Example(
        "at_most",
        FOUR | {"at_most": {"department": 1}} | include(items=["figs", "dates"]),
        "bread cocoa dates:included figs:included",
        "what must appear counts, and is never taken off",
    ),
    Example(
        "at_most",
        {"k": 2, "offset": 2, "at_most": {"department": 1}},
        "cocoa dates",
        "each page for itself",
        {"next_offset": 4},
    ),
    Example("a value, or a list of values", where(department="fruit"), "apple dates figs", "one value"),
    Example("a value, or a list of values", where(department=["dairy", "sweets"]), "cocoa eggs", "one of two"),
    Example("a value, or a list of values", where(price=["2", 3.0]), "bread cocoa", "numbers, however written"),
    Example("a value, or a list of values", where(department="Fruit"), "", "exactly", warned("no_such_value")),
    Example("below", where(price={"below": 3}), "apple bread", "less; what has no price meets no condition"),
    Example("above", where(price={"above": 3}), "dates eggs", "more"),
    Example("from", where(price={"from": 3}), "cocoa dates eggs", "that or more"),
    Example("to", where(price={"to": 3, "above": 1}), "bread cocoa", "that or less; both hold"),
    Example("to", where(price={"to": 4}, department="fruit"), "apple dates", "all conditions hold"),
    Example("never_sold", include(items=["soap"]), "apple bread soap:included", "-", warned("never_sold")),
    Example("include_overruled", include(items=["grapes"]), "apple bread cocoa", "-", warned("include_overruled")),
    Example("no_such_value", where(department=["meat", "dairy"]), "eggs", "-", warned("no_such_value")),
    Example("too_few_new", include(new=9), "eggs:new figs:new beans:new", "-", warned("too_few_new")),
    Example("unknown_item", {"history": ["soap"]}, "apple bread cocoa", "-", warned("unknown_item")),
]

POPULAR = [
    Example(
        "task",
        {},
        "bread:popular apple:popular cocoa:popular",
        "by number of customers, equal ones by id",
        {"source": "popular", "customer": None},
    ),
    Example("k", {"k": 1}, "bread:popular", "so many"),
    Example("offset", TWO, "cocoa:popular dates:popular", "the second page", {"next_offset": 4}),
    Example(
        "show",
        {"k": 1, "show": ["price"]},
        "bread:popular",
        "attributes are shown",
        {"recommendations": [{"item": "bread", "score": 3.0, "reason": "popular", "attributes": {"price": 2}}]},
    ),
    Example("include.items", include(items=["figs"]), "bread:popular apple:popular figs:included", "it must appear"),
    Example("include.new", include(new=1), "bread:popular apple:popular eggs:new", "a new item"),
    Example("include.only", include(only=["eggs", "apple"]), "apple:popular eggs:popular", "nothing else"),
    Example("include.where", include(where=FRUIT), "apple:popular dates:popular figs:popular", "only fruit"),
    Example(
        "include.placement",
        include(items=["figs"], placement="first"),
        "figs:included bread:popular apple:popular",
        "first",
    ),
    Example("exclude.items", exclude(items=["bread"]), "apple:popular cocoa:popular dates:popular", "left out"),
    Example("exclude.popular", exclude(popular=1), "apple:popular cocoa:popular dates:popular", "all but the first"),
    Example("exclude.where", exclude(where=FRUIT), "bread:popular cocoa:popular eggs:popular", "anything but fruit"),
    # The deviation of 3, 2, 1, 1, 0, 0 is 1.067.
    Example("boost", boost(3, items=["dates"]), "dates:popular bread:popular apple:popular", "1 + 2 x 1.067 = 3.13"),
    Example(
        "at_most",
        FOUR | {"at_most": {"department": 1}},
        "bread:popular apple:popular cocoa:popular eggs:popular",
        "one of each department",
    ),
]

SIMILAR = [
    Example("item", {}, "dates apple eggs", "by cosine", {"items": ["bread"], "measure": "cosine"}),
    Example("item", {"item": "soap"}, "unknown_item", "nothing is known of what was never sold"),
    Example(
        "items",
        {"item": None, "items": ["bread", "cocoa"]},
        "apple eggs dates",
        "the mean of both: 0.953, 0.943, 0.916",
        {"items": ["bread", "cocoa"]},
    ),
    Example("items", {"item": None, "items": ["bread", "soap"]}, "dates apple eggs", "-", warned("unknown_item")),
    Example("measure", {"measure": "inner_product"}, "apple cocoa dates", "20, 12, 12: favours long factors"),
    Example("k", {"k": 1}, "dates", "so many"),
    Example("offset", TWO, "eggs cocoa", "the second page", {"next_offset": 4}),
    Example(
        "show",
        {"k": 1, "show": ["department"]},
        "dates",
        "attributes are shown",
        {
            "recommendations": [
                {"item": "dates", "score": 1.0, "reason": "model", "attributes": {"department": "fruit"}}
            ]
        },
    ),
    Example("include.items", include(items=["bread"]), "bread:included dates apple", "the asked one too"),
    Example("include.new", include(new=2), "dates eggs figs:new", "eggs got there by score, and count"),
    Example("include.only", include(only=["figs", "cocoa"]), "cocoa figs", "nothing else"),
    Example("include.where", include(where={"price": {"below": 4}}), "apple cocoa", "bread itself doesn't appear"),
    Example("include.placement", include(items=["figs"], placement="first"), "figs:included dates apple", "first"),
    Example("exclude.items", exclude(items=["dates"]), "apple eggs cocoa", "left out"),
    Example("exclude.popular", exclude(popular=2), "dates eggs cocoa", "without bread and apple"),
    Example("exclude.where", exclude(where=DAIRY), "dates apple cocoa", "anything but dairy"),
    # The deviation of 1, 0.981, 0.894, 0.832, -1 is 0.773.
    Example("boost", boost(2, where=DAIRY), "eggs dates apple", "0.894 + 0.773 = 1.67"),
    Example("at_most", FOUR | {"at_most": {"department": 1}}, "dates eggs cocoa", "apple and figs are fruit, too"),
]

SCORE = [
    Example("customer", {}, "figs=-1 eggs=2 cocoa=3", "in the given order", {"customer": "ann", "source": "model"}),
    Example("items", {"items": ["apple", "soap"]}, "apple=5 soap=none", "-", warned("never_sold")),
    Example("order", {"order": "given"}, "figs=-1 eggs=2 cocoa=3", "every item, no rules"),
    Example("order", {"order": "given"} | exclude(items=["figs"]), "bad_rule", "rules are for a ranked list"),
    Example("order", {"order": "score"}, "cocoa=3 eggs=2 figs=-1", "re-ranked"),
    Example("order", {"order": "score", "items": ["soap", "figs"]}, "figs=-1 soap=none", "without a score: last"),
    Example("history", {"history": ["dates"], "items": ["figs"]}, "figs=-0.2738", "news", {"source": "history"}),
    Example("on_unknown", {"customer": "zoe"}, "figs=0 eggs=0 cocoa=1", "customers", {"source": "popular"}),
    Example("on_unknown", {"customer": "zoe", "on_unknown": "error"}, "unknown_customer", "or an error"),
    Example(
        "show",
        {"items": ["beans"], "show": ["description"]},
        "beans=none",
        "also of what was never sold",
        {"scores": [{"item": "beans", "score": None, "attributes": {"description": "Baked beans"}}]},
    ),
    Example("include.only", {"order": "score"} | include(only=["eggs", "apple"]), "eggs=2", "both lists name it"),
    Example("include.where", {"order": "score"} | include(where=FRUIT), "figs=-1", "only fruit"),
    Example("exclude.items", {"order": "score"} | exclude(items=["eggs"]), "cocoa=3 figs=-1", "left out"),
    Example(
        "exclude.purchased",
        {"order": "score", "items": ["apple", "cocoa"]} | exclude(purchased=True),
        "cocoa=3",
        "she bought apple",
    ),
    Example("exclude.popular", {"order": "score"} | exclude(popular=3), "eggs=2 figs=-1", "bread, apple, cocoa"),
    Example("exclude.where", {"order": "score"} | exclude(where=DAIRY), "cocoa=3 figs=-1", "anything but dairy"),
    # The deviation of 3, 2, -1 is 1.7.
    Example("boost", {"order": "score"} | boost(4, items=["figs"]), "figs=4.099 cocoa=3 eggs=2", "-1 + 3 x 1.7"),
]

AUDIENCE = [
    Example("item", {}, "ann cy bob", "3, 0, -3", {"items": ["cocoa"]}),
    Example("item", {"item": "soap"}, "unknown_item", "nothing is known of what was never sold"),
    Example("items", {"item": None, "items": ["figs", "apple"]}, "ann cy bob", "by the mean of -1 and 5"),
    Example("k", {"k": 1}, "ann", "so many"),
    Example("offset", {"k": 1, "offset": 1}, "cy", "the second page", {"next_offset": 2}),
    Example("include.customers", {"k": 2} | include(customers=["bob"]), "ann bob:included", "he must appear"),
    Example("include.only_customers", include(only_customers=["bob", "cy", "zoe"]), "cy bob", "nobody else"),
    Example(
        "include.placement",
        include(customers=["bob"], placement="first"),
        "bob:included ann cy",
        "first",
    ),
    Example("exclude.customers", exclude(customers=["ann"]), "cy bob", "left out"),
    Example("exclude.purchased", exclude(purchased=True), "ann cy", "bob bought cocoa"),
    Example("not_in_model", {"k": 2} | include(customers=["zoe"]), "ann zoe:included", "-", warned("not_in_model")),
]

# One purchase of dates alone: A = Y'Y + yy' + 0.1 I = [[73.1, 13], [13, 6.1]], b = 2y = [6, 0], so that the factors are
# [0.1322, -0.2817], and the score of apple, [5, 1], is 0.3792.
EXPLAIN = [
    Example(
        "item",
        {},
        "dates=0.3792",
        "one purchase makes all of the score",
        {"score": pytest.approx(0.37918457, rel=1e-6), "others": None},
    ),
    Example("item", {"item": "soap"}, "unknown_item", "nothing is known of what was never sold"),
    Example("history", {"history": ["dates", "bread"]}, "bread=0.375 dates=0.2812", "two purchases share it"),
    Example(
        "k",
        {"history": ["dates", "bread"], "k": 1},
        "bread=0.375",
        "the largest, and the rest in one",
        {"others": {"purchases": 1, "contribution": pytest.approx(0.28122071, rel=1e-6)}},
    ),
    Example("customer", {"customer": "zoe", "history": None}, "unknown_customer", "a stranger without purchases"),
    Example("customer", {"customer": "cy"}, "apple=0.4367 dates=0.289 bread=0.2569", "what is stored and the basket"),
    Example(
        "show",
        {"show": ["description"]},
        "dates=0.3792",
        "attributes are shown",
        {
            "contributions": [
                {
                    "item": "dates",
                    "contribution": pytest.approx(0.37918457, rel=1e-6),
                    "attributes": {"description": "Dates"},
                }
            ]
        },
    ),
]

# What a task is asked where an example doesn't say it.
DEFAULTS: dict[str, dict[str, Any]] = {
    "recommend": {"customer": "ann"},
    "popular": {},
    "similar": {"item": "bread"},
    "audience": {"item": "cocoa"},
    "score": {"customer": "ann", "items": ["figs", "eggs", "cocoa"]},
    "explain": {"history": ["dates"], "item": "apple"},
}

EXAMPLES: dict[str, list[Example]] = {
    "recommend": RECOMMEND,
    "popular": POPULAR,
    "similar": SIMILAR,
    "audience": AUDIENCE,
    "score": SCORE,
    "explain": EXPLAIN,
}

STANDING: dict[str, Any] = {"exclude": {"items": ["grapes"]}}
"""Of the model that answers: it excludes an item that nobody knows, for the warning `include_overruled`."""


class Csv(NamedTuple):
    """Standing rules, and what output.csv holds: each customer's list in words."""

    covers: str
    rules: dict[str, Any]
    lists: dict[str, str]
    why: str


ANN, BOB, CY = "apple bread cocoa", "figs eggs cocoa", "apple bread cocoa"

OUTPUT = [
    Csv("include.items", include(items=["figs"]), {"ann": "apple bread figs:included"}, "they must appear"),
    Csv("include.new", include(new=1), {"ann": "apple bread eggs:new", "bob": BOB}, "bob has new ones by score"),
    Csv("at_most", {"at_most": {"department": 1}}, {"bob": "figs eggs cocoa", "ann": ANN}, "of each list"),
    Csv("include.only", include(only=["eggs", "apple"]), {"ann": "apple eggs", "bob": "eggs apple"}, "nothing else"),
    Csv("include.where", include(where=FRUIT), {"ann": "apple dates figs"}, "only fruit"),
    Csv("boost", boost(4, items=["figs"]), {"ann": "apple figs bread"}, "by the deviation of each list's candidates"),
    Csv(
        "include.placement",
        include(items=["figs"], placement="first"),
        {"ann": "figs:included apple bread"},
        "first",
    ),
    Csv("exclude.items", exclude(items=["apple"]), {"ann": "bread cocoa dates"}, "left out"),
    Csv("exclude.popular", exclude(popular=2), {"ann": "cocoa dates eggs"}, "bread and apple"),
    Csv("exclude.where", exclude(where=FRUIT), {"ann": "bread cocoa eggs"}, "anything but fruit"),
    Csv("exclude.purchased", exclude(purchased=True), {"ann": "cocoa dates eggs", "bob": "figs eggs dates"}, "theirs"),
    Csv(
        "include.customers",
        include(customers=["zoe", {"customer": "abe", "history": ["dates"]}]),
        {
            "ann": ANN,
            "bob": BOB,
            "cy": CY,
            "zoe": "bread:popular apple:popular cocoa:popular",
            "abe": "bread dates apple",
        },
        "also these, with a basket or none",
    ),
    Csv("include.only_customers", include(only_customers=["cy"]), {"cy": CY}, "no others"),
    Csv("exclude.customers", exclude(customers=["cy"]), {"ann": ANN, "bob": BOB}, "not this one"),
]
