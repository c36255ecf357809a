import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alsriaz.errors import ModelError
from alsriaz.model.folder import open_model, verify_model
from alsriaz.model.writer import writing_model
from alsriaz.rules.side import Side
from alsriaz.scoring.history import stored
from tests.small_models import cut, flip, shop


def test_a_model_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    model = shop(standing={"exclude": {"items": ["figs"]}}).write(tmp_path / "model")
    assert verify_model(tmp_path / "model") == model.manifest
    assert [model.customer_ids.id_at(p) for p in range(3)] == ["ann", "bob", "cy"]
    assert model.arrays.item_factors[0].tolist() == [5, 1]
    assert model.bought_by(2).tolist() == [0, 1, 3]
    assert stored(model, 0).purchases.counts.tolist() == [2, 1]
    assert Side.of_items(model).new.tolist() == [False, False, False, False, True, True]
    assert model.standing == {"include": {}, "exclude": {"items": ["figs"]}}
    assert model.spec.reco_item == 3


def test_an_item_is_new_for_so_many_days_after_its_first_sale(tmp_path: Path) -> None:
    model = shop(first_ages=[0, 28, 29, 30, 31, 400]).write(tmp_path / "model")
    assert Side.of_items(model).new.tolist() == [True, True, True, False, False, False]


def test_the_buyers_of_items_are_those_who_have_a_pair_with_them(tmp_path: Path) -> None:
    model = shop().write(tmp_path / "model")
    for asked in ([0], [1], [0, 3], [2, 3], [5], [4, 5]):
        naive = [customer for customer in range(3) if {*asked} & {*model.bought_by(customer).tolist()}]
        assert model.buyers_of(np.array(asked)).tolist() == naive


def test_a_folder_from_before_buyers_were_kept_is_opened_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    whole = shop().write(folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name in ("buyer_offsets.npy", "buyers.npy"):
        (folder / name).unlink()
        del manifest["files"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    verify_model(folder)
    old = open_model(folder)
    assert old.arrays.buyers.tolist() == whole.arrays.buyers.tolist()
    assert old.arrays.buyer_offsets.tolist() == whole.arrays.buyer_offsets.tolist()


def test_the_same_model_has_the_same_hash_and_another_one_another(tmp_path: Path) -> None:
    hashes = [
        model.write(tmp_path / str(number)).manifest.short_hash
        for number, model in enumerate([shop(), shop(), shop(first_ages=[1] * 6)])
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    assert len(hashes[0]) == 12


def test_the_arrays_are_mapped_and_can_not_be_written(tmp_path: Path) -> None:
    factors = shop().write(tmp_path / "model").arrays.item_factors
    assert isinstance(factors.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        factors[0, 0] = 1


def rewrite(**changes: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")

    return change


BROKEN: list[tuple[str, Callable[[Path], object], str]] = [
    ("item_factors.npy", cut, "file item_factors.npy has 168 bytes, expected 176"),
    ("item_factors.npy", flip, "file item_factors.npy is damaged"),
    ("item_factors.npy", Path.unlink, "file item_factors.npy is missing"),
    ("manifest.json", Path.unlink, "no manifest.json, so it was never finished"),
    ("manifest.json", rewrite(format=2), "format version 2, this server reads 1"),
    ("manifest.json", rewrite(format=None), "format version null"),
    ("manifest.json", rewrite(files=None), "doesn't list its files"),
    ("manifest.json", rewrite(files={"../x": {"bytes": 1, "sha256": ""}}), "doesn't list its files"),
    ("manifest.json", rewrite(spec=None), "was changed after training"),
    ("manifest.json", rewrite(dates={}), "lacks 'last_day'"),
    ("manifest.json", lambda path: path.write_text("{", encoding="utf-8"), "manifest.json is not JSON"),
]


@pytest.mark.parametrize(("name", "harm", "words"), BROKEN, ids=[words for *_, words in BROKEN])
def test_a_broken_model_is_refused_with_the_reason(
    tmp_path: Path, name: str, harm: Callable[[Path], object], words: str
) -> None:
    shop().write(tmp_path / "model")
    harm(tmp_path / "model" / name)
    with pytest.raises(ModelError) as caught:
        verify_model(tmp_path / "model")
    assert words in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("there", [True, False], ids=["empty folder", "no folder"])
def test_no_model_at_all(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "model"
    if there:
        folder.mkdir()
    with pytest.raises(ModelError, match="There is no model in model/: run train first"):
        open_model(folder)


def test_arrays_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    shop().write(tmp_path / "model")
    np.save(tmp_path / "model" / "item_customers.npy", np.zeros(5, dtype="<i4"))
    with pytest.raises(ModelError, match=r"item_customers has shape \(5,\), expected \(6,\)"):
        open_model(tmp_path / "model")
    np.save(tmp_path / "model" / "item_customers.npy", np.zeros(6, dtype="<i8"))
    with pytest.raises(ModelError, match="item_customers holds int64, expected int32"):
        open_model(tmp_path / "model")


def test_an_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    shop().write(tmp_path / "model")
    np.save(tmp_path / "model" / "item_customers.npy", np.array([{}] * 6, dtype=object), allow_pickle=True)
    with pytest.raises(ModelError, match="item_customers.npy is no array that can be mapped"):
        open_model(tmp_path / "model")


def test_what_fails_while_writing_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt), writing_model(folder) as writer:
        (folder / ".unfinished" / "x.npy").write_bytes(b"half")
        assert writer
        raise KeyboardInterrupt
    assert list(folder.iterdir()) == []


def test_a_failed_run_leaves_the_model_that_stood_there(tmp_path: Path) -> None:
    before = shop().write(tmp_path / "model").manifest
    with pytest.raises(RuntimeError), writing_model(tmp_path / "model"):
        raise RuntimeError
    assert verify_model(tmp_path / "model") == before


def test_a_new_model_replaces_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shop(standing={"include": {"new": 1}}).write(folder)
    (folder / "notes.txt").write_text("the shop's own", encoding="utf-8")
    shop().write(folder)
    names = {path.name for path in folder.iterdir()}
    assert "rules.json" not in names, "the old model had rules, the new one has none"
    assert names == {*verify_model(folder).files, "manifest.json", "notes.txt"}


def test_an_unfinished_model_of_a_killed_run_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / ".unfinished").mkdir(parents=True)
    (folder / ".unfinished" / "left.npy").write_bytes(b"x")
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    shop().write(folder)
    assert not (folder / ".unfinished").exists()
    verify_model(folder)
