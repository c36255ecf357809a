"""The shop's own table of its items joined to the items that were sold."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alsriaz.model.attributes import MISSING, Attributes, Column, ItemTable, number_column, text_column
from alsriaz.model.ids import IdTable, pack_ids
from alsriaz.platform.plain_number import shortest_text
from alsriaz.tables.given_items import DESCRIPTION, GivenColumn, GivenItems
from alsriaz.tables.sales import Purchases
from alsriaz.training.pairs import Pairs


def item_table(
    pairs: Pairs, purchases: Purchases, given: GivenItems | None, excluded: Sequence[str]
) -> ItemTable | None:
    """Return what is known of the items beyond their sales, or None where nothing is.

    The table's items that were never sold get the positions after those of `pairs`. Items that are in the sales files,
    but in no row of the window, or in none that is accepted, are not among them.

    Args:
        pairs: the window's pairs, whose items the model has.
        purchases: all accepted purchases, with the items' descriptions as the sales tell them.
        given: the shop's table, None where it gave none.
        excluded: ids that are not products.
    """
    sold = [purchases.item_ids[code] for code in pairs.item_codes]
    known = {*purchases.item_ids, *purchases.refused_items, *excluded}
    unsold = sorted(item for item in (given.ids if given else ()) if item not in known)
    columns = _columns([*sold, *unsold], given, _sales_descriptions(pairs, purchases, len(unsold)))
    if not columns and not unsold:
        return None
    return ItemTable(Attributes(columns, len(sold) + len(unsold)), IdTable(*pack_ids(unsold)))


def _sales_descriptions(pairs: Pairs, purchases: Purchases, n_unsold: int) -> list[str]:
    """Return the description of each item by extended position, empty where the sales have none."""
    if purchases.descriptions is None:
        return []
    return [purchases.descriptions[code] for code in pairs.item_codes] + [""] * n_unsold


def _columns(ids: list[str], given: GivenItems | None, descriptions: list[str]) -> list[Column]:
    columns: list[Column] = []
    if given:
        row_of = {item: row for row, item in enumerate(given.ids)}
        rows = np.array([row_of.get(item, MISSING) for item in ids], dtype=np.int64)
        columns = [_of_rows(column, rows) for column in given.columns]
    if not any(descriptions):
        return columns
    for number, column in enumerate(columns):
        if column.name.casefold() == DESCRIPTION:
            columns[number] = _filled(column, descriptions)
            return columns
    return [*columns, _filled(text_column(DESCRIPTION, [], np.full(len(ids), MISSING, np.int32)), descriptions)]


def _of_rows(given: GivenColumn, rows: npt.NDArray[np.int64]) -> Column:
    """Return the attribute of the items at `rows` of the given ones, without a value where a row is MISSING."""
    codes = np.append(given.codes, np.int32(MISSING))[rows]
    if isinstance(given.values, list):
        return text_column(given.name, given.values, codes)
    return number_column(given.name, np.append(given.values, np.nan)[codes])


def _filled(column: Column, descriptions: list[str]) -> Column:
    """Return an attribute as text, its gaps filled."""
    told = [_as_text(column.values.at(code)) for code in range(len(column.values))]
    texts = list(dict.fromkeys([*told, *filter(None, descriptions)]))
    code_of = {text: code for code, text in enumerate(texts)} | {"": MISSING}
    own = np.array([*(code_of[text] for text in told), MISSING], dtype=np.int32)[column.codes]
    theirs = np.array([code_of[text] for text in descriptions], dtype=np.int32)
    return text_column(column.name, texts, np.where(own == MISSING, theirs, own))


def _as_text(value: str | int | float) -> str:
    return value if isinstance(value, str) else shortest_text(value)
