from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.core.errors import RuleError
from alsriaz.core.rules import Rules, parse_rules, parse_standing_rules, popular_count, rules_as_json

REFUSED = [
    ({"include": []}, "include", "include is [], expected an object with items, new, only, placement", "no object"),
    ({"include": {"item": ["a"]}}, "include.item", "no field 'item', did you mean 'items'?", "a field misspelt"),
    ({"exclude": {"new": 1}}, "exclude.new", "exclude has no field 'new'.", "a field of the other section"),
    ({"include": {"items": "a"}}, "include.items", "'a', expected a list of item ids", "one id is no list"),
    ({"include": {"items": ["a", 1.5]}}, "include.items[1]", "include.items[1] is 1.5: expected an id", "no id"),
    ({"include": {"items": ["a", ""]}}, "include.items[1]", "is '': expected an id, which is never empty", "empty id"),
    ({"exclude": {"items": ["a", "b", "c", "d"]}}, "exclude.items", "has 4 ids, expected at most 3", "too many ids"),
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
    (
        {"include": {"items": ["b", "a"]}, "exclude": {"items": ["a"]}},
        "exclude.items",
        "'a' stands in both include.items and exclude.items",
        "a contradiction within one layer",
    ),
]


@pytest.mark.parametrize(("given", "field", "words", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_malformed_rules_name_the_field(given: dict[str, Any], field: str, words: str, why: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rules(given, most_ids=3)
    assert caught.value.field == field
    assert words in str(caught.value)


def test_rules_are_read() -> None:
    given = {
        "include": {"items": ["b", 7, "b"], "new": 2, "only": [], "placement": "first"},
        "exclude": {"items": ["c"], "purchased": True, "popular": 0.1},
        "customer": "not looked at",
    }
    assert parse_rules(given) == Rules(("b", "7"), 2, frozenset(), "first", frozenset({"c"}), True, Fraction(1, 10))


@pytest.mark.parametrize("absent", [{}, {"include": None, "exclude": {}}, {"include": {"only": None, "new": None}}])
def test_what_is_absent_or_null_says_nothing(absent: dict[str, Any]) -> None:
    assert parse_rules(absent) == Rules()


def test_standing_rules_have_no_other_fields() -> None:
    with pytest.raises(RuleError, match="'exlude' is no field of the rules, did you mean 'exclude'?"):
        parse_standing_rules({"exlude": {}})


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
    assert popular_count(parse_rules({"exclude": {"popular": popular}}).popular, n_items) == count


ids = st.lists(st.sampled_from("abcdef"), max_size=4)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "new": st.integers(0, 9),
            "only": ids,
            "items": ids,
            "placement": st.sampled_from(["score", "first"]),
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
    rules = parse_rules({"include": include, "exclude": exclude})
    assert parse_standing_rules(rules_as_json(rules)) == rules
