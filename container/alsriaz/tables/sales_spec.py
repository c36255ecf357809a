"""The part of a training run's spec that reading sales files needs."""

from collections.abc import Mapping
from typing import Protocol


class SalesSpec(Protocol):
    """Settings that reading and cleaning obey; their meaning stands in docs/settings.md.

    Attributes:
        returns: ``drop`` or ``net``.
        exclude_items: ids of items that are no products, spelled as they stand in Purchases.
        min_item_customers: items with fewer distinct customers are refused.
        max_quantity: rows whose quantity is larger, either way, are refused.
        delimiter: one character, or None to detect it.
        columns: which column is the customer, item, quantity, date, price, invoice or description: a header's name, or
            a number from 1.
        date_format: ``yyyymmdd``, ``iso``, ``d/m/yyyy`` or ``m/d/yyyy``, or None to decide by the data.
        max_bad_rows: share of bad rows, from 0 to 1, above which reading fails.
    """

    @property
    def returns(self) -> str: ...  # noqa: D102
    @property
    def exclude_items(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def min_item_customers(self) -> int | None: ...  # noqa: D102
    @property
    def max_quantity(self) -> float | None: ...  # noqa: D102
    @property
    def delimiter(self) -> str | None: ...  # noqa: D102
    @property
    def columns(self) -> Mapping[str, str | int]: ...  # noqa: D102
    @property
    def date_format(self) -> str | None: ...  # noqa: D102
    @property
    def max_bad_rows(self) -> float: ...  # noqa: D102
