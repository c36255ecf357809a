"""The counts of the real data set, in both of its layouts."""

import csv
import gzip
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from alsriaz.platform.days import day_text
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.refusals import Refusals
from alsriaz.tables.sales import Purchases, read_purchases

pytestmark = pytest.mark.online_retail


def path(name: str) -> Path:
    return Path(os.environ["ALSRIAZ_ONLINE_RETAIL"], name)


@pytest.fixture(scope="module")
def whole() -> tuple[Purchases, Refusals]:
    return read_purchases([path("online_retail.csv.gz")], parse_spec({}), print)


def counts(refused: dict[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in refused.items() if count}


def test_the_whole_table_is_read_as_its_authors_describe_it(whole: tuple[Purchases, Refusals]) -> None:
    purchases, refusals = whole
    assert refusals.rows == 541_909 and refusals.bad == 0
    assert counts(refusals.counts) == {"customer": 135_080, "return": 8_905}
    assert len(purchases.customers) == 541_909 - 135_080 - 8_905
    assert (len(purchases.customer_ids), len(purchases.item_ids)) == (4_339, 3_665)
    assert purchases.customer_ids[:3] == ["12346", "12347", "12348"], "written 12346.0, 12347.0, 12348.0"
    assert [day_text(int(day)) for day in (purchases.days.min(), purchases.days.max())] == ["2010-12-01", "2011-12-09"]


def test_both_layouts_give_the_same_purchases(whole: tuple[Purchases, Refusals]) -> None:
    purchases, _ = whole
    pipe, refusals = read_purchases([path("online_retail_pipe.csv.gz")], parse_spec({}), print)
    assert refusals.rows == 406_829 and counts(refusals.counts) == {"return": 8_905}
    assert purchases.customer_ids == pipe.customer_ids and purchases.item_ids == pipe.item_ids
    for name in ("customers", "items", "quantities", "days"):
        assert np.array_equal(getattr(purchases, name), getattr(pipe, name)), name
    assert pipe.descriptions is None, "that layout has none"


def test_an_item_is_called_what_most_of_its_rows_say(whole: tuple[Purchases, Refusals]) -> None:
    purchases, _ = whole
    told: dict[str, Counter[str]] = defaultdict(Counter)
    with gzip.open(path("online_retail.csv.gz"), "rt", encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            accepted = row["CustomerID"] and int(row["Quantity"]) > 0 and not row["InvoiceNo"].startswith("C")
            if accepted and row["Description"].strip():
                told[row["StockCode"].strip()][row["Description"].strip()] += 1
    expected = [min(told[item], key=lambda text: (-told[item][text], text)) for item in purchases.item_ids]
    assert purchases.descriptions == expected
    assert purchases.descriptions[purchases.item_ids.index("22423")] == "REGENCY CAKESTAND 3 TIER"
    assert sum(len(texts) > 1 for texts in told.values()) > 200, "many items have several"


def test_netting_keeps_the_returns() -> None:
    purchases, refusals = read_purchases([path("online_retail.csv.gz")], parse_spec({"returns": "net"}), print)
    assert counts(refusals.counts) == {"customer": 135_080}
    assert np.count_nonzero(purchases.quantities <= 0) == 8_905


def test_the_specs_filters_are_counted() -> None:
    spec = parse_spec({"exclude_items": ["POST", "M"], "max_quantity": 10_000, "min_item_customers": 10})
    purchases, refusals = read_purchases([path("online_retail.csv.gz")], spec, print)
    assert refusals.counts["max_quantity"] == 3, "74,215, 12,540 and 80,995 pieces"
    assert not {"POST", "M"} & set(purchases.item_ids)
    pairs = set(zip(purchases.items.tolist(), purchases.customers.tolist(), strict=True))
    assert min(np.bincount([item for item, _ in pairs])) >= 10
