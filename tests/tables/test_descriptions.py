"""The description of each item, from the rows of all sales files."""

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.platform.spec import parse_spec
from alsriaz.tables import cleaning, descriptions
from alsriaz.tables.reading import read_purchases

HEADER = "customer,item,quantity,date,description\n"


def described(*files: Path, **settings: Any) -> dict[str, str] | None:
    purchases, _ = read_purchases(list(files), parse_spec(settings), lambda _: None)
    if purchases.descriptions is None:
        return None
    return dict(zip(purchases.item_ids, purchases.descriptions, strict=True))


def written(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def rows_of(*pairs: tuple[str, str]) -> str:
    return "".join(f'1,{item},1,2010-12-01,"{told}"\n' for item, told in pairs)


CASES: list[tuple[list[tuple[str, str]], dict[str, str] | None, str]] = [
    ([("a", "x"), ("a", "y"), ("a", "y"), ("b", "x")], {"a": "y", "b": "x"}, "what most rows say"),
    ([("a", "é"), ("a", "b"), ("a", "Z")], {"a": "Z"}, "of equally frequent ones the first in code-point order"),
    ([("a", ""), ("a", " "), ("a", "x"), ("b", "")], {"a": "x", "b": ""}, "empty ones don't count"),
    ([("a", " x"), ("a", "x "), ("a", "y")], {"a": "x"}, "they are trimmed first"),
    ([("a", "x" * 1025), ("a", "é" * 513), ("b", "é" * 512)], {"a": "", "b": "é" * 512}, "too long to be one"),
    ([("a", "x\n1,2"), ("a", 'the ""best""')], {"a": 'the "best"'}, "quotes and line ends"),
    ([("a", ""), ("b", "")], None, "nothing is told"),
]


@pytest.mark.parametrize(("pairs", "expected", "why"), CASES, ids=[why for *_, why in CASES])
def test_an_item_is_called_what_most_of_its_rows_say(
    tmp_path: Path, pairs: list[tuple[str, str]], expected: dict[str, str] | None, why: str
) -> None:
    assert described(written(tmp_path, HEADER + rows_of(*pairs))) == expected


def test_only_accepted_rows_count(tmp_path: Path) -> None:
    text = HEADER + rows_of(("a", "x")) + ",a,1,2010-12-01,y\n" * 3 + "1,a,-1,2010-12-01,y\n1,a,99,2010-12-01,y\n" * 2
    assert described(written(tmp_path, text), max_quantity=9) == {"a": "x"}


def test_files_with_and_without_descriptions_are_one_input(tmp_path: Path) -> None:
    first = written(tmp_path, "1|a|1|2010-12-01\n" * 3, "a.csv")
    second = written(tmp_path, HEADER + rows_of(("a", "x"), ("b", "y"), ("a", "z"), ("a", "z")), "b.csv.gz")
    third = written(tmp_path, "1|a|1|2010-12-01\n1|c|1|2010-12-01\n", "c.csv")
    columns = {"customer": ["1"] * 3, "item": ["a"] * 3, "qty": [1] * 3, "date": ["2010-12-01"] * 3}
    pq.write_table(
        pa.table(columns | {"description": pa.array(["x", None, "x"]).dictionary_encode()}), tmp_path / "d.parquet"
    )
    expected = {"a": "x", "b": "y", "c": ""}
    assert described(first, second, third, tmp_path / "d.parquet") == expected
    assert described(tmp_path / "d.parquet", third, second, first) == expected
    assert described(first, third) is None


@pytest.mark.parametrize(
    ("column", "why"),
    [(pa.array([["x"]]), "a list"), (pa.array([7]), "a number"), (pa.array([b"\xff"]), "bytes")],
    ids=["a list", "a number", "bytes"],
)
def test_a_parquet_column_that_is_no_text_is_no_description(tmp_path: Path, column: Any, why: str) -> None:
    columns = {"customer": ["1"], "item": ["a"], "qty": [1], "date": ["2010-12-01"], "description": column}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert described(tmp_path / "a.parquet") is None


def test_two_parquet_columns_named_description_are_none(tmp_path: Path) -> None:
    arrays = [pa.array([value]) for value in ("1", "a", "1", "2010-12-01", "x", "y")]
    names = ["customer", "item", "qty", "date", "description", "description"]
    pq.write_table(pa.Table.from_arrays(arrays, names=names), tmp_path / "a.parquet")
    assert described(tmp_path / "a.parquet") is None


def test_texts_that_differ_in_every_row_are_no_descriptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "MOST_DESCRIPTIONS", 3)
    monkeypatch.setattr(descriptions, "MOST_DESCRIPTIONS", 3)
    three = written(tmp_path, HEADER + rows_of(("a", "1"), ("a", "2"), ("a", "3"), ("a", "")), "a.csv")
    assert described(three) == {"a": "1"}
    other = written(tmp_path, HEADER + rows_of(("a", "3"), ("a", "4")), "b.csv")
    assert described(three, other) is None, "of all files together, so that how they are split makes no difference"
    four = written(tmp_path, HEADER + rows_of(("a", "1"), ("a", "2"), ("a", "3"), ("a", "4"), ("b", "1")), "c.csv")
    assert described(four) is None
    assert described(four, three) is None


items_told = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["", "x", "y", "é", "Z"])), min_size=1, max_size=30
)


@given(items_told, st.integers(0, 30), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_their_files_matter(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], cut: int, random: Any
) -> None:
    folder = tmp_path_factory.mktemp("sales")
    expected: dict[str, str] = {}
    for item in {item for item, _ in pairs}:
        told = [text for other, text in pairs if other == item and text]
        expected[item] = min(told, key=lambda text, told=told: (-told.count(text), text), default="")  # type: ignore[misc]
    shuffled = random.sample(pairs, len(pairs))
    halves = [shuffled[:cut], shuffled[cut:]]
    files = [written(folder, HEADER + rows_of(*half), f"{n}.csv") for n, half in enumerate(halves) if half]
    assert (described(*files) or dict.fromkeys(expected, "")) == expected
