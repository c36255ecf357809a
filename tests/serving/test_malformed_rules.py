"""Rules that can't be used: each is refused by a message of its own, which names the field and quotes what is there.

The shop's items have the attributes department (text) and price (numbers); its standing rules include one item.
"""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from alsriaz.predictor import create_app
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.serving.settings import read_settings
from tests.small_models import shop

WHERE, OUT = "include.where", "exclude.where"


def include(**rules: Any) -> dict[str, Any]:
    return {"include": rules}


def exclude(**rules: Any) -> dict[str, Any]:
    return {"exclude": rules}


def where(value: Any) -> dict[str, Any]:
    return {"include": {"where": value}}


def boost(**entry: Any) -> dict[str, Any]:
    return {"boost": {"items": ["figs"], "by": 2} | entry}


def audience(**sections: Any) -> dict[str, Any]:
    return {"task": "audience", "item": "figs"} | sections


# rules, the field at fault, words of the message; the code is bad_rule but where CODES has another.
RULES: list[tuple[dict[str, Any], str, str]] = [
    # sections
    ({"include": ["figs"]}, "include", "include is ['figs'], expected an object with items, new, only, where"),
    ({"exclude": "figs"}, "exclude", "exclude is 'figs', expected an object with items, purchased, popular, where"),
    (include(item=["figs"]), "include.item", "include has no field 'item', did you mean 'items'?"),
    (exclude(new=1), "exclude.new", "exclude has no field 'new'."),
    (exclude(purchase=True), "exclude.purchase", "exclude has no field 'purchase', did you mean 'purchased'?"),
    ({"exlude": {"items": ["figs"]}}, "exlude", "There is no field 'exlude', did you mean 'exclude'? Known are"),
    ({"at_mots": {"department": 1}}, "at_mots", "There is no field 'at_mots', did you mean 'at_most'? Known are"),
    # ids
    (include(items="figs"), "include.items", "include.items is 'figs', expected a list of item ids."),
    (include(only={"figs": 1}), "include.only", "include.only is {'figs': 1}, expected a list of item ids."),
    (exclude(items=["figs", None]), "exclude.items[1]", "exclude.items[1] is null: expected an id as text."),
    (exclude(items=[["figs"]]), "exclude.items[0]", "exclude.items[0] is ['figs']: expected an id as text."),
    (include(items=[1.5]), "include.items[0]", "include.items[0] is 1.5: expected an id as text."),
    (include(only=[True]), "include.only[0]", "include.only[0] is true: expected an id as text."),
    (include(items=[" "]), "include.items[0]", "include.items[0] is ' ': expected an id, which is never empty."),
    (include(only=["\ud800"]), "include.only[0]", "expected an id in Unicode text, without lone surrogates."),
    (exclude(items=["a\nb"]), "exclude.items[0]", "'a\\nb': expected an id on one line, without NUL."),
    (exclude(items=["é" * 129]), "exclude.items[0]", "an id of at most 256 UTF-8 bytes, this one has 258."),
    (include(only=["x"] * 9), "include.only", "include.only has 9 entries, expected at most 8."),
    (include(items=["figs"]) | exclude(items=["figs"]), "exclude.items", "'figs' stands in both include.items and"),
    (
        {"k": 2} | include(items=["figs", "eggs"]),
        "include.items",
        "include.items has 3 items that must appear (standing rules count), but k is 2.",
    ),
    # numbers and words
    (include(new=-1), "include.new", "include.new is -1, expected a whole number of new items from 0 to 1000000000."),
    (include(new="2"), "include.new", "include.new is '2', expected a whole number of new items"),
    (include(new=1.5), "include.new", "include.new is 1.5, expected a whole number of new items"),
    (include(new=10**30), "include.new", "include.new is 1000000000000000000000000000000, expected a whole number"),
    (include(placement="top"), "include.placement", 'include.placement is \'top\', expected "score" or "first".'),
    (include(placement=1), "include.placement", 'include.placement is 1, expected "score" or "first".'),
    (exclude(purchased="yes"), "exclude.purchased", "exclude.purchased is 'yes', expected true or false."),
    (exclude(purchased=1), "exclude.purchased", "exclude.purchased is 1, expected true or false."),
    (exclude(popular=-0.5), "exclude.popular", "exclude.popular is -0.5, expected a whole number of items from 0"),
    (exclude(popular=1.5), "exclude.popular", "exclude.popular is 1.5, expected a whole number of items from 0"),
    (exclude(popular="10%"), "exclude.popular", "exclude.popular is '10%', expected a whole number of items from 0"),
    (exclude(popular=True), "exclude.popular", "exclude.popular is true, expected a whole number of items from 0"),
    # conditions
    (where("fruit"), WHERE, 'include.where is \'fruit\', expected an object such as {"department": ["GROCERY"]}.'),
    (exclude(where=[]), OUT, "exclude.where is [], expected an object such as"),
    (where({}), WHERE, "include.where has no condition, so that every item would match: leave it out, or name one."),
    (exclude(where={"price": None}), OUT, "exclude.where has no condition, so that every item would match"),
    (where({f"a{n}": 1 for n in range(17)}), WHERE, "include.where has 17 conditions, expected at most 16."),
    (where({"departement": "x"}), f"{WHERE}.departement", "is no attribute of the items, did you mean 'department'?"),
    (
        where({"Price": 5}),
        f"{WHERE}.Price",
        "include.where.Price names 'Price', which is no attribute of the items, did you mean 'price'?",
    ),
    (where({"colour": "x"}), f"{WHERE}.colour", "is no attribute of the items. Known are 'department', 'price'."),
    (where({"department": {"is": "fruit"}}), f"{WHERE}.department.is", "include.where.department has no field 'is'."),
    (where({"price": {"belw": 5}}), f"{WHERE}.price.belw", "has no field 'belw', did you mean 'below'?"),
    (where({"price": {}}), f"{WHERE}.price", "include.where.price has no bound: expected a value, a list of values"),
    (where({"price": {"below": "5"}}), f"{WHERE}.price.below", "include.where.price.below is '5', expected a number."),
    (where({"price": {"to": True}}), f"{WHERE}.price.to", "include.where.price.to is true, expected a number."),
    (where({"price": {"from": 10**400}}), f"{WHERE}.price.from", "expected a finite number."),
    (
        where({"department": {"below": 5}}),
        f"{WHERE}.department.below",
        "include.where.department.below asks for numbers, but 'department' holds text",
    ),
    (where({"price": [[5]]}), f"{WHERE}.price[0]", "include.where.price[0] is [5], expected text, a number, true"),
    (where({"price": [5, None]}), f"{WHERE}.price[1]", "include.where.price[1] is null, expected text, a number, true"),
    (where({"department": ["x"] * 1001}), f"{WHERE}.department", "has 1001 values, expected at most 1000."),
    (where({"department": "x" * 1025}), f"{WHERE}.department", "has 1025 UTF-8 bytes, expected at most 1024."),
    (where({"department": "\udfff"}), f"{WHERE}.department", "expected Unicode text without lone surrogates."),
    # boosts
    ({"boost": 1.3}, "boost", "boost is 1.3, expected a list of objects such as"),
    ({"boost": [1.3]}, "boost[0]", "boost[0] is 1.3, expected an object with where, items, by."),
    ({"boost": {"by": 2}}, "boost", "boost is {'by': 2}, expected either where or items, and by."),
    (boost(where={"price": 5}), "boost", "'where': {'price': 5}}, expected either where or items, and by."),
    (boost(by=None), "boost.by", "boost.by is null, expected a number from 0 to 100."),
    (boost(by=-1), "boost.by", "boost.by is -1, expected a number from 0 to 100."),
    (boost(by=101), "boost.by", "boost.by is 101, expected a number from 0 to 100."),
    (boost(by="2"), "boost.by", "boost.by is '2', expected a number from 0 to 100."),
    (boost(times=2), "boost.times", "boost has no field 'times', did you mean 'items'?"),
    (boost(items=[{}]), "boost.items[0]", "boost.items[0] is {}: expected an id as text."),
    ({"boost": [boost()["boost"]] * 17}, "boost", "boost has 17 entries, expected at most 16."),
    (
        {"boost": [boost()["boost"], {"where": {"brand": "x"}, "by": 2}]},
        "boost[1].where.brand",
        "boost[1].where.brand names 'brand', which is no attribute of the items. Known are",
    ),
    (
        {"boost": {"where": {"color": "x"}, "by": 2}},
        "boost.where.color",
        "boost.where.color names 'color', which is no attribute of the items. Known are",
    ),
    # at_most
    ({"at_most": 2}, "at_most", 'at_most is 2, expected an object such as {"department": 2}'),
    ({"at_most": ["department"]}, "at_most", "at_most is ['department'], expected an object such as"),
    ({"at_most": {"department": 0}}, "at_most.department", "is 0, expected a whole number of items from 1 to"),
    ({"at_most": {"department": "2"}}, "at_most.department", "is '2', expected a whole number of items from 1 to"),
    (
        {"at_most": {"brand": 2}},
        "at_most.brand",
        "at_most.brand names 'brand', which is no attribute of the items. Known are",
    ),
    ({"at_most": {f"a{n}": 1 for n in range(9)}}, "at_most", "at_most has 9 attributes, expected at most 8."),
    # rules of another task
    (include(customers=["ann"]), "include.customers", "include.customers has no meaning in task recommend"),
    (
        {"task": "popular"} | exclude(purchased=True),
        "exclude.purchased",
        "exclude.purchased has no meaning in task popular: leave it out. It holds in recommend, audience, score.",
    ),
    (audience(include={"new": 1}), "include.new", "include.new has no meaning in task audience: leave it out."),
    (audience(boost=[]), "boost", "There is no field 'boost'. Known are"),
    (
        audience(include={"customers": [{"customer": "x"}]}),
        "include.customers[0]",
        "is {'customer': 'x'}: expected an id",
    ),
    (audience(include={"only_customers": 7}), "include.only_customers", "is 7, expected a list of customer ids."),
    (
        audience(include={"customers": ["ann"]}, exclude={"customers": ["ann"]}),
        "exclude.customers",
        "'ann' stands in both include.customers and exclude.customers: keep one.",
    ),
    (
        audience(k=1, include={"customers": ["ann", "bob"]}),
        "include.customers",
        "include.customers has 2 customers that must appear (standing rules count), but k is 1.",
    ),
    (
        {"task": "score", "items": ["figs"]} | exclude(items=["figs"]),
        "exclude.items",
        'exclude.items holds for a list that is ranked, and this one keeps its order: ask for "order": "score".',
    ),
    # paging and attributes
    ({"k": 3, "offset": 4}, "offset", "offset is 4, expected a multiple of k, which is 3."),
    ({"offset": 10_002}, "offset", "offset is 10002, expected a whole number from 0 to 10000."),
    ({"offset": -3}, "offset", "offset is -3, expected a whole number from 0 to 10000."),
    ({"show": "price"}, "show", "show is 'price', expected a list of at most 64 names of attributes."),
    ({"show": ["price", 1]}, "show", "show is ['price', 1], expected a list of at most 64 names of attributes."),
    ({"show": ["price", "brnd"]}, "show[1]", "show[1] names 'brnd', which is no attribute of the items. Known are"),
]

CODES = {
    "exlude": "unknown_field",
    "at_mots": "unknown_field",
    "offset": "bad_value",
    "show": "bad_value",
    "show[1]": "bad_value",
}


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    model = shop(
        standing={"include": {"items": ["dates"]}},
        attributes={"department": ["fruit", "bakery", None, None, None, None], "price": [1, 2, 3, 4, 5, 6]},
    )
    return create_app(Recommender(Shop(model.in_memory(), Limits(most_ids=8))), read_settings({})).test_client()


def asked(rules: dict[str, Any]) -> dict[str, Any]:
    """Return a record with these rules."""
    return rules if rules.get("task") in ("popular", "audience") else {"customer": "ann"} | rules


def refusal(client: FlaskClient, rules: dict[str, Any]) -> dict[str, Any]:
    response = client.post("/invocations", data=json.dumps(asked(rules)), content_type="application/json")
    assert response.status_code == 400
    error: dict[str, Any] = response.get_json()["error"]
    return error


@pytest.mark.parametrize(("rules", "field", "words"), RULES, ids=[words[:70] for *_, words in RULES])
def test_a_malformed_rule_is_refused_by_name(
    client: FlaskClient, rules: dict[str, Any], field: str, words: str
) -> None:
    error = refusal(client, rules)
    assert error["field"] == field
    assert words in error["message"]
    assert error["code"] == ("unknown_field" if "There is no field" in words else CODES.get(field, "bad_rule"))
    assert len(error["message"]) < 400


def test_no_two_messages_are_the_same(client: FlaskClient) -> None:
    messages = [refusal(client, rules)["message"] for rules, *_ in RULES]
    assert len({*messages}) == len(messages) > 80


def test_a_malformed_rule_fails_its_own_instance_alone(client: FlaskClient) -> None:
    instances = [asked(rules) for rules, *_ in RULES] + [{"customer": "ann"}]
    response = client.post("/invocations", data=json.dumps({"instances": instances}), content_type="application/json")
    *failed, last = response.get_json()["predictions"]
    assert response.status_code == 200
    assert [one["error"]["message"] for one in failed] == [refusal(client, rules)["message"] for rules, *_ in RULES]
    assert last["source"] == "model"
