"""train with rules.json and the channel `items`: what can't be kept fails before anything is fitted."""

from pathlib import Path
from typing import Any

import pytest

from alsriaz.model.folder import open_model
from alsriaz.rules.rows import read_rules_file
from tests.train_process import as_csv, lay_out, rows_of, train, trained

pytestmark = pytest.mark.spark

SPEC = {"als_rank": 2, "max_itter": 2, "reco_item": 3, "holdout_days": 0}
SALES = [(f"c{n % 5}", f"i{n % 7}", 1 + n % 3, f"2011-01-{1 + n % 28:02}") for n in range(60)]
ITEMS = "id,department,price\n" + "".join(f"i{n},{'fruit' if n % 2 else 'dairy'},{n}\n" for n in range(9))


def laid_out(root: Path, rules: Any, items: str | None = ITEMS) -> Path:
    lay_out(root, {"sales.csv": as_csv(SALES)}, SPEC, rules)
    if items is not None:
        (root / "input" / "data" / "items").mkdir()
        (root / "input" / "data" / "items" / "items.csv").write_text(items, encoding="utf-8")
    return root


REFUSED: list[tuple[Any, str | None, str, str]] = [
    (
        {"include": {"where": {"departement": "fruit"}}},
        ITEMS,
        "rules.json: include.where.departement names 'departement', which is no attribute of the items, "
        "did you mean 'department'? Known are 'department', 'price'.",
        "an attribute misspelt",
    ),
    (
        {"at_most": {"department": 2}},
        None,
        "rules.json: at_most.department names the attribute 'department', but the model knows nothing about its items: "
        "give the training job a channel 'items' with a table of them.",
        "no table of items",
    ),
    (
        {"boost": {"where": {"department": {"above": 3}}, "by": 2}},
        ITEMS,
        "rules.json: boost.where.department.above asks for numbers, but 'department' holds text",
        "bounds on text",
    ),
    (
        {"include": {"customers": ["c1", {"customer": "x", "history": [{"item": "i1", "quantity": 0}]}]}},
        ITEMS,
        "rules.json: include.customers[1]: history[0].quantity is 0, expected a number above 0",
        "a basket that can't be read",
    ),
]


@pytest.mark.parametrize(("rules", "items", "words", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_rules_that_can_not_be_kept_fail_before_the_fit(
    tmp_path: Path, rules: Any, items: str | None, words: str, why: str
) -> None:
    result = train(laid_out(tmp_path / "ml", rules, items))
    assert result.status == 1
    assert result.failure.startswith(words)
    assert "fitting" not in result.stderr
    assert not list(result.model.glob("*"))


def test_rules_on_attributes_and_customers_shape_output_csv_and_travel_with_the_model(tmp_path: Path) -> None:
    rules = {
        "include": {
            "where": {"department": "fruit"},
            "only_customers": ["c1", "c3"],
            "customers": ["new", {"customer": "basket", "history": ["i1", "i3"]}],
        },
        "exclude": {"where": {"price": {"above": 4}}},
        "at_most": {"department": 1},
    }
    run = trained(laid_out(tmp_path / "ml", rules))
    rows = rows_of(run.output)
    assert [row["customer"] for row in rows] == ["c1", "c3", "new", "basket"], "one fruit each"
    assert {row["item"] for row in rows} <= {"i1", "i3"}
    assert [row["reason"] for row in rows] == ["model", "model", "popular", "model"]
    assert "4 recommendations for 4 customers are in" in run.stderr
    assert read_rules_file(open_model(run.model).standing) == read_rules_file(rules)


def test_a_value_that_no_item_has_is_told_before_the_fit_and_so_is_an_empty_output(tmp_path: Path) -> None:
    run = trained(laid_out(tmp_path / "ml", {"include": {"where": {"department": "Fruit"}}}))
    lines = run.stderr.splitlines()
    told = [number for number, line in enumerate(lines) if "warning: " in line]
    fitting = next(number for number, line in enumerate(lines) if "fitting " in line)
    assert lines[told[0]].endswith("warning: rules.json: No item has 'department Fruit' as a condition asks.")
    assert told[0] < fitting < told[1]
    assert lines[told[1]].endswith("there are no recommendations: rules.json lets no item, or no customer, through.")
    assert rows_of(run.output) == []
