"""Who gets a list in output.csv, and by what: the standing rules on customers."""

from typing import Any

import pytest

from alsriaz.errors import SpecError
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.rules.rows import read_rules_file
from alsriaz.training.customer_lists import customer_lists, read_baskets
from tests.small_models import SmallModel, shop

SPEC: dict[str, Any] = {"als_rank": 2, "reco_item": 3, "new_item_days": 30}


def lists(model: SmallModel) -> dict[str, str]:
    """Return each customer's list as words, ``item`` or ``item:reason``, in the order of output.csv."""
    made = list(customer_lists(model.in_memory(), lambda text: None))
    assert len({customer for customer, _ in made}) == len(made), "nobody gets two lists"
    return {
        customer: " ".join(
            item + ("" if reason == "model" else f":{reason}")
            for item, reason in zip(page.ids, page.reasons, strict=True)
        )
        for customer, page in made
    }


ANN, BOB, CY = "apple bread cocoa", "figs eggs cocoa", "apple bread cocoa"
POPULAR = "bread:popular apple:popular cocoa:popular"


def standing(include: dict[str, Any] | None = None, exclude: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"include": include or {}, "exclude": exclude or {}}


WHO: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({}, {"ann": ANN, "bob": BOB, "cy": CY}, "everyone of the model, by position"),
    (
        standing({"only_customers": ["cy", "ann", "zoe"]}),
        {"ann": ANN, "cy": CY},
        "only these; an unknown one is nobody",
    ),
    (standing({"only_customers": []}), {}, "an empty list means nobody"),
    (standing(exclude={"customers": ["bob", "zoe"]}), {"ann": ANN, "cy": CY}, "all but these"),
    (
        standing({"only_customers": ["ann", "bob"]}, {"customers": ["bob"]}),
        {"ann": ANN},
        "exclude stands above only",
    ),
    (
        standing({"only_customers": ["ann"], "customers": ["bob"]}),
        {"ann": ANN, "bob": BOB},
        "also this one, whom only does not name: in their own place",
    ),
    (
        standing({"customers": ["zoe", "abe"]}),
        {"ann": ANN, "bob": BOB, "cy": CY, "zoe": POPULAR, "abe": POPULAR},
        "unknown ones at the end, in the given order, by what is popular",
    ),
    (
        standing({"only_customers": [], "customers": ["zoe", "cy"]}),
        {"cy": CY, "zoe": POPULAR},
        "nobody but these two",
    ),
    (
        standing({"customers": [{"customer": "zoe", "history": []}, {"customer": "abe", "history": ["soap"]}]}),
        {"ann": ANN, "bob": BOB, "cy": CY, "zoe": POPULAR, "abe": POPULAR},
        "a basket without a known item is none",
    ),
    (
        standing({"only_customers": [], "customers": ["zoe"], "items": ["figs"]}, {"items": ["bread"]}),
        {"zoe": "apple:popular cocoa:popular figs:included"},
        "all other rules hold for added customers",
    ),
]


@pytest.mark.parametrize("group_size", [1, 4096])
@pytest.mark.parametrize(("rules", "expected", "why"), WHO, ids=[why for *_, why in WHO])
def test_who_gets_a_list(rules: dict[str, Any], expected: dict[str, str], why: str, group_size: int) -> None:
    assert list(lists(shop(standing=rules, spec=SPEC | {"group_size": group_size})).items()) == list(expected.items())


BASKETS: list[tuple[str, list[Any], str]] = [
    ("zoe", ["cocoa", "soap"], "a new customer"),
    ("zoe", [{"item": "cocoa", "quantity": 3, "date": "2011-01-01"}, "dates"], "a basket of objects"),
    ("ann", ["figs"], "a known one: on top of what is stored"),
]


@pytest.mark.parametrize("purchased", [False, True], ids=["with what was bought", "without it"])
@pytest.mark.parametrize(("customer", "history", "why"), BASKETS, ids=[why for *_, why in BASKETS])
def test_a_basket_is_answered_as_the_server_answers_a_history(
    customer: str, history: list[Any], why: str, purchased: bool
) -> None:
    exclude = {"purchased": purchased}
    rules = standing({"customers": [{"customer": customer, "history": history}]}, exclude)
    made = dict(customer_lists(shop(standing=rules, spec=SPEC).in_memory(), lambda text: None))
    server = Recommender(Shop(shop(spec=SPEC).in_memory(), Limits()))
    answer = server.answer({"customer": customer, "history": history, "exclude": exclude})
    assert answer["source"] == "history"
    page = made[customer]
    assert list(zip(page.ids, page.scores, page.reasons, strict=True)) == [
        (entry["item"], entry["score"], entry["reason"]) for entry in answer["recommendations"]
    ]
    plain = dict(customer_lists(shop(standing=standing(exclude=exclude), spec=SPEC).in_memory(), lambda text: None))
    others = [name for name in plain if name != customer]
    assert [made[name] for name in others] == [plain[name] for name in others], "nobody else's list changes"


@pytest.mark.parametrize("history", [["yam"], ["yam", "cocoa"]], ids=["never sold", "and one that was"])
def test_what_a_basket_holds_is_no_new_item_though_it_was_never_sold(history: list[str]) -> None:
    rules = standing({"customers": [{"customer": "zoe", "history": history}], "new": 9}, {"purchased": True})
    made = lists(shop(standing=rules, spec=SPEC | {"reco_item": 9}, unsold=["xmas cake", "yam"]))
    assert made["zoe"].endswith("xmas cake:new")
    assert made["ann"].endswith("xmas cake:new yam:new")


BAD: list[tuple[Any, str]] = [
    ("figs", "include.customers[1]: history is 'figs', expected a list of purchases."),
    ([1.5], "include.customers[1]: history[0] is 1.5: expected an id as text."),
    ([{"item": "figs", "date": "soon"}], "include.customers[1]: history[0].date is 'soon', expected a day"),
    ([{"quantity": 1}], "include.customers[1]: history[0] has no item"),
    (["figs"] * 10_001, "include.customers[1]: history has 10001 entries, expected at most 10000."),
]


@pytest.mark.parametrize(("history", "words"), BAD, ids=[words for _, words in BAD])
def test_a_basket_that_can_not_be_read_names_its_customer(history: Any, words: str) -> None:
    rules = read_rules_file(standing({"customers": ["ann", {"customer": "zoe", "history": history}]}))
    with pytest.raises(SpecError) as caught:
        read_baskets(rules)
    assert f"rules.json: {words}" in str(caught.value)


@pytest.mark.parametrize("customer", ["ann", "zoe"])
def test_a_basket_from_which_no_factors_follow_names_its_customer(customer: str) -> None:
    rules = standing({"customers": [{"customer": customer, "history": ["apple"]}]})
    spec = {"als_rank": 2, "feedback": "explicit", "reg_param": 1e-300}
    purchases = [one for one in shop().purchases if one.customer != "ann"]
    with pytest.raises(SpecError, match=f"rules.json: the history of '{customer}' in include.customers: No factors"):
        lists(shop(standing=rules, spec=spec, purchases=purchases))
