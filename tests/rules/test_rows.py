from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.errors import BadValue
from alsriaz.model.conditions import Condition
from alsriaz.rules.rows import (
    BoostEntry,
    Guest,
    Reading,
    Rules,
    named_rules,
    popular_count,
    read_rules,
    read_rules_file,
)

REFUSED = [
    ({"include": []}, "include", "include is [], expected an object with items, new, only, where", "no object"),
    ({"include": {"item": ["a"]}}, "include.item", "no field 'item', did you mean 'items'?", "a field misspelt"),
    ({"exclude": {"new": 1}}, "exclude.new", "exclude has no field 'new'.", "a field of the other section"),
    ({"include": {"items": "a"}}, "include.items", "'a', expected a list of item ids", "one id is no list"),
    ({"include": {"items": ["a", 1.5]}}, "include.items[1]", "include.items[1] is 1.5: expected an id", "no id"),
    ({"include": {"items": ["a", ""]}}, "include.items[1]", "is '': expected an id, which is never empty", "empty id"),
    (
        {"exclude": {"items": ["a", "b", "c", "d"]}},
        "exclude.items",
        "has 4 entries, expected at most 3",
        "too many ids",
    ),
    ({"include": {"only": [True]}}, "include.only[0]", "include.only[0] is true", "a boolean is no id"),
    ({"include": {"new": -1}}, "include.new", "include.new is -1, expected a whole number", "negative"),
    ({"include": {"new": 10**4000}}, "include.new", "include.new is 1000", "absurd"),
    ({"exclude": {"popular": 10**400}}, "exclude.popular", "exclude.popular is 1000", "beyond any float"),
    ({"include": {"new": True}}, "include.new", "include.new is true", "a boolean is no number"),
    ({"include": {"placement": "top"}}, "include.placement", '\'top\', expected "score" or "first"', "no placement"),
    ({"include": {"placement": ["first"]}}, "include.placement", "['first'], expected", "a list is no placement"),
    ({"exclude": {"purchased": 1}}, "exclude.purchased", "is 1, expected true or false", "a number is no boolean"),
    ({"exclude": {"popular": -1}}, "exclude.popular", "exclude.popular is -1, expected a whole number", "negative"),
    ({"exclude": {"popular": 1.5}}, "exclude.popular", "exclude.popular is 1.5", "neither whole nor a share"),
    ({"exclude": {"popular": float("nan")}}, "exclude.popular", "exclude.popular is nan", "no number"),
    ({"exclude": {"popular": "10%"}}, "exclude.popular", "exclude.popular is '10%'", "text"),
    ({"include": {"where": "GROCERY"}}, "include.where", "include.where is 'GROCERY', expected an object", "no object"),
    ({"exclude": {"where": {}}}, "exclude.where", "exclude.where has no condition", "every item would match"),
    ({"boost": 1.3}, "boost", "boost is 1.3, expected a list of objects", "a number says not what to boost"),
    ({"boost": {"by": 1.3}}, "boost", "expected either where or items, and by", "nothing to boost"),
    ({"boost": {"where": {"a": 1}, "items": ["a"], "by": 2}}, "boost", "either where or items", "both"),
    ({"boost": [{"items": ["a"]}]}, "boost[0].by", "boost[0].by is null, expected a number from 0", "by is needed"),
    ({"boost": {"items": ["a"], "by": -1}}, "boost.by", "boost.by is -1, expected a number from 0 to 100", "negative"),
    ({"boost": {"items": ["a"], "by": float("nan")}}, "boost.by", "boost.by is nan, expected", "no number"),
    ({"boost": {"items": ["a"], "times": 2}}, "boost.times", "boost has no field 'times'", "a field misspelt"),
    ({"boost": [{}] * 17}, "boost", "boost has 17 entries, expected at most 16", "too many boosts"),
    ({"at_most": 2}, "at_most", "at_most is 2, expected an object such as", "two of what?"),
    ({"at_most": {"department": 0}}, "at_most.department", "is 0, expected a whole number of items from 1", "none"),
    ({"at_most": {str(n): 1 for n in range(9)}}, "at_most", "has 9 attributes, expected at most 8", "too many caps"),
    (
        {"include": {"customers": [{"customer": "x"}]}},
        "include.customers[0]",
        "expected an id",
        "a basket in a request",
    ),
    ({"exclude": {"customers": "x"}}, "exclude.customers", "'x', expected a list of customer ids", "one id is no list"),
    (
        {"include": {"items": ["b", "a"]}, "exclude": {"items": ["a"]}},
        "exclude.items",
        "'a' stands in both include.items and exclude.items",
        "a contradiction within one layer",
    ),
]


@pytest.mark.parametrize(("given", "field", "words", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_malformed_rules_name_the_field(given: dict[str, Any], field: str, words: str, why: str) -> None:
    with pytest.raises(BadValue) as caught:
        read_rules(given, Reading(most_ids=3))
    assert caught.value.field == field
    assert words in str(caught.value)


def test_rules_are_read() -> None:
    given = {
        "include": {"items": ["b", 7, "b"], "new": 2, "only": [], "placement": "first"},
        "exclude": {"items": ["c"], "purchased": True, "popular": 0.1, "where": {"price": {"below": 5}}},
        "boost": [{"items": ["d"], "by": 2}, {"where": {"brand": "x"}, "by": 0.5}],
        "at_most": {"department": 2, "brand": None},
        "customer": "not looked at",
    }
    assert read_rules(given) == Rules(
        {
            "include.items": ("b", "7"),
            "include.new": 2,
            "include.only": frozenset(),
            "include.placement": "first",
            "exclude.items": frozenset({"c"}),
            "exclude.purchased": True,
            "exclude.popular": Fraction(1, 10),
            "exclude.where": (Condition("price", below=5.0),),
            "boost": (BoostEntry(2.0, items=("d",)), BoostEntry(0.5, where=(Condition("brand", ("x",)),))),
            "at_most": {"department": 2},
        }
    )


def test_standing_rules_may_give_customers_baskets() -> None:
    given = {"include": {"customers": ["b", {"customer": "a", "history": ["x"]}], "only_customers": ["c"]}}
    rules = read_rules_file(given)
    assert rules.get("include.customers") == (Guest("b"), Guest("a", ["x"]))
    assert rules.get("include.only_customers") == frozenset({"c"})
    twice = {"include": {"customers": ["a", {"customer": "a", "history": ["x"]}]}}
    with pytest.raises(BadValue, match="'a', who stands there before with another history"):
        read_rules_file(twice)


def test_which_rules_a_request_asks_for() -> None:
    given = {"include": {"new": 1, "only": None}, "exclude": {"purchased": False, "popular": 2}, "at_most": {"a": 1}}
    assert list(named_rules(given)) == ["include.new", "exclude.popular", "at_most"]


@pytest.mark.parametrize("absent", [{}, {"include": None, "exclude": {}}, {"include": {"only": None, "new": None}}])
def test_what_is_absent_or_null_says_nothing(absent: dict[str, Any]) -> None:
    assert read_rules(absent) == Rules()


def test_standing_rules_have_no_other_fields() -> None:
    with pytest.raises(BadValue, match="'exlude' is no field of the rules, did you mean 'exclude'?"):
        read_rules_file({"exlude": {}})


COUNTS = [
    (None, 30, 0, "no rule"),
    (0, 30, 0, "none"),
    (5, 30, 5, "a number of items"),
    (5, 3, 3, "more than there are"),
    (0.1, 30, 3, "a share, exactly: in binary 0.1 x 30 is above 3"),
    (0.01, 30, 1, "a share is rounded up"),
    (0.999, 30, 30, "rounded up to all"),
    (1.0, 30, 1, "1.0 is the whole number 1, not all"),
]


@pytest.mark.parametrize(("popular", "n_items", "count", "why"), COUNTS, ids=[why for *_, why in COUNTS])
def test_how_many_popular_items_a_rule_names(popular: float | None, n_items: int, count: int, why: str) -> None:
    rules = read_rules({"exclude": {"popular": popular}})
    assert popular_count(rules.get("exclude.popular", Fraction(0)), n_items) == count


ids = st.lists(st.sampled_from("abcdef"), max_size=4)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "new": st.integers(0, 9),
            "only": ids,
            "items": ids,
            "placement": st.sampled_from(["score", "first"]),
            "where": st.fixed_dictionaries({"brand": st.lists(st.sampled_from("ab"))}),
            "customers": st.lists(st.just({"customer": "x", "history": ["a"]}) | st.sampled_from("yz"), max_size=3),
            "only_customers": ids,
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "items": st.lists(st.sampled_from("uvwxyz"), max_size=4),
            "purchased": st.booleans(),
            "popular": st.integers(0, 9) | st.floats(0, 1, exclude_max=True),
        },
    ),
)
def test_rules_written_to_the_model_are_read_back_the_same(include: dict[str, Any], exclude: dict[str, Any]) -> None:
    more = {"boost": {"items": ["a"], "by": 1.25}, "at_most": {"brand": 2}}
    rules = read_rules_file({"include": include, "exclude": exclude} | (more if include else {}))
    assert read_rules_file(rules.as_json()) == rules
