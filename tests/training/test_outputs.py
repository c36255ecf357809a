import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.tables.refusals import Refusals, RejectedRow
from alsriaz.training.outputs import whole_file, write_json, write_recommendations, write_rejected
from tests.small_models import SmallModel, shop

STANDING: list[dict[str, Any]] = [
    {},
    {"include": {"items": ["figs", "soap"], "new": 1}, "exclude": {"purchased": True}},
    {"include": {"only": ["eggs", "apple"], "placement": "first"}, "exclude": {"popular": 0.2}},
]


def written(model: SmallModel, folder: Path) -> list[list[str]]:
    write_recommendations(folder / "data" / "output.csv", folder / "output.csv", model.in_memory(), lambda text: None)
    assert (folder / "output.csv").read_bytes() == (folder / "data" / "output.csv").read_bytes()
    with (folder / "output.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


@pytest.mark.parametrize("standing", STANDING, ids=["no rules", "included", "limited"])
@pytest.mark.parametrize("group_size", [1, 2, 4096])
def test_output_csv_is_what_the_server_answers(tmp_path: Path, standing: dict[str, Any], group_size: int) -> None:
    model = shop(standing=standing, spec={"als_rank": 2, "reco_item": 3, "new_item_days": 30, "group_size": group_size})
    expected = [["customer", "place", "item", "score", "reason"]]
    server = Recommender(Shop(model.in_memory(), Limits()))
    for customer in model.customers:
        for place, entry in enumerate(server.answer({"customer": customer})["recommendations"], 1):
            score = "" if entry["score"] is None else str(np.float32(entry["score"]))
            expected.append([customer, str(place), entry["item"], score, entry["reason"]])
    assert written(model, tmp_path) == expected


def test_ids_are_quoted_as_csv_needs_it(tmp_path: Path) -> None:
    model = shop(items=['"a"', "a,b", "cocoa", "dates", "eggs", "figs"], purchases=[])
    assert written(model, tmp_path)[1][2] == '"a"'
    assert b'""a"""' in (tmp_path / "output.csv").read_bytes()


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"ü": 1})
    with pytest.raises(RuntimeError), whole_file(path) as stream:
        stream.write("half")
        raise RuntimeError
    assert path.read_text(encoding="utf-8") == '{\n  "ü": 1\n}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_samples_of_refused_rows(tmp_path: Path) -> None:
    refusals = Refusals()
    refusals.samples.append(RejectedRow("a.csv", 7, "quantity", "c,1", "i", "six", "2011-01-01"))
    write_rejected(tmp_path / "rejected.csv", refusals)
    with (tmp_path / "rejected.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["file", "row", "reason", "customer", "item", "quantity", "date", "line"],
        ["a.csv", "7", "quantity", "c,1", "i", "six", "2011-01-01", ""],
    ]
