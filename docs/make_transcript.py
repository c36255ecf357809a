"""Writes the transcript in docs/http-api.md: trains on real groceries, serves the model, and asks it.

    PYTHONPATH=container:. python docs/make_transcript.py

Run it after a change that changes these answers; a test does the same and compares.
"""

import csv
import io
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq

from local_test.groceries import NOT_GOODS, describe, find_data, read_groceries
from tests.serving.serving_process import HttpServer, running_server
from tests.train_process import lay_out, trained

PAGE = Path(__file__).with_name("http-api.md")
BEGIN, END = "<!-- transcript, by docs/make_transcript.py -->\n", "<!-- end of the transcript -->\n"
HOUSEHOLDS = 500
SPEC = {"als_rank": 16, "max_itter": 10, "min_item_customers": 20, "holdout_days": 0}


class Asked(NamedTuple):
    """A question of the transcript.

    Attributes:
        says: what it asks, for a reader.
        request: the body.
        shown: the field of the answer whose entries are shown.
    """

    says: str
    request: dict[str, Any]
    shown: str


QUESTIONS = (
    Asked(
        "What will household 208 buy that it has not bought yet, of department GROCERY and below 2 dollars?",
        {
            "customer": "208",
            "k": 5,
            "include": {"where": {"department": "GROCERY", "price": {"below": 2}}},
            "exclude": {"purchased": True},
            "show": ["description", "price"],
        },
        "recommendations",
    ),
    Asked(
        "What will it buy at all, with no more than two items of one department?",
        {"customer": "208", "k": 6, "at_most": {"department": 2}, "show": ["description", "department"]},
        "recommendations",
    ),
    Asked(
        "Which households are most likely to buy strawberries, of those that never did?",
        {"task": "audience", "item": "1127831", "k": 5, "exclude": {"purchased": True}},
        "audience",
    ),
    Asked(
        "Why would household 208 buy eggs? The three purchases that say most for it:",
        {"task": "explain", "customer": "208", "item": "840361", "k": 3, "show": ["description"]},
        "contributions",
    ),
)


def lay_out_groceries(root: Path) -> None:
    """Lay out a tree of /opt/ml: the purchases of some households, and all products as the channel `items`."""
    sales, _ = read_groceries(find_data())
    sales = sales.filter(pc.less_equal(pc.cast(sales["customer"], "int64"), HOUSEHOLDS))
    columns = [sales[name].to_pylist() for name in ("customer", "item", "quantity", "date")]
    lay_out(root, {"sales.csv": _csv(("customer", "item", "quantity", "date"), zip(*columns, strict=True))}, SPEC)
    items = root / "input" / "data" / "items"
    items.mkdir()
    (items / "products.csv").write_bytes(products())


def products() -> bytes:
    """Return the products as CSV: id, description, department, brand, and as price the median paid for a piece."""
    table = pq.read_table(find_data() / "products.parquet").combine_chunks()
    table = table.filter(pc.invert(pc.is_in(table["product_category"], pc.cast(list(NOT_GOODS), "string"))))
    prices = _prices()
    rows = zip(
        table["product_id"].to_pylist(),
        describe(table).to_pylist(),
        table["department"].to_pylist(),
        table["brand"].to_pylist(),
        strict=True,
    )
    return _csv(
        ("item", "description", "department", "brand", "price"),
        ((item, description, department, brand, prices.get(item)) for item, description, department, brand in rows),
    )


def _prices() -> dict[int, str]:
    bought = pq.read_table(find_data() / "transactions.parquet", columns=["product_id", "quantity", "sales_value"])
    bought = bought.filter(pc.and_(pc.greater(bought["quantity"], 0), pc.greater(bought["sales_value"], 0)))
    paid: dict[int, list[float]] = {}
    each = pc.divide(bought["sales_value"], bought["quantity"])
    for item, price in zip(bought["product_id"].to_pylist(), each.to_pylist(), strict=True):
        paid.setdefault(item, []).append(price)
    return {item: f"{statistics.median(prices):.2f}" for item, prices in paid.items()}


def _csv(header: Sequence[str], rows: Any) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def ask(server: HttpServer) -> str:
    """Return the transcript of all questions to a server."""
    return "\n".join(_exchange(server, asked) for asked in QUESTIONS)


def _exchange(server: HttpServer, asked: Asked) -> str:
    body = json.dumps(asked.request)
    answer = server.request("POST", "/invocations", body, {"Content-Type": "application/json"}).json()
    lines = [json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in answer[asked.shown]]
    command = [
        "$ curl -s localhost:8080/invocations -H 'Content-Type: application/json' -d '",
        f"{body}' | jq -c '.{asked.shown}[]'",
    ]
    return "\n".join([asked.says, "```console", *command, *lines, "```", ""])


def transcript() -> str:
    """Train, serve and ask."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out_groceries(root)
        trained(root)
        with running_server({"ALSRIAZ_ML_ROOT": str(root), "ALSRIAZ_WORKERS": "1"}) as server:
            return ask(server)


def page_with(text: str) -> str:
    """Return docs/http-api.md with another transcript."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + text + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page_with(transcript()), encoding="utf-8")
