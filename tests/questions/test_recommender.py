"""Worked examples: a shop that fits in the head (tests/small_models.py), each rule by itself, each precedence."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alsriaz.errors import BadValue, CallerError
from alsriaz.model.attributes import Attributes, Column, ItemTable, TextValues
from alsriaz.model.ids import NO_IDS, pack_ids
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.serving.wire import error_code
from tests.small_models import shop


def ask(request: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return dict(Recommender(Shop(shop(**changes).in_memory(), Limits())).answer(request))


def brief(answer: dict[str, Any]) -> str:
    """Write a list as ``item:reason`` words, the reason left out where it is the model."""
    words = [e["item"] + ("" if e["reason"] == "model" else f":{e['reason']}") for e in answer["recommendations"]]
    return " ".join(words)


# ann's scores: apple 5, bread 4, cocoa 3, dates 3, eggs 2 (new), figs -1 (new); she bought apple and bread.
RULES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "apple bread cocoa", "best first, the default k from the spec"),
    ({"k": 4}, "apple bread cocoa dates", "cocoa and dates tie: the earlier position first"),
    ({"k": 100}, "apple bread cocoa dates eggs figs", "k beyond the catalogue returns all of it"),
    ({"exclude": {"items": ["apple", "soap"]}}, "bread cocoa dates", "left out, and the list is still full"),
    ({"exclude": {"purchased": True}}, "cocoa dates eggs", "what she bought is left out"),
    ({"exclude": {"popular": 1}}, "apple cocoa dates", "bread has most customers"),
    ({"exclude": {"popular": 0.34}}, "dates eggs figs", "a share of 6 items, rounded up to 3: bread, apple, cocoa"),
    ({"exclude": {"popular": 6}}, "", "everything is popular"),
    ({"include": {"items": ["figs"]}}, "apple bread figs:included", "must appear, whatever its score"),
    (
        {"include": {"items": ["apple"]}},
        "apple:included bread cocoa",
        "included stays included where it was good enough",
    ),
    (
        {"include": {"items": ["figs", "dates"], "placement": "first"}},
        "figs:included dates:included apple",
        "first, in the given order",
    ),
    (
        {"include": {"items": ["soap", "figs"]}},
        "apple figs:included soap:included",
        "never sold: after all scored ones",
    ),
    ({"include": {"new": 1}}, "apple bread eggs:new", "a new item takes the last place"),
    ({"include": {"new": 2}}, "apple eggs:new figs:new", "two of them, by score"),
    ({"k": 5, "include": {"new": 1}}, "apple bread cocoa dates eggs", "one got there by score: it counts"),
    ({"include": {"new": 2, "items": ["figs"]}}, "apple eggs:new figs:included", "an included new item counts"),
    ({"include": {"new": 1, "placement": "first"}}, "eggs:new apple bread", "new ones before the rest"),
    (
        {"k": 4, "include": {"new": 2, "items": ["cocoa"], "placement": "first"}},
        "cocoa:included eggs:new figs:new apple",
        "forced, then new, then the rest",
    ),
    ({"include": {"only": ["eggs", "apple", "soap"]}}, "apple eggs", "nothing else may appear"),
    ({"include": {"only": []}}, "", "an empty list means nothing"),
    ({"include": {"only": None}}, "apple bread cocoa", "an absent one means everything"),
    ({"include": {"only": ["eggs"], "items": ["figs"]}}, "eggs figs:included", "include.items stands above only"),
    (
        {"include": {"items": ["apple"]}, "exclude": {"purchased": True}},
        "apple:included cocoa dates",
        "include.items stands above exclude.purchased",
    ),
    (
        {"include": {"items": ["bread"]}, "exclude": {"popular": 2}},
        "bread:included cocoa dates",
        "include.items stands above exclude.popular",
    ),
    (
        {"include": {"new": 2, "only": ["apple", "bread", "figs"]}},
        "apple bread figs",
        "a shortfall of new items is filled by score",
    ),
]


@pytest.mark.parametrize(("rules", "expected", "why"), RULES, ids=[why for *_, why in RULES])
def test_each_rule_by_itself(rules: dict[str, Any], expected: str, why: str) -> None:
    assert brief(ask({"customer": "ann", **rules})) == expected


LAYERS: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"exclude": {"items": ["apple"]}}, {"exclude": {"items": ["bread"]}}, "cocoa dates eggs", "id lists unite"),
    (
        {"include": {"only": ["apple", "bread", "eggs"]}},
        {"include": {"only": ["eggs", "figs", "bread"]}},
        "bread eggs",
        "only intersects",
    ),
    ({"include": {"items": ["figs"]}}, {"include": {"items": ["eggs"]}}, "apple eggs:included figs:included", "unite"),
    ({"exclude": {"purchased": True}}, {"exclude": {"purchased": False}}, "apple bread cocoa", "a value replaces"),
    ({"exclude": {"popular": 6}}, {"exclude": {"popular": 0}}, "apple bread cocoa", "also by nothing"),
    ({"include": {"new": 2}}, {}, "apple eggs:new figs:new", "a request that says nothing keeps the standing rules"),
    ({"exclude": {"items": ["figs"]}}, {"include": {"items": ["figs"]}}, "apple bread cocoa", "exclude.items wins"),
]


@pytest.mark.parametrize(("standing", "rules", "expected", "why"), LAYERS, ids=[why for *_, why in LAYERS])
def test_layers(standing: dict[str, Any], rules: dict[str, Any], expected: str, why: str) -> None:
    assert brief(ask({"customer": "ann", **rules}, standing=standing)) == expected


def test_an_answer_for_a_known_customer() -> None:
    assert ask({"customer": "ann", "k": 1}) == {
        "customer": "ann",
        "source": "model",
        "recommendations": [{"item": "apple", "score": 5.0, "reason": "model"}],
        "model": "0123456789ab",
    }


def test_a_stranger_gets_what_is_popular_under_the_same_rules() -> None:
    answer = ask({"customer": "zoe", "k": 4, "include": {"items": ["figs"], "new": 2}})
    assert answer["source"] == "popular"
    assert brief(answer) == "bread:popular apple:popular eggs:new figs:included"
    assert [entry["score"] for entry in answer["recommendations"]] == [3, 2, 0, 0]


def test_a_stranger_with_a_history_is_folded_in() -> None:
    answer = ask({"history": ["cocoa", "soap"], "exclude": {"purchased": True}})
    assert (answer["customer"], answer["source"]) == (None, "history")
    assert "cocoa" not in brief(answer)
    assert answer["warnings"] == [
        {"code": "unknown_item", "message": "Item 'soap' of the history was never sold: it is left out."}
    ]


SOURCES: list[tuple[dict[str, Any], str, str]] = [
    ({"customer": "ann", "history": ["cocoa"]}, "history", "a known customer with news"),
    ({"customer": "ann", "history": []}, "model", "no news"),
    ({"customer": "ann", "history": ["soap"]}, "model", "news of unknown items only are no news"),
    ({"customer": "zoe", "history": ["soap"]}, "popular", "nor do they make a stranger known"),
    ({"history": []}, "popular", "nobody, with nothing bought"),
    ({"customer": "zoe", "history": ["cocoa"], "on_unknown": "error"}, "history", "a basket is enough to be known"),
]


@pytest.mark.parametrize(("request_", "source", "why"), SOURCES, ids=[why for *_, why in SOURCES])
def test_where_scores_come_from(request_: dict[str, Any], source: str, why: str) -> None:
    assert ask(request_)["source"] == source


def test_popular_items_by_their_customers() -> None:
    answer = ask({"task": "popular", "exclude": {"items": ["bread"]}})
    assert brief(answer) == "apple:popular cocoa:popular dates:popular"
    assert [entry["score"] for entry in answer["recommendations"]] == [2, 1, 1]
    assert "customer" not in answer


WARNINGS: list[tuple[dict[str, Any], dict[str, Any], list[str], str]] = [
    ({"include": {"items": ["soap"]}}, {}, ["Included item 'soap' was never sold: it has no score."], "never sold"),
    (
        {"include": {"items": ["figs"]}},
        {"exclude": {"items": ["figs"]}},
        ["Included item 'figs' is left out: exclude.items stands above include.items."],
        "overruled",
    ),
    (
        {"include": {"new": 3}},
        {},
        ["include.new asks for 3 new items, 2 could appear."],
        "too few new ones in the catalogue",
    ),
    (
        {"include": {"new": 2, "items": ["apple", "bread"]}},
        {},
        ["include.new asks for 2 new items, 1 could appear."],
        "too little room beside what is included",
    ),
]


@pytest.mark.parametrize(("rules", "standing", "messages", "why"), WARNINGS, ids=[why for *_, why in WARNINGS])
def test_warnings(rules: dict[str, Any], standing: dict[str, Any], messages: list[str], why: str) -> None:
    answer = ask({"customer": "ann", **rules}, standing=standing)
    assert [warning["message"] for warning in answer["warnings"]] == messages


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"customer": "ann", "k": 0}, "k", "k is 0, expected a whole number from 1 to 1000."),
    ({"customer": "ann", "k": -1}, "k", "k is -1, expected"),
    ({"customer": "ann", "k": 10**9}, "k", "k is 1000000000, expected"),
    ({"customer": "ann", "k": "ten"}, "k", "k is 'ten', expected"),
    ({"customer": "ann", "k": 2.5}, "k", "k is 2.5, expected"),
    ({"customer": "ann", "k": True}, "k", "k is true, expected"),
    ({"customer": "ann", "k": float("inf")}, "k", "k is inf, expected"),
    ({"customer": 1.5}, "customer", "customer is 1.5: expected an id as text"),
    ({}, "customer", "The record has neither customer nor history"),
    ({"customer": "ann", "on_unknown": "fail"}, "on_unknown", "on_unknown is 'fail', expected"),
    ({"customer": "zoe", "on_unknown": "error"}, "customer", "Customer 'zoe' is not in the model."),
    ({"customer": "ann", "exlude": {}}, "exlude", "There is no field 'exlude', did you mean 'exclude'?"),
    ({"task": "popular", "customer": "ann"}, "customer", "There is no field 'customer'"),
    (
        {"task": "recomend", "customer": "ann"},
        "task",
        "did you mean 'recommend'?",
    ),
    ({"task": "similar", "item": "yam"}, "item", "Item 'yam' was never sold: the model has nothing to go by."),
    ({"task": "audience", "items": ["yam", "x"]}, "items", "Item 'yam' was never sold, nor was the other one: "),
    ({"task": "similar", "items": ["yam", "x", "y"]}, "items", "Item 'yam' was never sold, nor were the other 2: "),
    ({"history": [{"item": None}]}, "history[0].item", "history[0] has no item, expected the id of what was bought."),
    ({"task": ["x"]}, "task", "task is ['x'], expected one of recommend, popular, similar"),
    (
        {"task": "popular", "exclude": {"purchased": True}},
        "exclude.purchased",
        "exclude.purchased has no meaning in task popular: leave it out. It holds in recommend",
    ),
    (
        {"customer": "ann", "include": {"items": ["a", "b", "c", "d"]}},
        "include.items",
        "has 4 items that must appear (standing rules count), but k is 3",
    ),
]


@pytest.mark.parametrize(("request_", "field", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_can_not_be_answered(request_: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(CallerError) as caught:
        ask(request_)
    assert getattr(caught.value, "field", None) == field
    assert words in str(caught.value)


def test_an_attribute_to_show_that_nobody_knows_is_a_bad_value_and_no_bad_rule() -> None:
    attributes = {"department": ["GROCERY", None, "PASTRY", None, None, None]}
    with pytest.raises(CallerError, match=r"show\[1\] names 'dept'.* Known are 'department'\.") as caught:
        ask({"customer": "ann", "show": ["department", "dept"]}, attributes=attributes)
    assert (error_code(caught.value), getattr(caught.value, "field", None)) == ("bad_value", "show[1]")


def test_standing_rules_that_fill_the_list_leave_no_room_for_a_shorter_k() -> None:
    with pytest.raises(
        BadValue, match=r"include.items has 2 items that must appear \(standing rules count\), but k is 1"
    ):
        ask({"customer": "ann", "k": 1}, standing={"include": {"items": ["figs", "eggs"]}})


def test_standing_new_items_do_not_make_a_shorter_list_fail() -> None:
    answer = ask({"customer": "ann", "k": 1}, standing={"include": {"new": 2}})
    assert brief(answer) == "eggs:new"
    assert [warning["code"] for warning in answer["warnings"]] == ["too_few_new"]


def test_null_means_absent() -> None:
    request = dict.fromkeys(("k", "task", "on_unknown", "include", "exclude", "history"))
    assert brief(ask({"customer": "ann", **request})) == "apple bread cocoa"


def test_many_warnings_of_one_kind_are_cut_short() -> None:
    answer = ask({"history": ["apple", *(f"soap{n:03}" for n in range(100))]})
    assert len(answer["warnings"]) == 21
    assert answer["warnings"][-1]["message"] == "The same holds for 80 more."


def test_a_default_longer_than_what_the_server_allows_is_cut() -> None:
    assert (
        len(Recommender(Shop(shop().in_memory(), Limits(most_k=2))).answer({"customer": "ann"})["recommendations"]) == 2
    )


def test_a_history_that_leaves_no_solution_is_the_callers() -> None:
    spec = {"als_rank": 2, "feedback": "explicit", "reg_param": 1e-300}
    with pytest.raises(CallerError, match="No factors follow from this history") as caught:
        ask({"history": ["apple"]}, spec=spec)
    assert getattr(caught.value, "field", None) == "history"


def test_a_whole_number_with_a_point_is_a_whole_number() -> None:
    assert len(ask({"customer": "ann", "k": 2.0})["recommendations"]) == 2


def test_scores_are_written_as_the_shortest_decimal_number() -> None:
    answer = ask({"customer": "ann"}, customer_factors=[[0.1, 0], [0, 0], [0, 0]])
    assert [entry["score"] for entry in answer["recommendations"]] == [0.5, 0.4, 0.3], "not 0.30000001192092896"


# What stands in the shop's table and was never sold.


def test_what_was_asked_about_or_bought_is_no_new_item_though_it_was_never_sold() -> None:
    unsold = ["xmas cake", "yam"]
    new = {"k": 9, "include": {"new": 9}}
    similar = ask({"task": "similar", "items": ["apple", "yam"]} | new, unsold=unsold)
    assert [entry["item"] for entry in similar["recommendations"] if entry["score"] is None] == ["xmas cake"]
    basket = {"customer": "ann", "history": ["yam"], "exclude": {"purchased": True}}
    answer = ask(basket | new, unsold=unsold)
    assert [entry["item"] for entry in answer["recommendations"] if entry["score"] is None] == ["xmas cake"]
    included = {"k": 9, "include": {"items": ["yam"]}}
    assert ask(basket | included, unsold=unsold)["recommendations"][-1]["reason"] == "included", "it stands above"


def test_an_attribute_without_any_value_matches_nothing() -> None:
    model = shop().in_memory()
    codes = np.full(len(model.item_ids), -1, dtype=np.int32)
    table = ItemTable(Attributes([Column("brand", codes, TextValues(*pack_ids([])))], len(codes)), NO_IDS)
    recommender = Recommender(Shop(replace(model, item_table=table), Limits()))
    for value in ("", "Acme"):
        answer = recommender.answer({"customer": "ann", "include": {"where": {"brand": value}}})
        assert answer["recommendations"] == []
        assert [warning["code"] for warning in answer["warnings"]] == ["no_such_value"]


def test_the_last_page_that_can_be_asked_for_names_no_next_one() -> None:
    n_items = 10_020
    items = [f"i{number:05}" for number in range(n_items)]
    factors = [[1.0, number / n_items] for number in range(n_items)]
    model = shop(items=items, item_factors=factors, purchases=[], first_ages=[100] * n_items).in_memory()
    recommender = Recommender(Shop(model, Limits()))
    asked = {"customer": "ann", "k": 10}
    assert recommender.answer(asked | {"offset": 9_990})["next_offset"] == 10_000
    last = recommender.answer(asked | {"offset": 10_000})
    assert len(last["recommendations"]) == 10
    assert "next_offset" not in last


def test_a_standing_placement_holds_for_audiences() -> None:
    request = {"task": "audience", "item": "cocoa", "include": {"customers": ["bob"]}}
    answer = ask(request, standing={"include": {"placement": "first"}})
    assert [entry["customer"] for entry in answer["audience"]] == ["bob", "ann", "cy"]


def test_a_customer_without_purchases_has_nothing_to_explain() -> None:
    with pytest.raises(CallerError, match="'ann' has no purchases in the model") as caught:
        ask({"task": "explain", "customer": "ann", "item": "apple"}, purchases=[])
    assert (error_code(caught.value), getattr(caught.value, "field", None)) == ("unknown_customer", "customer")


def test_few_long_records_are_read_ahead() -> None:
    read = []

    def records() -> Iterator[dict[str, Any]]:
        for number in range(50):
            read.append(number)
            yield {"task": "score", "customer": "ann", "items": [f"i{item}" for item in range(10_000)]}

    answers = Recommender(Shop(shop().in_memory(), Limits())).answers(records())
    next(answers)
    assert len(read) == 7, "of 10,000 ids each: 65,536 are held at a time"
    assert len(list(answers)) == 49
