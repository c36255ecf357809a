"""The files that a training run leaves beside its model, each complete or absent."""

import csv
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from alsriaz.errors import CallerError
from alsriaz.model.folder import Model
from alsriaz.platform.layout import Layout
from alsriaz.platform.progress import Progress
from alsriaz.tables.refusals import Refusals, RejectedRow
from alsriaz.training.customer_lists import customer_lists

OUTPUT_COLUMNS = ("customer", "place", "item", "score", "reason")


def check_writable(folders: Iterable[Path], layout: Layout) -> None:
    """Raise a CallerError where an output folder can't be written to: before hours of work, not after them."""
    for folder in folders:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if there.is_dir() and not os.access(there, os.W_OK | os.X_OK):
            raise CallerError(
                f"{layout.shown(folder)}/ can't be written to by user {os.geteuid()}: run as a user who may, or mount "
                "it writable."
            )


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """Open a text file for writing that appears under its name only once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_rejected(path: Path, refusals: Refusals) -> None:
    """Write the samples of refused rows, as RFC 4180 CSV."""
    with whole_file(path) as stream:
        writer = csv.writer(stream)
        writer.writerow(RejectedRow._fields)
        writer.writerows(refusals.samples)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object, readable."""
    with whole_file(path) as stream:
        stream.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_recommendations(path: Path, copy: Path, model: Model, progress: Progress) -> tuple[int, int]:
    """Write each customer's list under the standing rules; return how many customers and recommendations there are.

    One row each: RFC 4180 CSV with the columns of `OUTPUT_COLUMNS`, by customer position, customers whom the model
    doesn't know at the end in the rules' order, then by place. The score of an item that was never sold is empty.

    Raises:
        SpecError: a basket in the rules can't be used.
    """
    customers = written = 0
    with whole_file(path) as stream:
        writer = csv.writer(stream)
        writer.writerow(OUTPUT_COLUMNS)
        for customer, page in customer_lists(model, progress):
            rows = zip(page.ids, ("" if score is None else score for score in page.scores), page.reasons, strict=True)
            writer.writerows((customer, place, *row) for place, row in enumerate(rows, 1))
            customers, written = customers + 1, written + len(page.ids)
    with whole_file(copy) as stream, path.open(encoding="utf-8", newline="") as source:
        shutil.copyfileobj(source, stream, 1 << 20)
    return customers, written
