"""Which rows were refused, why, and what they looked like."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from alsriaz.errors import DataError

REASONS: Final = (
    "shape",
    "customer",
    "item",
    "quantity",
    "date",
    "return",
    "exclude_items",
    "max_quantity",
    "min_item_customers",
)
SAMPLES: Final = 100
"""Rows of each reason in rejected.csv: what is wrong shows in the first few."""
SHOWN_CHARACTERS: Final = 200


class RejectedRow(NamedTuple):
    """One refused row, for rejected.csv.

    The texts are the file's own, each cut to 200 characters. For the spec's own filters (exclude_items, max_quantity,
    min_item_customers), which are applied when all is read, they are what was understood: trimmed ids, the quantity as
    a number (negative where the invoice is cancelled), the date without its time of day.

    Attributes:
        file: the file's path below the folder that holds all files given.
        row: the record's number in its file. A header is row 1, and where there is none, as in Parquet, the first row
            of data is; empty lines aren't counted.
        reason: one of REASONS.
        line: the row itself where its shape is the reason, else empty. A line that was replaced shows its beginning.
    """

    file: str
    row: int
    reason: str
    customer: str = ""
    item: str = ""
    quantity: str = ""
    date: str = ""
    line: str = ""

    def __str__(self) -> str:
        texts = (self.customer, self.item, self.quantity, self.date)
        shown = repr(self.line) if self.reason == "shape" else ", ".join(map(repr, texts))
        return f"{self.file} row {self.row}: {shown}"


def _no_counts() -> dict[str, int]:
    return dict.fromkeys(REASONS, 0)


@dataclass
class Refusals:
    """Counts and samples of refused rows; a row counts once, by its first reason in the order of REASONS.

    Attributes:
        rows: rows read in all, accepted or not; headers and empty lines aren't rows.
        counts: refused rows by reason; holds every reason, in order.
        bad_counts: how many of them can't be read (shape, quantity, date, an id over the limit), by reason.
        samples: the first refused rows, up to 100 of each reason.
    """

    rows: int = 0
    counts: dict[str, int] = field(default_factory=_no_counts)
    bad_counts: dict[str, int] = field(default_factory=_no_counts)
    samples: list[RejectedRow] = field(default_factory=list)
    _sampled: dict[str, int] = field(default_factory=_no_counts, repr=False)

    @property
    def bad(self) -> int:
        """How many refused rows can't be read: the number that `max_bad_rows` limits."""
        return sum(self.bad_counts.values())

    def count(self, reason: str, rows: int = 1, bad: int = 0) -> None:
        """Count so many refused rows, so many of them bad."""
        self.counts[reason] += rows
        self.bad_counts[reason] += bad

    def wanted(self, reason: str) -> int:
        """Return how many more samples of `reason` there is room for."""
        return SAMPLES - self._sampled[reason]

    def sample(self, row: RejectedRow) -> None:
        """Keep `row` as a sample, its texts cut, if there is room for it."""
        if not self.wanted(row.reason):
            return
        self._sampled[row.reason] += 1
        self.samples.append(RejectedRow(row.file, row.row, row.reason, *(text[:SHOWN_CHARACTERS] for text in row[3:])))

    def add(self, other: "Refusals") -> None:
        """Add the counts of another file, and its samples where there is room."""
        self.rows += other.rows
        for reason, rows in other.counts.items():
            self.count(reason, rows, other.bad_counts[reason])
        for row in other.samples:
            self.sample(row)

    def refuse_too_many_bad(self, most: float) -> None:
        """Raise a DataError where more than the share `most` of all rows is bad."""
        if self.bad <= most * self.rows:
            return
        commonest = max(REASONS, key=self.bad_counts.__getitem__)
        example = next((f" First of {commonest}: {row}." for row in self.samples if row.reason == commonest), "")
        raise DataError(
            f"{self.bad:,} of {self.rows:,} rows are bad ({_told(self.bad_counts)}), more than max_bad_rows = {most:g} "
            f"allows.{example} Mend the file, or what is said about it (the settings columns, delimiter, date_format); "
            "or raise max_bad_rows"
        )

    def refuse_nothing_left(self) -> None:
        """Raise the DataError of an input none of whose rows was accepted."""
        hint = " A return is a row with a quantity of 0 or less, or with an invoice that begins with C."
        raise DataError(
            f"none of the {self.rows:,} rows is left: refused were {_told(self.counts)}."
            f"{hint if self.counts['return'] else ''}"
        )


def _told(counts: Mapping[str, int]) -> str:
    """Return counts as words, the largest first: ``12 date, 3 shape``."""
    largest_first = sorted(counts, key=lambda reason: -counts[reason])
    return ", ".join(f"{counts[reason]:,} {reason}" for reason in largest_first if counts[reason])
