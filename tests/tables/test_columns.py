import pytest

from alsriaz.errors import DataError
from alsriaz.platform.spec import COLUMNS
from alsriaz.tables.columns import ALIASES, find_columns, item_id_places, plain, roles_in

ONLINE_RETAIL = "InvoiceNo StockCode Description Quantity InvoiceDate UnitPrice CustomerID Country".split()
RETAIL_II = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"]
JOURNEY = (
    "household_id store_id basket_id product_id quantity sales_value retail_disc week transaction_timestamp".split()
)

FOUND = [
    (ONLINE_RETAIL, {}, (6, 1, 3, 4, 0, 2), "Online Retail"),
    (RETAIL_II, {}, (6, 1, 3, 4, 0, 2), "Online Retail II: a space in a name"),
    ("cust item qty date bill_no Item-Name".split(), {}, (0, 1, 2, 3, 4, 5), "a description by another name"),
    (
        "cust item qty date order itemname description".split(),
        {},
        (0, 1, 2, 3, 4, 6),
        "of two descriptions the better name counts: nothing hangs on it",
    ),
    (
        "cust item qty date order description description".split(),
        {},
        (0, 1, 2, 3, 4, 5),
        "of two alike the first",
    ),
    (
        "cust item qty date order itemname description".split(),
        {"description": "itemname"},
        (0, 1, 2, 3, 4, 5),
        "the setting says which is the description",
    ),
    (JOURNEY, {}, (0, 3, 4, 8, 2), "grocery sales: underscores"),
    ("customer item quantity date".split(), {}, (0, 1, 2, 3), "our own words"),
    ("DATE QTY ARTICLE-ID CLIENT".split(), {}, (3, 2, 1, 0), "capitals, dashes, another order"),
    ("Kunde item qty date".split(), {"customer": "Kunde"}, (0, 1, 2, 3), "a name of the shop's own"),
    (
        "kunde item qty date".split(),
        {"customer": " KUNDE "},
        (0, 1, 2, 3),
        "found whatever the case, where only one is",
    ),
    ("kunde Kunde item qty date".split(), {"customer": "Kunde"}, (1, 2, 3, 4), "the exact name first"),
    ("item sku cust qty date".split(), {"item": "sku"}, (2, 1, 3, 4), "two could be the item: the setting says which"),
    ("date date cust item qty".split(), {"date": 2}, (2, 3, 4, 1), "two of one name: only a number can say which"),
    ("item cust order qty date".split(), {"item": "order", "customer": "item"}, (0, 2, 3, 4), "the setting wins"),
    ("cust item qty date price price".split(), {}, (0, 1, 2, 3), "what isn't read may be there twice"),
    ("cust item qty date x".split(), {"price": "x"}, (0, 1, 2, 3), "a price is allowed, and not read"),
]


@pytest.mark.parametrize(("names", "wanted", "places"), [row[:3] for row in FOUND], ids=[row[-1] for row in FOUND])
def test_columns_are_found(names: list[str], wanted: dict[str, str | int], places: tuple[int, ...]) -> None:
    found = find_columns(names, wanted, "a.csv")
    assert found == dict(zip(("customer", "item", "quantity", "date", "invoice", "description"), places, strict=False))


ITEM_IDS = [
    ("id description".split(), None, [0], "a table of items has an id"),
    ("id sku".split(), None, [1], "id counts only where nothing else does"),
    ("product_id product".split(), None, [0], "a bare word beside an id is a name"),
    ("product price".split(), None, [0], "a bare word alone is the id"),
    ("sku item_no".split(), None, [0, 1], "two could be it"),
    ("item product".split(), None, [0, 1], "two bare words"),
    ("Artikel sku".split(), "artikel", [0], "as the setting calls it"),
    ("sku name".split(), "Artikel", [0], "the setting's name is the sales files' only"),
    ("sku name".split(), 2, [0], "a number counts the columns of sales files"),
    ("name price".split(), None, [], "none"),
]


@pytest.mark.parametrize(
    ("names", "wanted", "places"), [row[:3] for row in ITEM_IDS], ids=[row[-1] for row in ITEM_IDS]
)
def test_the_id_of_a_table_of_items_is_found(names: list[str], wanted: str | int | None, places: list[int]) -> None:
    assert item_id_places(names, wanted) == places


ERRORS = [
    (
        ["cust", "qty", "date"],
        {},
        "a.csv: there is no column for item. Recognised are stockcode, itemid, item,",
        "a missing column names what is missing",
    ),
    (["cust", "qty", "date"], {}, """{"item": "..."}, which one it is of 'cust', 'qty', 'date'""", "and what there is"),
    (["item", "sku", "c"], {}, "the columns 'item' and 'sku' could each be the item", "two columns of one meaning"),
    (["item", "sku", "c"], {}, 'Say which in the setting columns, for example {"item": "item"}', "and how to choose"),
    (["date", "date", "cust", "item", "qty"], {}, 'for example {"date": 1}', "names alike are told apart by number"),
    (
        ["Kunde", "item", "qty", "date"],
        {"customer": "Kunden"},
        "a.csv has the columns 'Kunde', 'item', 'qty', 'date': the setting columns says that customer is 'Kunden', "
        "which is none of them, did you mean 'Kunde'?",
        "an unknown name",
    ),
    (["a", "b"], {"customer": 3}, "customer is column 3, but the file has 2 columns", "a number beyond the last"),
    (
        ["cust", "item", "qty", "date"],
        {"customer": "item", "item": 2},
        "gives column 2 ('item') to both customer and item",
        "one column twice",
    ),
    (
        ["KUNDE", "kunde", "item"],
        {"customer": "Kunde"},
        "'KUNDE' and 'kunde' could each be",
        "no exact name, two alike",
    ),
]


@pytest.mark.parametrize(("names", "wanted", "words"), [row[:3] for row in ERRORS], ids=[row[-1] for row in ERRORS])
def test_an_error_says_which_columns_and_what_to_do(names: list[str], wanted: dict[str, str | int], words: str) -> None:
    with pytest.raises(DataError) as caught:
        find_columns(names, wanted, "a.csv")
    assert words in str(caught.value) and "columns" in str(caught.value)


def test_a_thousand_columns_dont_flood_the_log() -> None:
    with pytest.raises(DataError) as caught:
        find_columns([f"column number {number} {'x' * 100}" for number in range(1000)], {}, "a.csv")
    assert "and 980 more" in str(caught.value) and len(str(caught.value)) < 1200


def test_aliases_are_plain_belong_to_one_word_and_cover_the_specs_words() -> None:
    names = [name for aliases in ALIASES.values() for name in aliases]
    assert len(names) == len(set(names)) and all(plain(name) == name for name in names)
    assert set(ALIASES) == set(COLUMNS)


@pytest.mark.parametrize(
    ("names", "wanted", "roles"),
    [
        (ONLINE_RETAIL, {}, 7),
        (["17850", "85123A", "6", "2010-12-01"], {}, 0),
        (["Kunde", "item"], {"customer": "kunde"}, 2),
        (["customer"], {"customer": "Kunde"}, 0),
    ],
    ids=["a header", "data", "a name of the setting counts", "a word that the setting gives elsewhere doesn't"],
)
def test_a_header_is_known_by_its_names(names: list[str], wanted: dict[str, str | int], roles: int) -> None:
    assert roles_in(names, wanted) == roles
