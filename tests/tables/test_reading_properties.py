"""Random tables, read by us and by a slow and plain reading of the rules, must come out the same."""

import csv
import datetime
import math
import random
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsriaz.errors import DataError
from alsriaz.platform.spec import Spec, parse_spec
from alsriaz.tables.refusals import REASONS, Refusals
from alsriaz.tables.sales import Purchases, read_purchases

NAMES = ("Customer ID", "StockCode", "Quantity", "InvoiceDate", "Invoice", "Description")
IDS = ["", " ", "7", "007", "NA", "null", "é", "日本", " a b ", "a\nb", '"', "x" * 257, "é" * 129, "7.0"]
FLOATS = ["", "7.0", "123.0", " 8.0"]
QUANTITIES = ["1", "2.5", "-1", "0", "", "six", "1e3", ".5", "nan", "1e999", " 3 "]
DATES = {
    None: ["2010-12-01", "2010-12-01 08:26:00", "2010-12-02T23:59Z", " 2010-12-03", "2011-02-30", "", "never"],
    "yyyymmdd": ["20101201", "20101202", "20110230", "2010-12-01", "2010120"],
    "d/m/yyyy": ["1/12/2010", "01/12/2010 08:26", "13/12/2010", "12/13/2010", "2/1/2011 8:00 PM", "20101201"],
    "m/d/yyyy": ["1/12/2010", "01/12/2010 08:26", "13/12/2010", "12/13/2010", "2/1/2011 8:00 PM", "20101201"],
}
PATTERNS = {
    None: r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)",
    "yyyymmdd": r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)",
    "d/m/yyyy": r"(?P<d>\d+)/(?P<m>\d+)/(?P<y>\d{4})",
    "m/d/yyyy": r"(?P<m>\d+)/(?P<d>\d+)/(?P<y>\d{4})",
}
Row = list[str]
Accepted = tuple[str, str, float, int]


class Table(NamedTuple):
    rows: list[Row]
    spec: Spec


def rows_of(ids: Sequence[str], dates: Sequence[str]) -> st.SearchStrategy[Row]:
    note = st.text('ab,;|\t"\n 1', max_size=12)
    invoice = st.sampled_from(["1", "C1", " c2", "CA-3", ""])
    texts = [st.sampled_from(column) for column in (ids, IDS, QUANTITIES, dates)]
    whole = st.tuples(*texts, invoice, note).map(list)
    torn = st.lists(st.sampled_from(["a", "1", "b c"]), min_size=1, max_size=5)
    return st.one_of(whole, whole, whole, whole, torn)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    date_format = draw(st.sampled_from(list(DATES)))
    rows = draw(st.lists(rows_of(draw(st.sampled_from([IDS, FLOATS])), DATES[date_format]), max_size=25))
    given_settings: dict[str, Any] = {"date_format": date_format, "max_bad_rows": 1}
    given_settings["returns"] = draw(st.sampled_from(["drop", "net"]))
    given_settings["exclude_items"] = draw(st.sampled_from([[], ["7", "NA"]]))
    given_settings["max_quantity"] = draw(st.sampled_from([None, 2.5]))
    given_settings["min_item_customers"] = draw(st.sampled_from([None, 2]))
    return Table(rows, parse_spec(given_settings))


def day_of(text: str, date_format: str | None) -> int | None:
    match = re.match(PATTERNS[date_format] + r"(?=$|[ T])", text.strip())
    try:
        date = datetime.date(*(int(match[part]) for part in "ymd")) if match else None
    except ValueError:
        return None
    return (date - datetime.date(1970, 1, 1)).days if date else None


def number_of(text: str) -> float | None:
    number = float(text) if re.fullmatch(r"\s*[-+.e\d]+\s*", text) else math.nan
    return number if math.isfinite(number) else None


def is_id(text: str) -> bool:
    return 0 < len(text.strip().encode()) <= 256 and "\n" not in text.strip()


def is_cancelled(invoice: str) -> bool:
    return re.fullmatch(r"[Cc][0-9]+", invoice.strip()) is not None


def first_reason(row: Row, spec: Spec) -> str | None:
    if len(row) != len(NAMES):
        return "shape"
    quantity = number_of(row[2])
    tests = {
        "customer": not is_id(row[0]),
        "item": not is_id(row[1]),
        "quantity": quantity is None,
        "date": day_of(row[3], spec.date_format) is None,
        "return": spec.returns == "drop" and ((quantity or 0) <= 0 or is_cancelled(row[4])),
    }
    return next((reason for reason, refused in tests.items() if refused), None)


def expected(table: Table) -> tuple[list[Accepted], dict[str, int], int]:
    """Return the accepted rows, the counts of refused ones, and how many of them are bad: the rules, one by one."""
    rows, spec = table
    counts, bad = dict.fromkeys(REASONS, 0), 0
    accepted: list[Accepted] = []
    whole = [row for row in rows if len(row) == len(NAMES)]
    floats = [all(re.fullmatch(r"\d+\.0|", row[place].strip()) for row in whole) for place in (0, 1)]
    for row in rows:
        reason = first_reason(row, spec)
        if reason:
            counts[reason] += 1
            bad += reason in ("shape", "quantity", "date") or (reason in NAMED and bool(row[NAMED[reason]].strip()))
            continue
        ids = [text.strip().removesuffix(".0") if whole_ids else text.strip() for text, whole_ids in zip(row, floats)]  # noqa: B905
        quantity, day = number_of(row[2]), day_of(row[3], spec.date_format)
        assert quantity is not None and day is not None
        accepted.append((ids[0], ids[1], -abs(quantity) if is_cancelled(row[4]) else quantity, day))
    filters: dict[str, Callable[[Accepted], bool]] = {
        "exclude_items": lambda row: row[1] in spec.exclude_items,
        "max_quantity": lambda row: abs(row[2]) > (spec.max_quantity or math.inf),
        "min_item_customers": lambda row: len(buyers[row[1]]) < (spec.min_item_customers or 0),
    }
    for reason, refused in filters.items():
        buyers: dict[str, set[str]] = {row[1]: set() for row in accepted}
        for customer, item, bought, _ in accepted:
            buyers[item] |= {customer} if bought > 0 else set()
        kept = [row for row in accepted if not refused(row)]
        counts[reason] = len(accepted) - len(kept)
        accepted = kept
    return accepted, counts, bad


NAMED = {"customer": 0, "item": 1}


def write(path: Path, rows: list[Row], delimiter: str = ",", **dialect: Any) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=delimiter, **dialect).writerows([list(NAMES), *rows])
    return path


def told(purchases: Purchases) -> list[Accepted]:
    assert purchases.customer_ids == sorted({purchases.customer_ids[place] for place in purchases.customers})
    assert purchases.item_ids == sorted({purchases.item_ids[place] for place in purchases.items})
    columns = (purchases.customers, purchases.items, purchases.quantities.tolist(), purchases.days.tolist())
    return [
        (purchases.customer_ids[customer], purchases.item_ids[item], quantity, day)
        for customer, item, quantity, day in zip(*columns, strict=True)
    ]


def read(files: list[Path], spec: Spec) -> tuple[list[Accepted], Refusals] | None:
    """Return what is accepted and refused, or None where nothing is left."""
    try:
        purchases, refusals = read_purchases(files, spec, lambda text: None)
    except DataError as error:
        assert re.match(r"none of the \d+ rows is left|.* has no rows", str(error))
        return None
    return told(purchases), refusals


def check(table: Table, files: list[Path]) -> None:
    accepted, counts, bad = expected(table)
    result = read(files, table.spec)
    assert (result is None) == (not accepted)
    if result:
        assert result[0] == accepted
        assert (result[1].counts, result[1].bad, result[1].rows) == (counts, bad, len(table.rows))


DIALECTS = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",|\t;"),
        "lineterminator": st.sampled_from(["\n", "\r\n"]),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    }
)


@settings(deadline=None, max_examples=200)
@given(tables(), DIALECTS)
def test_any_csv_table_is_read_by_the_rules(table: Table, dialect: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(table, [write(Path(folder, "a.csv"), table.rows, **dialect)])


@settings(deadline=None)
@given(tables(), st.integers(1, 4))
def test_several_files_are_one_input(table: Table, parts: int) -> None:
    size = -(-len(table.rows) // parts) or 1
    with tempfile.TemporaryDirectory() as folder:
        check(
            table,
            [
                write(Path(folder, f"{part}.csv"), table.rows[part * size : (part + 1) * size], delimiter=",|\t;"[part])
                for part in range(parts)
            ],
        )


@settings(deadline=None)
@given(tables())
def test_parquet_of_the_same_texts_is_the_same_input(table: Table) -> None:
    table = Table([row for row in table.rows if len(row) == len(NAMES)], table.spec)
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(NAMES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.parquet")
        pq.write_table(pa.table([pa.array(column, pa.string()) for column in columns], names=list(NAMES)), path)
        check(table, [path])


@settings(deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_purchase(table: Table, rng: random.Random) -> None:
    shuffled = rng.sample(table.rows, len(table.rows))
    with tempfile.TemporaryDirectory() as folder:
        first = read([write(Path(folder, "a.csv"), table.rows)], table.spec)
        second = read([write(Path(folder, "b.csv"), shuffled)], table.spec)
    assert (first is None) == (second is None)
    if first and second:
        assert sorted(first[0]) == sorted(second[0])
        assert first[1].counts == second[1].counts


@pytest.mark.parametrize("seed", range(3))
def test_a_table_of_many_blocks_is_read_by_the_rules(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)

    def row() -> Row:
        if rng.random() < 0.01:
            return ["torn", "row"]
        note = rng.choice(["", "two\nlines", "a,b", 'say "x"', "é" * 50, "\r\n"])
        quantity = rng.choice(QUANTITIES) if rng.random() < 0.1 else str(rng.randrange(1, 9))
        return [str(rng.randrange(3000)), rng.choice(IDS), quantity, f"2010-12-{rng.randrange(1, 33):02}", "1", note]

    table = Table([row() for _ in range(40_000)], parse_spec({"max_bad_rows": 1, "min_item_customers": 2}))
    check(table, [write(tmp_path / "a.csv", table.rows, lineterminator="\r\n")])
