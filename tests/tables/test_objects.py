import io
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.errors import DataError
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.given_items import ItemsKind
from alsriaz.tables.objects import one_table
from alsriaz.tables.sales import SalesKind

BOM = b"\xef\xbb\xbf"
H = b"customer,item,quantity,date\n"
A, B, C = b"a,x,1,2011-01-01\n", b"b,y,2,2011-01-02\n", b"c,z,3,2011-01-03\n"


def joined(*objects: bytes, **spec: Any) -> bytes:
    return b"".join(one_table(io.BytesIO(b"".join(objects)), SalesKind(parse_spec(spec), "training_0")))


JOINED: list[tuple[list[bytes], bytes, str]] = [
    ([H + A + B], H + A + B, "one object stays as it is"),
    ([H + A, H + B, H + C], H + A + B + C, "later headers go"),
    ([H + A, H, H + C], H + A + C, "an object of a header alone"),
    ([H, H, H + C, H], H + C, "headers first and last"),
    ([H + A, b"", H + B], H + A + B, "an empty object, such as _SUCCESS"),
    ([H + A, B], H + A + B, "a later object without a header has the same columns"),
    ([H + A.strip(), H + B], H + A + B, "no line end at an object's end: the row is cut from the header"),
    ([H + A, H + B.strip()], H + A + B, "no line end at the very end"),
    ([H + A, H.strip()], H + A, "a header alone without a line end, last"),
    ([H + A.strip(), H.strip()], H + A.strip(), "the same after a row without a line end"),
    ([BOM + H + A, BOM + H + B], H + A + B, "byte order marks"),
    ([BOM + H + A.strip(), BOM + H + B], H + A + B, "a byte order mark after a row without a line end"),
    ([H + A, BOM + B], H + A + B, "a byte order mark before a row"),
    ([BOM + A, BOM + A + B], A + A + B, "without a header, equal rows are rows"),
    ([A, A.strip(), B], A + A.strip() + B, "without a header, rows that run into each other can't be told: bad shape"),
    (
        [H.replace(b"\n", b"\r\n") + A.replace(b"\n", b"\r\n"), H + B],
        H.replace(b"\n", b"\r\n") + A.replace(b"\n", b"\r\n") + B,
        "line ends may differ from object to object",
    ),
    ([(H + A).replace(b"\n", b"\r"), (H + B).replace(b"\n", b"\r")], (H + A + B).replace(b"\n", b"\r"), "lone CRs"),
    ([b"\n\n" + H + A, b"\n\n" + H + B], b"\n\n" + H + A + b"\n\n" + B, "blank lines above a header stay blank"),
    (
        [
            b"customer,item,quantity,date,description\n",
            b'a,x,1,2011-01-01,"customer,item,quantity,date,description or so"\n',
        ],
        b'customer,item,quantity,date,description\na,x,1,2011-01-01,"customer,item,quantity,date,description or so"\n',
        "the header's words within a row",
    ),
    (
        [H + A, b"a,customer,item,date\n", B],
        H + A + b"a,customer,item,date\n" + B,
        "words like a header's in a bad row",
    ),
    (
        [
            "Kunde,item,quantity,date,caf\xe9\n".encode("latin-1").replace(b"Kunde", b"customer"),
            b"a,x,1,2011-01-01,\xe9\n",
        ]
        * 2,
        b"customer,item,quantity,date,caf\xe9\n" + b"a,x,1,2011-01-01,\xe9\n" * 2,
        "Latin-1 stays as it is",
    ),
]


@pytest.mark.parametrize(("objects", "table", "why"), JOINED, ids=[why for *_, why in JOINED])
def test_objects_end_to_end_are_one_table_again(objects: list[bytes], table: bytes, why: str) -> None:
    expected = table if table.endswith((b"\n", b"\r")) else table + b"\n"
    assert joined(*objects) == expected


REFUSED: list[tuple[list[bytes], dict[str, Any], str]] = [
    (
        [H + A, b"item,customer,quantity,date\nx,a,1,2011-01-01\n"],
        {},
        "training_0: a later object begins with another header, 'item,customer,quantity,date', than the first, "
        "'customer,item,quantity,date'. Pipe mode joins the objects of a channel: give all the same header, or use "
        "File mode",
    ),
    (
        [H + A, b"Customer ID,Item,Qty,Date\na,x,1,2011-01-01\n"],
        {},
        "another header, 'Customer ID,Item,Qty,Date', than",
    ),
    ([H + A, b"invoice," + H + b"7,a,x,1,2011-01-01\n"], {}, "another header, 'invoice,customer,item,quantity,date'"),
    ([H + A, b"item,customer,quantity,date"], {}, "another header, 'item,customer,quantity,date'"),
    ([(H + A).replace(b"\n", b"\r"), b"item,customer,quantity,date\rx,a,1,2011-01-01\r"], {}, "another header"),
    ([A, H + B], {}, "another header, 'customer,item,quantity,date', than the first, which has none."),
    (
        [b"Wer,item,quantity,date\n" + A, b"item,Wer,quantity,date\n" + A],
        {"columns": {"customer": "Wer"}},
        "another header, 'item,Wer,quantity,date', than",
    ),
    ([b'"customer\nid",item,quantity,date\n' + A], {}, "its header goes beyond one line"),
    ([b"PK\x03\x04" + bytes(100)], {}, "training_0 is no CSV text but a zip archive"),
    (
        [b'{"als_rank": 3}\n' + H + A],
        {},
        "another header, 'customer,item,quantity,date', than the first, which has none",
    ),
    ([b"who,what,many,when\na,x,six,never\n"], {}, "training_0: no header that is recognised"),
    ([H.strip(), H + A], {}, "training_0: the columns 'item' and 'item' could each be the item"),
    ([b""], {}, "training_0 is empty: expected rows of customer, item, quantity and date"),
]


@pytest.mark.parametrize(("objects", "spec", "words"), REFUSED, ids=[words[:60] for *_, words in REFUSED])
def test_objects_that_do_not_fit_together(objects: list[bytes], spec: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as caught:
        joined(*objects, **spec)
    assert words in str(caught.value)


def test_columns_known_by_number_have_no_header_to_look_for() -> None:
    objects = [A, b"who,what,many,when\n" + B, A, H]
    numbers = {"customer": 1, "item": 2, "quantity": 3, "date": 4}
    assert joined(*objects, columns=numbers) == b"".join(objects)


SKU = b"sku,brand,type\n"
ITEMS: list[tuple[list[bytes], bytes, str]] = [
    ([SKU + b"1,a,b\n", SKU + b"2,c,d\n"], SKU + b"1,a,b\n2,c,d\n", "later headers go"),
    ([SKU + b"fig,a,b", SKU + b"2,c,d\n"], SKU + b"fig,a,b\n2,c,d\n", "a row without a digit or a line end is parted"),
    ([SKU + b"fig,a,b", BOM + SKU + b"2,c,d\n"], SKU + b"fig,a,b\n2,c,d\n", "the same before a byte order mark"),
    ([SKU + b'"a, b","c",d', SKU], SKU + b'"a, b","c",d\n', "the same with a quoted delimiter"),
    ([SKU + b"1,a,", SKU + b"2,c,d\n"], SKU + b"1,a,\n2,c,d\n", "with a digit it may end with a gap"),
    ([SKU + b"fig,a", SKU], SKU + b"fig,a" + SKU, "too few cells are no row"),
    (
        [SKU + b'fig,a,"as ' + SKU + b'"\n'],
        SKU + b'fig,a,"as ' + SKU + b'"\n',
        "the header's words in a value of two lines",
    ),
    ([SKU + b"fig,product,item\nsku\n"], SKU + b"fig,product,item\nsku\n", "names of an id elsewhere, or alone"),
    ([SKU + b"fig,brand,type\n"], SKU + b"fig,brand,type\n", "some of the header's names"),
    ([SKU + b"\n1,a,b\n"], SKU + b"\n1,a,b\n", "an empty line"),
]


def joined_items(*objects: bytes, **spec: Any) -> bytes:
    return b"".join(one_table(io.BytesIO(b"".join(objects)), ItemsKind(parse_spec(spec), "items_0")))


@pytest.mark.parametrize(("objects", "table", "why"), ITEMS, ids=[why for *_, why in ITEMS])
def test_tables_of_items_end_to_end_are_one_again(objects: list[bytes], table: bytes, why: str) -> None:
    assert joined_items(*objects) == table


OTHER_HEADERS: list[tuple[bytes, bytes, dict[str, Any], str]] = [
    (SKU, b"sku,type,brand", {}, "the same names in another order"),
    (SKU, b"brand,type,sku", {}, "the id elsewhere"),
    (SKU, b"Brand 2,SKU,Type,brand", {}, "more names, one with a digit"),
    (SKU, b"Sku,Brand,Type", {}, "another spelling"),
    (SKU, b"item_id,name,price", {}, "another name of the id in its place"),
    (SKU, b"id,maker", {}, "fewer columns"),
    (SKU, b'"sku","type","brand"', {}, "quoted names"),
    (b"brand,sku\n", b"type,sku", {}, "the id's place is not the first"),
    (b"Artikel,brand\n", b"artikel,type", {"columns": {"item": "Artikel"}}, "an id's name that the settings tell"),
    (b"sku;brand\n", b"brand;sku", {}, "semicolons"),
    (SKU, b"a,sku,brand,type", {}, "a header that ends with the first one"),
    (b"sku,brand\n", b"type,sku,brand", {}, "the same, with as many cells before as the first one has"),
]


@pytest.mark.parametrize(
    ("first", "later", "spec"), [row[:3] for row in OTHER_HEADERS], ids=[row[-1] for row in OTHER_HEADERS]
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_tables_of_items_with_other_headers_are_refused(
    first: bytes, later: bytes, spec: dict[str, Any], line_end: str
) -> None:
    table = (first + b"x1\n" + later + b"\nx2\n").replace(b"\n", line_end.encode())
    with pytest.raises(DataError) as caught:
        joined_items(table, **spec)
    told, header = later.decode(), first.decode().strip()
    assert f"items_0: a later object begins with another header, '{told}', than the first, '{header}'. " in str(
        caught.value
    )


CELLS = st.text(st.sampled_from("abc1é \ufeff"), max_size=3)
ROWS = st.lists(st.tuples(CELLS, CELLS, st.integers(0, 3), st.just("2011-01-01")), max_size=4)
OBJECTS = st.lists(
    st.tuples(ROWS, st.booleans(), st.booleans(), st.sampled_from(["\n", "\r\n"])), min_size=1, max_size=5
)


@given(OBJECTS)
def test_any_objects_with_a_header_give_the_rows_that_each_has(
    objects: list[tuple[list[tuple[str, str, int, str]], bool, bool, str]],
) -> None:
    """The oracle reads each object by itself."""
    stream, rows = b"", []
    for table, marked, ended, line_end in objects:
        lines = [",".join(map(str, row)).lstrip("\ufeff") for row in table]
        rows += lines
        text = line_end.join([H.decode().strip(), *lines]) + (line_end if ended or not lines else "")
        stream += (BOM if marked else b"") + text.encode()
    assert joined(stream).decode().replace("\r\n", "\n") == "\n".join([H.decode().strip(), *rows]) + "\n"


def test_megabytes_cut_anywhere() -> None:
    chance = random.Random(7)
    stream, rows = b"", [H]
    while len(stream) < 5 << 20:
        lines = [b"c%d,x,1,2011-01-01\n" % chance.randrange(10**9) for _ in range(chance.randrange(2_000))]
        rows += lines
        text = H + b"".join(lines)
        stream += text.strip() if lines and chance.random() < 0.5 else text
    assert joined(stream) == b"".join(rows)


def test_a_line_too_long_to_be_a_row_costs_that_line_only() -> None:
    table = joined(H + A + b"z" * (5 << 20), H + B)
    assert table.startswith(H + A + b"z" * (1 << 20))
    assert table.endswith(b"z" + H + B), "what stands at its end can't be told from it"
    assert len(table) < 3 << 20
