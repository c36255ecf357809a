"""What train left in its files, as tables: rows read and refused, the model, and how well it foretells."""

import csv
import json
from typing import Any

from alsriaz.model.folder import Model
from alsriaz.platform.layout import Layout
from local_test.tables import table

REASONS = {
    "shape": "not a row like the others",
    "customer": "no customer",
    "item": "no item",
    "quantity": "the quantity is no number",
    "date": "the date can't be read",
    "return": "returned, cancelled or quantity 0",
    "exclude_items": "not a product, says the spec",
    "max_quantity": "more at once than the spec allows",
    "min_item_customers": "too few customers bought the item",
}
MEASURED = {
    "model": "the model",
    "popular": "most popular",
    "model_new": "the model, items new to the customer",
    "popular_new": "most popular, items new to the customer",
}


def rows_table(layout: Layout, model: Model) -> str:
    """Return how many rows were read, accepted, and refused for which reason, with an example of each."""
    counts = model.manifest.values["counts"]
    refused = {reason: rows for reason, rows in counts["rows_refused"].items() if rows}
    examples = first_rejected(layout)
    rows: list[list[object]] = [
        ["read", counts["rows_read"], ""],
        ["accepted", counts["rows_read"] - sum(refused.values()), ""],
    ]
    rows += [
        [f"refused: {REASONS.get(reason, reason)}", count, examples.get(reason, "")]
        for reason, count in refused.items()
    ]
    lead = "Beside each refusal its first row: customer, item, quantity, date.\n" if refused else ""
    return lead + table(["rows", "number", "the first one"], rows)


def first_rejected(layout: Layout) -> dict[str, str]:
    """Return the first sample in rejected.csv of each reason, on one line."""
    with (layout.output_data / "rejected.csv").open(encoding="utf-8", newline="") as stream:
        samples = list(csv.DictReader(stream))
    parts = ("customer", "item", "quantity", "date")
    return {
        sample["reason"]: sample["line"] or ", ".join(sample[part] or "-" for part in parts)
        for sample in reversed(samples)
    }


def model_table(layout: Layout, model: Model) -> str:
    """Return what the model holds and how it was made."""
    values, spec = model.manifest.values, model.spec
    counts, dates = values["counts"], values["dates"]
    size = sum(file["bytes"] for file in model.manifest.files.values())
    rows: list[list[object]] = [
        ["model", model.manifest.short_hash],
        ["learnt from", f"{counts['purchases']:,} purchases, {dates['first_day']} to {dates['last_day']}"],
        ["customers x items", f"{counts['customers']:,} x {counts['items']:,}, {counts['pairs']:,} pairs"],
        ["ALS", f"{spec.feedback}, rank {spec.als_rank}, {spec.max_itter} iterations, regParam {spec.reg_param}"],
        ["rated by", spec.ranking_type],
        ["size", f"{size / 1e6:.2f} MB in {len(model.manifest.files)} files"],
        ["recommended", f"{recommendations(layout):,} lines in output.csv, {spec.reco_item} for each customer"],
    ]
    return table(["", ""], rows)


def recommendations(layout: Layout) -> int:
    """Return how many recommendations stand in output.csv."""
    with (layout.output_data / "output.csv").open(encoding="utf-8", newline="") as stream:
        return sum(1 for _ in csv.reader(stream)) - 1


def evaluation_table(layout: Layout) -> str:
    """Return how well a model of the earlier days foretold the last ones, or why that was not measured."""
    found: dict[str, Any] = json.loads((layout.output_data / "evaluation.json").read_text(encoding="utf-8"))
    if "skipped" in found:
        return f"Not measured: {found['skipped']}."
    days = found["holdout"]
    rows: list[list[object]] = [
        [MEASURED.get(name, name), measures["ndcg"], measures["precision"], measures["recall"], measures["customers"]]
        for name, measures in found["measures"].items()
    ]
    return (
        f"Fitted without the days {days['first_day']} to {days['last_day']}, then asked what would be bought in them.\n"
        + table(["10 recommendations", "NDCG", "precision", "recall", "customers"], rows)
    )
