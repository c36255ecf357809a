"""How many candidates a list has; tests/serving/test_rules_against_oracle.py has the lists themselves."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.rules.binding import Bound, bind, make_layer
from alsriaz.rules.lists import Ask, make_pages
from alsriaz.rules.rows import read_rules
from alsriaz.rules.side import Side
from tests.scorers import given_scores
from tests.small_models import shop

ITEMS = ["apple", "bread", "cocoa", "dates", "eggs", "figs", "soap"]  # soap was never sold


def bound(rules: dict[str, Any]) -> tuple[Bound, Side]:
    side = Side.of_items(shop().in_memory())
    return bind([make_layer(read_rules(rules), side)], side), side


EXAMPLES: list[tuple[dict[str, Any], int, str]] = [
    # rules, candidates of who bought apple and bread, why
    ({}, 6, "all items"),
    ({"exclude": {"items": ["apple", "apple", "soap"]}}, 5, "an id counts once, one that is not sold not at all"),
    ({"exclude": {"purchased": True}}, 4, "what she bought is none"),
    ({"exclude": {"purchased": True, "items": ["apple"]}}, 4, "nor is it twice none"),
    ({"include": {"only": ["apple", "figs", "soap"]}}, 2, "those of `only`"),
    ({"include": {"only": []}}, 0, "of nothing"),
    ({"include": {"only": ["apple", "figs"]}, "exclude": {"purchased": True}}, 1, "of `only` what she didn't buy"),
    ({"include": {"items": ["figs"]}}, 6, "one that must appear is one of all"),
    ({"include": {"items": ["soap"]}}, 7, "or one more, where it was never sold"),
    ({"include": {"items": ["apple"]}, "exclude": {"purchased": True}}, 5, "must appear, though she bought it"),
    ({"include": {"items": ["apple"], "only": []}}, 1, "must appear, though nothing else may"),
    ({"exclude": {"popular": 6}}, 0, "all are popular"),
]


@pytest.mark.parametrize(("rules", "expected", "why"), EXAMPLES, ids=[why for *_, why in EXAMPLES])
def test_candidates(rules: dict[str, Any], expected: int, why: str) -> None:
    assert Ask(9, bound(rules)[0], np.array([0, 1, 1])).candidates(6) == expected


subsets = st.lists(st.sampled_from(ITEMS), unique=True, max_size=4)


@given(st.data())
def test_candidates_are_as_many_as_the_longest_list_holds(data: st.DataObject) -> None:
    excluded, included = data.draw(subsets), data.draw(subsets)
    rules = {
        "include": {
            "items": [item for item in included if item not in excluded],
            "only": data.draw(st.none() | subsets),
        },
        "exclude": {"items": excluded, "purchased": data.draw(st.booleans()), "popular": data.draw(st.integers(1, 6))},
    }
    asked, side = bound(rules)
    purchased = np.array(data.draw(st.lists(st.integers(0, 5), max_size=4)), dtype=np.int64)
    ask = Ask(100, asked, purchased)
    (found,) = make_pages(given_scores(np.arange(6)), [ask], side)
    assert ask.candidates(6) == len(found.ids)
