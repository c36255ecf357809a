"""A line about each item, for the tables alone, from the sales files that have a column for it."""

import gzip
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from alsriaz.training.sales.columns import ALIASES, plain

DELIMITERS = ",;|\t"
FIRST_LINE = 1 << 16


def read_descriptions(files: Iterable[Path]) -> dict[str, str]:
    """Return the description of each item, by id: where rows differ the most frequent one, ties by code point.

    Files without such a column, and files that can't be read in this simple way, add nothing.
    """
    tables = [found for file in files if (found := _item_and_description(file)) is not None]
    if not tables:
        return {}
    rows = pa.concat_tables(tables)
    trimmed = [pc.utf8_trim_whitespace(rows[name]) for name in rows.column_names]
    rows = pa.table(trimmed, names=rows.column_names).drop_null()
    counted = rows.group_by(["item", "description"]).aggregate([([], "count_all")])
    ordered = counted.sort_by([("count_all", "ascending"), ("description", "descending")])
    return dict(zip(ordered["item"].to_pylist(), ordered["description"].to_pylist(), strict=True))  # the last one stays


def _item_and_description(file: Path) -> pa.Table | None:
    """Return both columns of one file as text, or None."""
    try:
        if file.name.lower().endswith(".parquet"):
            places = _places(pq.read_schema(file).names)
            rows = pq.read_table(file, columns=list(places.values())) if places else None
        else:
            rows, places = _from_csv(file)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, EOFError):
        return None
    if rows is None:
        return None
    text = [rows[name].cast(pa.string(), safe=False) for name in places.values()]
    return pa.table(text, names=list(places))


def _from_csv(file: Path) -> tuple[pa.Table | None, dict[str, str]]:
    header = _first_line(file)
    delimiter = max(DELIMITERS, key=header.count)
    places = _places([name.strip('"') for name in header.split(delimiter)])
    if not places:
        return None, {}
    try:
        return _read_csv(file, delimiter, list(places.values()), "utf8"), places
    except pa.ArrowInvalid:
        return _read_csv(file, delimiter, list(places.values()), "latin1"), places


def _read_csv(file: Path, delimiter: str, columns: list[str], encoding: str) -> pa.Table:
    return pa.csv.read_csv(
        file,
        read_options=pa.csv.ReadOptions(encoding=encoding),
        parse_options=pa.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=lambda _row: "skip"),
        convert_options=pa.csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
        ),
    )


def _first_line(file: Path) -> str:
    with gzip.open(file) if file.name.lower().endswith(".gz") else file.open("rb") as stream:
        return stream.readline(FIRST_LINE).decode("utf-8-sig", errors="replace").rstrip("\r\n")


def _places(names: list[str]) -> dict[str, str]:
    """Return the file's own names for the item and its description, or nothing where either is missing or unclear."""
    found = {role: [name for name in names if plain(name) in ALIASES[role]] for role in ("item", "description")}
    return {role: named[0] for role, named in found.items()} if all(len(named) == 1 for named in found.values()) else {}
