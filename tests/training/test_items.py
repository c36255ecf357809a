"""What is known of items beyond their sales: the shop's table of them joined to what was sold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alsriaz.platform.days import Day
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.given_items import GivenItems, read_items
from alsriaz.tables.sales import Purchases
from alsriaz.training.items import item_table
from alsriaz.training.pairs import Pairs, Window, pair_up

Value = str | float | None


def given_items(folder: Path, text: str) -> GivenItems:
    path = folder / "a.csv"
    path.write_text(text, encoding="utf-8")
    return read_items([path], parse_spec({}), lambda _: None)


def sold(descriptions: list[str] | None = None) -> tuple[Pairs, Purchases]:
    """Return purchases of b and d in the window, of a before it; c and e were refused."""
    purchases = Purchases(
        ["x", "y"],
        ["a", "b", "d"],
        np.array([0, 0, 1], np.int32),
        np.array([0, 1, 2], np.int32),
        np.ones(3),
        np.array([10, 20, 20], np.int32),
        descriptions,
        frozenset({"c"}),
    )
    return pair_up(purchases, Window(Day(15), Day(20)), 90.0), purchases


def values_of(table: Any) -> dict[str, list[Value]]:
    attributes = table.attributes
    shown = [attributes.shown(position, attributes.names) for position in range(len(attributes))]
    return {name: [values[name] for values in shown] for name in attributes.names}


def test_items_that_were_never_sold_come_after_those_of_the_model(tmp_path: Path) -> None:
    given = given_items(tmp_path, "id,x\nz,1\ne,2\nd,3\nc,4\nb,5\na,6\né,7\nPOST,8\n")
    table = item_table(*sold(), given, ["POST"])
    assert table is not None
    unsold = [table.unsold_ids.id_at(place) for place in range(len(table.unsold_ids))]
    assert unsold == ["e", "z", "é"], "neither a, sold before the window, nor c, refused, nor POST, excluded"
    assert values_of(table) == {"x": [5, 3, 2, 1, 7]}


def test_sold_items_that_the_table_lacks_have_no_values(tmp_path: Path) -> None:
    table = item_table(*sold(), given_items(tmp_path, "id,x\nb,tea\n"), [])
    assert table is not None
    assert values_of(table) == {"x": ["tea", None]}
    assert len(table.unsold_ids) == 0


def test_without_a_table_or_descriptions_nothing_is_known() -> None:
    assert item_table(*sold(), None, []) is None
    assert item_table(*sold(["", "", ""]), None, []) is None
    assert item_table(*sold(["told of a only", "", ""]), None, []) is None


def test_the_sales_descriptions_are_an_attribute() -> None:
    table = item_table(*sold(["of a", "of b", ""]), None, [])
    assert table is not None
    assert values_of(table) == {"description": ["of b", None]}


FILLED: list[tuple[str, dict[str, list[Value]], str]] = [
    ("id,x\nb,1\nz,2\n", {"x": [1, None, 2], "description": ["of b", "of d", None]}, "beside the table's columns"),
    ("id,Description\nd,mine\nz,new\n", {"Description": ["of b", "mine", "new"]}, "the table's own come first"),
    ("id,DESCRIPTION\nd,7\nz,1.5\n", {"DESCRIPTION": ["of b", "7", "1.5"]}, "numbers become text among texts"),
]


@pytest.mark.parametrize(("text", "values", "why"), FILLED, ids=[why for *_, why in FILLED])
def test_the_sales_descriptions_fill_the_gaps(
    tmp_path: Path, text: str, values: dict[str, list[Value]], why: str
) -> None:
    table = item_table(*sold(["of a", "of b", "of d"]), given_items(tmp_path, text), [])
    assert table is not None
    assert values_of(table) == values
