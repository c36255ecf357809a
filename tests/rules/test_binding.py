"""Layers of rules bound to a catalogue: what unites, what intersects, what replaces."""

from typing import Any

import numpy as np
import pytest

from alsriaz.errors import BadValue
from alsriaz.model.attributes import Attributes
from alsriaz.model.ids import NO_IDS, IdTable, pack_ids
from alsriaz.rules import side
from alsriaz.rules.binding import Bound, bind, make_layer
from alsriaz.rules.rows import read_rules
from alsriaz.rules.side import Side

# Positions 0 to 5 were sold, 6 and 7 stand in the shop's table only.
SOLD, UNSOLD = ["apple", "bread", "cocoa", "dates", "eggs", "figs"], ["beans", "curry"]
DEPARTMENT = ["fruit", "bakery", "sweets", "fruit", "dairy", "fruit", "tins", None]
PRICE = [1.0, 2.0, 3.0, 4.0, 5.0, None, 7.0, 8.0]
SIDE = Side(
    kind="item",
    ids=IdTable(*pack_ids(SOLD)),
    by_popularity=np.array([1, 0, 2, 3, 4, 5], dtype=np.int32),
    new=np.array([False] * 5 + [True] * 3),
    unsold=IdTable(*pack_ids(UNSOLD)),
    attributes=Attributes.of({"department": DEPARTMENT, "price": PRICE}, 8),
)

NOBODY_NEW, NO_ITEMS = np.zeros(2, dtype=np.bool_), np.empty(0, dtype=np.int32)


def bound(*layers: dict[str, Any]) -> Bound:
    return bind([make_layer(read_rules(layer), SIDE) for layer in layers], SIDE)


def free(rules: Bound) -> str:
    """Return the items that may fill a list, by position, and after a bar the unsold ones that may."""
    among = range(6) if rules.among is None else rules.among.tolist()
    hidden = np.zeros(8, dtype=np.bool_) if rules.hidden is None else rules.hidden
    barred = {position for positions in (*rules.barred, rules.forced) for position in positions.tolist()}
    sold = [SOLD[position] for position in among if not hidden[position] and position not in barred]
    unsold = [SIDE.id_at(position) for position in rules.unsold_candidates(SIDE).tolist()]
    return " ".join([*sold, "|", *unsold])


def where(**conditions: Any) -> dict[str, Any]:
    return {"include": {"where": conditions}}


def without(**conditions: Any) -> dict[str, Any]:
    return {"exclude": {"where": conditions}}


LAYERS: list[tuple[list[dict[str, Any]], str, str]] = [
    ([], "apple bread cocoa dates eggs figs | beans curry", "no layer, no rules"),
    ([{}, {}], "apple bread cocoa dates eggs figs | beans curry", "layers that say nothing"),
    (
        [{"exclude": {"items": ["apple", "curry"]}}, {"exclude": {"items": ["bread", "x"]}}],
        "cocoa dates eggs figs | beans",
        "exclude.items unite",
    ),
    (
        [{"include": {"only": ["apple", "bread", "curry"]}}, {"include": {"only": ["bread", "cocoa", "curry", "x"]}}],
        "bread | curry",
        "only intersects",
    ),
    ([{"include": {"only": ["apple"]}}, {"include": {"only": []}}], "|", "an empty only is nothing"),
    (
        [where(department=["fruit", "dairy"]), where(price={"below": 5})],
        "apple dates |",
        "include.where intersects",
    ),
    ([without(department="fruit"), without(price={"above": 4})], "bread cocoa |", "exclude.where unites"),
    ([where(department="fruit"), without(price=4)], "apple figs |", "conditions of both kinds hold together"),
    (
        [{"exclude": {"popular": 5}}, {"exclude": {"popular": 1}}],
        "apple cocoa dates eggs figs | beans curry",
        "popular is replaced",
    ),
    ([{"exclude": {"popular": 0.5}}, {}], "dates eggs figs | beans curry", "a layer that says nothing keeps it"),
    ([where(department="tins")], "| beans", "conditions hold for what was never sold"),
    (
        [{"include": {"items": ["beans", "figs"]}}],
        "apple bread cocoa dates eggs | curry",
        "what must appear fills no place",
    ),
]


@pytest.mark.parametrize(("layers", "expected", "why"), LAYERS, ids=[why for *_, why in LAYERS])
def test_what_may_fill_a_list(layers: list[dict[str, Any]], expected: str, why: str) -> None:
    assert free(bound(*layers)) == expected


def test_included_items_unite_in_the_given_order_below_what_any_layer_excludes() -> None:
    rules = bound(
        {"include": {"items": ["figs", "soap", "curry"]}, "exclude": {"items": ["bread"]}},
        {"include": {"items": ["apple", "figs", "bread", "beans"]}, "exclude": {"items": ["soap"]}},
    )
    assert [SOLD[position] for position in rules.forced.tolist()] == ["figs", "apple"]
    assert [(item, position) for item, position in rules.unscored] == [("beans", 6), ("curry", 7)]
    assert [notice.code for notice in rules.notices] == ["never_sold"] * 2 + ["include_overruled"] * 2
    assert rules.room(5) == 1
    with pytest.raises(BadValue, match=r"include\.items has 4 items that must appear \(standing rules count\), .* 3"):
        rules.room(3)


def test_a_higher_layers_values_replace() -> None:
    low = {
        "include": {"new": 2, "placement": "first"},
        "exclude": {"purchased": True},
        "boost": {"where": {"department": "fruit"}, "by": 2},
    }
    assert bound(low, {}).new == 2
    assert (bound(low).first, bound(low).purchased, len(bound(low).lifts)) == (True, True, 1)
    high = bound(low, {"include": {"new": 0, "placement": "score"}, "exclude": {"purchased": False}, "boost": []})
    assert (high.new, high.first, high.purchased, high.lifts) == (0, False, False, ())


def test_caps_are_taken_attribute_by_attribute() -> None:
    rules = bound({"at_most": {"department": 2, "price": 1}}, {"at_most": {"department": 3}})
    assert [cap.most for cap in rules.caps] == [3, 1]
    fruit = rules.caps[0].codes[[0, 3, 5]]
    assert len({*fruit.tolist()}) == 1
    assert rules.caps[0].codes[7] == -1


def test_a_boost_names_items_or_describes_them() -> None:
    rules = bound(
        {"boost": [{"items": ["apple", "beans", "x"], "by": 2}, {"where": {"price": {"from": 7}}, "by": 0.5}]}
    )
    assert [(np.flatnonzero(lift.mask).tolist(), lift.by) for lift in rules.lifts] == [([0, 6], 2.0), ([6, 7], 0.5)]


def test_filters_alone_force_nothing_and_tell_nothing_of_it() -> None:
    rules = bound(
        {"include": {"items": ["figs", "soap"], "new": 2, "placement": "first"}, "at_most": {"department": 1}},
        without(department=["fruit", "meat"]),
    ).filters_only()
    assert (len(rules.forced), rules.unscored, rules.new, rules.first, rules.caps) == (0, (), 0, False, ())
    assert free(rules).startswith("bread cocoa eggs")
    assert [notice.message for notice in rules.notices] == ["No item has 'department meat' as a condition asks."]


def test_further_items_can_be_kept_out() -> None:
    assert free(bound(where(department="fruit")).keeping_out(np.array([3]))) == "apple figs |"


THROUGH: list[tuple[dict[str, Any], str, int | None, bool, str]] = [
    ({}, "soap", None, True, "no rules"),
    ({"exclude": {"items": ["soap"]}}, "soap", None, False, "an excluded id that nobody knows"),
    ({"include": {"only": ["apple"]}}, "soap", None, False, "an id that only does not name"),
    ({"include": {"only": ["soap"]}}, "soap", None, True, "one that it names"),
    (where(department="tins"), "beans", 6, True, "a condition is met"),
    (where(department="tins"), "curry", 7, False, "an item without a value meets none"),
    (where(department="tins"), "soap", None, False, "nor does one that nobody knows"),
    (without(department="tins"), "beans", 6, False, "a condition keeps it out"),
    (without(department="tins"), "soap", None, True, "but not what nobody knows"),
]


@pytest.mark.parametrize(("rules", "item", "position", "passes", "why"), THROUGH, ids=[why for *_, why in THROUGH])
def test_what_filters_let_through_without_a_score(
    rules: dict[str, Any], item: str, position: int | None, passes: bool, why: str
) -> None:
    assert bound(rules).lets_through(item, position) is passes


def test_values_that_no_item_has_are_told_once_wherever_they_stand() -> None:
    rules = bound(
        {
            "include": {"where": {"department": ["fruit", "meat"]}},
            "exclude": {"where": {"department": ["meat"], "price": [99, "cheap"]}},
            "boost": [{"where": {"department": "dariy"}, "by": 2}],
        }
    )
    told = ["department meat", "price 99", "price cheap", "department dariy"]
    assert [notice.message for notice in rules.notices] == [f"No item has {one!r} as a condition asks." for one in told]
    assert {notice.code for notice in rules.notices} == {"no_such_value"}


UNKNOWN: list[tuple[dict[str, Any], str]] = [
    (where(departement="fruit"), "include.where.departement"),
    (without(departement="fruit"), "exclude.where.departement"),
    ({"boost": [{"items": [], "by": 1}, {"where": {"departement": 1}, "by": 1}]}, "boost[1].where.departement"),
    ({"at_most": {"departement": 1}}, "at_most.departement"),
]


@pytest.mark.parametrize(("rules", "field"), UNKNOWN, ids=[field for _, field in UNKNOWN])
def test_unknown_attributes_are_refused_with_and_without_items(rules: dict[str, Any], field: str) -> None:
    for check in (lambda: bound(rules), lambda: make_layer(read_rules(rules), Side.of_attributes(SIDE.attributes))):
        with pytest.raises(
            BadValue, match="names 'departement', which is no attribute of the items, did you mean 'department'"
        ) as caught:
            check()
        assert caught.value.field == field
    with pytest.raises(BadValue, match="the model knows nothing about its items") as caught:
        make_layer(read_rules(rules), Side.of_attributes(Attributes.empty(0)))
    assert caught.value.field == field


def test_bounds_on_text_are_refused() -> None:
    with pytest.raises(BadValue, match="'department' holds text") as caught:
        make_layer(read_rules(where(department={"below": 3})), Side.of_attributes(SIDE.attributes))
    assert caught.value.field == "include.where.department.below"


def test_conditions_are_worked_out_once_unless_they_are_long() -> None:
    short, long = (read_rules(where(department=["fruit", "x" * size])).get("include.where") for size in (10, 1_000))
    many = read_rules(where(department=[f"{n:01000}" for n in range(100)])).get("include.where")
    assert SIDE.mask(short, "a") is SIDE.mask(short, "b")
    assert SIDE.mask(long, "a") is SIDE.mask(long, "b")
    assert SIDE.mask(many, "a") is not SIDE.mask(many, "b"), "or 64 requests could leave a gigabyte behind"
    assert 1_000 < side._CACHED_TEXT < 100_000


def test_customers_are_a_side_without_attributes() -> None:
    customers = Side("customer", IdTable(*pack_ids(["ann", "bob"])), NO_IDS, NOBODY_NEW, NO_ITEMS, Attributes.empty(2))

    def of(*layers: dict[str, Any]) -> Bound:
        return bind([make_layer(read_rules(layer), customers) for layer in layers], customers)

    rules = of({"include": {"customers": ["zoe", "bob"], "items": ["figs"]}, "exclude": {"customers": ["ann"]}})
    assert rules.forced.tolist() == [1], "rules on items say nothing here"
    assert [notice.message for notice in rules.notices] == [
        "Included customer 'zoe' is not in the model: there is no score."
    ]
    told = of({"include": {"customers": ["ann"]}}, {"exclude": {"customers": ["ann"]}}).notices
    assert [notice.message for notice in told] == [
        "Included customer 'ann' is left out: exclude.customers stands above include.customers."
    ]
    assert of({"include": {"only_customers": ["bob", "zoe"], "only": []}}).among is not None
    assert of({"include": {"only_customers": ["bob", "zoe"]}}).among.tolist() == [1]  # type: ignore[union-attr]
