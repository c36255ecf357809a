import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alsriaz.errors import ModelError
from alsriaz.model.conditions import parse_where
from alsriaz.model.folder import open_model, verify_model
from tests.small_models import SmallModel, cut, flip, shop

DOCS = Path(__file__).resolve().parents[2] / "docs" / "artifact.md"


def described(**changes: Any) -> SmallModel:
    """Return the shop with two attributes, and two items that were never sold."""
    values: dict[str, Any] = {
        "attributes": {
            "Abteilung": ["Obst", "Brot", None, "Obst", "Kühlung", "Obst", "Brot", None],
            "price": [1.5, 2, 2, None, 4, 1.5, None, 7],
        },
        "unsold": ["zucchini", "éclair"],
    }
    return shop(**(values | changes))


def test_attributes_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    model = described().write(tmp_path / "model")
    assert verify_model(tmp_path / "model") == model.manifest
    assert len(model.attributes) == 8
    assert model.attributes.names == ("Abteilung", "price")
    assert [model.unsold_ids.id_at(place) for place in range(2)] == ["zucchini", "éclair"]
    shown = [model.attributes.shown(position, ["Abteilung", "price"]) for position in (4, 3, 7)]
    assert shown == [
        {"Abteilung": "Kühlung", "price": 4},
        {"Abteilung": "Obst", "price": None},
        {"Abteilung": None, "price": 7},
    ]
    where = parse_where({"Abteilung": ["Obst", "Brot"], "price": {"to": 2}}, "where")
    assert np.flatnonzero(model.attributes.mask(where, "where")).tolist() == [0, 1, 5]
    assert model.attributes.absent(parse_where({"price": [2, 3]}, "where")) == [("price", "3")]


def test_the_codes_are_mapped(tmp_path: Path) -> None:
    codes = described().write(tmp_path / "model").attributes.groups("price", "price")
    assert isinstance(codes.base, np.memmap)


def test_a_model_without_attributes_has_no_files_of_them(tmp_path: Path) -> None:
    model = shop().write(tmp_path / "model")
    assert not [name for name in model.manifest.files if "attribute" in name or "unsold" in name]
    assert (len(model.attributes), len(model.unsold_ids), model.item_table) == (6, 0, None)


ONE_KIND: list[tuple[dict[str, Any], int, str]] = [
    ({"attributes": {}}, 8, "ids of items that were never sold, and nothing more"),
    ({"unsold": (), "attributes": {"a": [None] * 6}}, 6, "an attribute that no item has"),
    ({"unsold": (), "attributes": {"a": ["x"] * 6}}, 6, "no item that was never sold"),
]


@pytest.mark.parametrize(("changes", "n_rows", "why"), ONE_KIND, ids=[why for *_, why in ONE_KIND])
def test_an_item_table_may_hold_little(tmp_path: Path, changes: dict[str, Any], n_rows: int, why: str) -> None:
    model = described(**changes).write(tmp_path / "model")
    verify_model(tmp_path / "model")
    assert model.item_table is not None
    assert len(model.attributes) == n_rows


def test_the_same_attributes_give_the_same_files_and_others_do_not(tmp_path: Path) -> None:
    other = {"attributes": {"Abteilung": ["Obst"] * 8}}
    models = [described(), described(), described(**other), shop()]
    hashes = [model.write(tmp_path / str(number)).manifest.short_hash for number, model in enumerate(models)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_a_new_model_without_attributes_leaves_none_of_the_old_ones(tmp_path: Path) -> None:
    described().write(tmp_path / "model")
    shop().write(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        *verify_model(tmp_path / "model").files,
        "manifest.json",
    }
    assert not (tmp_path / "model" / "attributes.json").exists()


FILES = [
    "attributes.json",
    "attribute_0_codes.npy",
    "attribute_0_text.npy",
    "attribute_0_offsets.npy",
    "attribute_1_codes.npy",
    "attribute_1_numbers.npy",
    "unsold_item_id_text.npy",
    "unsold_item_id_offsets.npy",
]
HARMS: list[tuple[Callable[[Path], object], str]] = [
    (flip, "is damaged: its sha256 is not"),
    (cut, "it was cut or replaced"),
    (Path.unlink, "is missing"),
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("harm", "words"), HARMS, ids=["flipped", "cut", "gone"])
def test_harm_to_any_file_is_found(tmp_path: Path, name: str, harm: Callable[[Path], object], words: str) -> None:
    described().write(tmp_path / "model")
    harm(tmp_path / "model" / name)
    with pytest.raises(ModelError) as caught:
        verify_model(tmp_path / "model")
    assert f"file {name} " in str(caught.value)
    assert words in str(caught.value)


def of(*values: object, dtype: str) -> np.ndarray[Any, Any]:
    return np.array(values, dtype=dtype)


CODES = (0, 1, 1, -1, 2, 0, -1, 3)
MISFITS = [
    ("attribute_1_codes", of(*CODES[:-1], dtype="<i4"), "has shape (7,), expected (8,)", "too few items"),
    ("attribute_1_codes", of(*CODES[:-1], 4, dtype="<i4"), "has codes from -1 to 4, expected -1 to 3", "no such value"),
    ("attribute_1_codes", of(*CODES[:-1], -2, dtype="<i4"), "has codes from -2 to 2, expected -1 to 3", "below none"),
    ("attribute_1_codes", of(*CODES, dtype="<i8"), "holds int64, expected int32", "another type"),
    ("attribute_1_codes", of([1], [2], dtype="<i4"), "has 2 dimensions, expected 1", "another shape"),
    ("attribute_1_numbers", of(1.5, 2, 7, 4, dtype="<f8"), "doesn't hold finite numbers, ascending", "in no order"),
    ("attribute_1_numbers", of(1.5, 2, 4, np.nan, dtype="<f8"), "doesn't hold finite numbers, ascending", "no number"),
    ("attribute_1_numbers", of(1.5, 2, 4, dtype="<f8"), "has codes from -1 to 3, expected -1 to 2", "too few values"),
    ("attribute_0_offsets", of(0, 4, 12, 99, dtype="<i8"), "doesn't cut the 16 bytes of attribute_0_text", "beyond"),
    ("attribute_0_offsets", of(0, 12, 4, 16, dtype="<i8"), "doesn't cut the 16 bytes", "backwards"),
    ("attribute_0_offsets", of(dtype="<i8"), "doesn't cut the 16 bytes", "nothing"),
    ("unsold_item_id_offsets", of(1, 8, 15, dtype="<i8"), "doesn't cut the 15 bytes", "not from the beginning"),
    ("unsold_item_id_offsets", of(0, 15, dtype="<i8"), "attribute_0_codes has shape (8,), expected (7,)", "one id"),
]


@pytest.mark.parametrize(("name", "array", "words"), [row[:3] for row in MISFITS], ids=[row[-1] for row in MISFITS])
def test_arrays_that_do_not_fit_together_are_refused(
    tmp_path: Path, name: str, array: np.ndarray[Any, Any], words: str
) -> None:
    described().write(tmp_path / "model")
    np.save(tmp_path / "model" / f"{name}.npy", array)
    with pytest.raises(ModelError) as caught:
        open_model(tmp_path / "model")
    assert str(caught.value).startswith("The model's attributes don't fit together: ")
    assert words in str(caught.value)


CHANGED: list[tuple[object, str, str]] = [
    ([], "attributes.json holds [], expected a JSON object", "no object"),
    ({}, "doesn't tell its attributes", "nothing"),
    ({"columns": ["price"]}, "doesn't tell its attributes", "a name alone"),
    ({"columns": [{"name": "price", "kind": "date"}]}, "doesn't tell its attributes", "a kind that is none"),
    ({"columns": [{"name": "", "kind": "text"}]}, "doesn't tell its attributes", "no name"),
    ({"columns": [{"name": "x" * 65, "kind": "text"}]}, "doesn't tell its attributes", "a long name"),
    ({"columns": [{"name": 1, "kind": "text"}]}, "doesn't tell its attributes", "a number as a name"),
    ({"columns": [{"name": "a", "kind": ["text"]}]}, "doesn't tell its attributes", "a list as a kind"),
    ({"columns": [{"name": str(n), "kind": "text"} for n in range(65)]}, "doesn't tell its", "too many"),
    ({"columns": [{"name": "a", "kind": "text"}, {"name": "a", "kind": "number"}]}, "has 'a' twice", "twice"),
    ({"columns": [{"name": "a", "kind": "number"}]}, "file attribute_0_numbers.npy is missing", "another kind"),
]


@pytest.mark.parametrize(("value", "words", "why"), CHANGED, ids=[why for *_, why in CHANGED])
def test_a_changed_list_of_attributes_is_refused(tmp_path: Path, value: object, words: str, why: str) -> None:
    described().write(tmp_path / "model")
    (tmp_path / "model" / "attributes.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(ModelError, match=re.escape(words)):
        open_model(tmp_path / "model")


def test_every_file_stands_in_the_docs(tmp_path: Path) -> None:
    described().write(tmp_path / "model")
    text = DOCS.read_text(encoding="utf-8")
    for name in verify_model(tmp_path / "model").files:
        assert f"`{re.sub(r'_[0-9]+_', '_<n>_', name)}`" in text, name
