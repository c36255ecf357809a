"""SageMaker's SDK 2 in local mode, its own code unmodified, with the image: fit, deploy, predict, transform, fail."""

import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from alsriaz.model.folder import open_model
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from tests.image.sdk_clients import Desk, Told, desk
from tests.serving.serving_process import free_port
from tests.small_models import Purchase, SmallModel
from tests.train_process import as_csv, groceries

pytestmark = pytest.mark.image

SALES = groceries(60)
CUSTOMERS = sorted({customer for customer, *_ in SALES})
ITEMS = sorted({item for _, item, *_ in SALES})
INCLUDED, *EXCLUDED = ITEMS[:4]
LINES, CSV = "application/jsonlines", "text/csv"

# A value of every type that a Python dict of hyperparameters holds; the SDK makes `str(value)` of each.
HYPERPARAMETERS: dict[str, Any] = {
    "als_rank": 6,
    "reg_param": 0.05,
    "nonnegative": True,
    "ranking_type": "total_qty",
    "max_itter": "4",
    "retention_days": None,
    "exclude_items": EXCLUDED,
    "columns": {"customer": "who", "item": "it's what"},
    "holdout_days": 0,
    "reco_item": 5,
}
IN_THE_MODEL = HYPERPARAMETERS | {"max_itter": 4}

QUESTIONS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "json", "data": {"customer": CUSTOMERS[0]}}, "a known customer"),
    ({"kind": "json", "data": {"customer": CUSTOMERS[1], "k": 3, "exclude": {"purchased": True}}}, "rules"),
    ({"kind": "json", "data": {"customer": "nobody", "history": ITEMS[10:13]}}, "an unknown customer's history"),
    ({"kind": "json", "data": {"task": "popular", "k": 2}}, "another task"),
    ({"kind": "json", "data": {"customer": CUSTOMERS[0]}, "target_model": "no-such.tar.gz"}, "a target, of one model"),
]
CSV_QUESTION = {"kind": "csv", "data": [[customer] for customer in CUSTOMERS[:3]]}


@dataclass(frozen=True)
class Transform:
    """A transform job, and in how many requests the SDK should send its lines."""

    name: str
    lines: list[str]
    media: str
    split: str | None
    strategy: str
    assemble: str | None
    requests: int
    ends: str

    def request(self, at: Desk) -> dict[str, Any]:
        return {
            "name": self.name,
            "input": str(at.put(f"transform/{self.name}/lines", "\n".join(self.lines) + "\n")),
            "output": str(at.folder / "transformed" / self.name),
            "content_type": self.media,
            "accept": self.media,
            "split_type": self.split,
            "strategy": self.strategy,
            "assemble_with": self.assemble,
            "max_payload": 1,
        }


SOME = [json.dumps({"customer": customer, "k": 3}) for customer in [*CUSTOMERS[:5], "nobody"]] + ["{", '{"k": 0}']
# 10 kB a line, so that the megabyte which a request may have at most holds a part of them.
MANY = [f'{{"customer": "{customer}",{" " * 10_000}"k": {k}}}' for customer in CUSTOMERS for k in (1, 2, 3)]
TRANSFORMS = [
    Transform("lines-each", SOME, LINES, "Line", "SingleRecord", "Line", len(SOME), "\n"),
    Transform("lines-many", MANY, LINES, "Line", "MultiRecord", "Line", 2, "\n"),
    Transform("lines-whole", SOME, LINES, None, "SingleRecord", None, 1, ""),
    Transform("csv-each", [*CUSTOMERS[:3], "nobody"], CSV, "Line", "SingleRecord", "Line", 4, "\n"),
    Transform("csv-many", CUSTOMERS, CSV, "Line", "MultiRecord", "Line", 1, "\n"),
]


@pytest.fixture(scope="module")
def at(image: str) -> Iterator[Desk]:
    with desk(image, "sdk2") as made:
        made.put("containers/.made", "")
        yield made


def sales_channel(at: Desk) -> str:
    header = "who,it's what,quantity,date"
    return str(at.put("sales/sales.csv", as_csv(SALES).replace(b"customer,item,quantity,date", header.encode())).parent)


def common(at: Desk) -> dict[str, Any]:
    return {"containers": str(at.folder / "containers"), "port": free_port()}


@pytest.fixture(scope="module")
def trained(at: Desk) -> Told:
    """One job, its endpoint and its transforms: what the SDK returned."""
    rules = at.put("rules/rules.json", json.dumps({"include": {"items": [INCLUDED]}}))
    return at.ask(
        "train_and_answer",
        **common(at),
        output=str(at.folder / "out"),
        channels={"training": sales_channel(at), "rules": str(rules.parent)},
        hyperparameters=HYPERPARAMETERS,
        questions=[*(question for question, _ in QUESTIONS), CSV_QUESTION],
        transforms=[transform.request(at) for transform in TRANSFORMS],
    )


@pytest.fixture(scope="module")
def archive(trained: Told) -> Iterator[tarfile.TarFile]:
    with tarfile.open(trained.result["model_data"].removeprefix("file://")) as opened:
        yield opened


@pytest.fixture(scope="module")
def model(archive: tarfile.TarFile, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """The model that the SDK was given, opened here."""
    folder = tmp_path_factory.mktemp("model")
    archive.extractall(folder, filter="data")
    return Recommender(Shop(open_model(folder), Limits()))


def test_hyperparameters_of_every_type_arrive(archive: tarfile.TarFile) -> None:
    manifest = archive.extractfile("manifest.json")
    assert manifest is not None
    spec = json.load(manifest)["spec"]
    assert {name: spec[name] for name in IN_THE_MODEL} == IN_THE_MODEL


def test_the_model_holds_plain_files_that_everybody_may_read(archive: tarfile.TarFile) -> None:
    members = archive.getmembers()
    assert len(members) > 10
    assert [member.name for member in members if not member.isfile() or not member.mode & 0o004] == []


def test_the_outputs_are_kept_beside_the_model(trained: Told) -> None:
    with tarfile.open(Path(trained.result["model_data"].removeprefix("file://")).with_name("output.tar.gz")) as outputs:
        names = outputs.getnames()
    assert {"data/output.csv", "data/evaluation.json", "output.csv"} <= set(names)
    assert "failure" not in names


@pytest.mark.parametrize("number", range(len(QUESTIONS)), ids=[why for _, why in QUESTIONS])
def test_the_endpoint_answers_as_the_model_does(number: int, trained: Told, model: Recommender) -> None:
    assert trained.result["answers"][number] == model.answer(QUESTIONS[number][0]["data"])


def test_the_rules_of_their_channel_hold(trained: Told) -> None:
    reasons = {pick["item"]: pick["reason"] for pick in trained.result["answers"][0]["recommendations"]}
    assert reasons[INCLUDED] in ("included", "model")
    assert not reasons.keys() & set(EXCLUDED)


def test_the_endpoint_answers_csv(trained: Told, model: Recommender) -> None:
    assert trained.result["answers"][-1] == [csv_cells(model, customer) for (customer,) in CSV_QUESTION["data"]]


@pytest.mark.parametrize("number", range(len(TRANSFORMS)), ids=[transform.name for transform in TRANSFORMS])
def test_a_transform_answers_each_line_in_its_place(number: int, trained: Told, model: Recommender) -> None:
    transform, text = TRANSFORMS[number], trained.result["transforms"][number]
    body = text.removesuffix(transform.ends)
    if transform.media == CSV:
        assert body.split("\n") == [",".join(csv_cells(model, line)) for line in transform.lines]
        return
    for line, answer in zip(transform.lines, map(json.loads, body.split("\n")), strict=True):
        readable = line.startswith('{"customer"')
        assert answer == model.answer(json.loads(line)) if readable else answer["error"]["message"]


def test_the_sdk_sent_as_many_requests_as_it_should(trained: Told) -> None:
    """Else the tests above would not tell what they seem to."""
    sent = [line for line in trained.log.splitlines() if re.search(r"POST\b.*/invocations", line)]
    assert len(sent) == len(QUESTIONS) + 1 + sum(transform.requests for transform in TRANSFORMS)


def csv_cells(model: Recommender, customer: str) -> list[str]:
    return [customer, *(pick["item"] for pick in model.answer({"customer": customer})["recommendations"])]


def test_why_a_job_failed_reaches_the_caller(at: Desk) -> None:
    says = "hyperparameters.json: als_rank is 0, expected a whole number from 1 to 1000."
    output = at.folder / "failed"
    told = at.ask(
        "fail",
        **common(at),
        output=str(output),
        channels={"training": sales_channel(at)},
        hyperparameters={"als_rank": 0},
    )
    assert told.result["raised"].endswith("Process exited with code: 1")
    assert f"error: {says}" in told.shown
    with tarfile.open(output / "output.tar.gz") as outputs:
        failure = outputs.extractfile("failure")
        assert failure is not None
        assert failure.read().decode().startswith(says)
    with tarfile.open(output / "model.tar.gz") as nothing:
        assert nothing.getnames() == []


def small_model(items: list[str]) -> SmallModel:
    return SmallModel(
        customers=["ann", "bob"],
        items=items,
        customer_factors=[[1.0, 0.0], [0.0, 1.0]],
        item_factors=[[0.5, 0.1], [0.2, 0.9], [0.9, 0.3]],
        purchases=[Purchase("ann", items[0]), Purchase("bob", items[1])],
        first_ages=[9, 9, 9],
        standing={},
        spec={},
    )


def test_the_target_model_header_picks_the_model(at: Desk, tmp_path: Path) -> None:
    shops = {"spring": ["primrose", "snowdrop", "tulip"], "winter": ["fir", "holly", "ivy"]}
    expected = {}
    for name, items in shops.items():
        small_model(items).write(tmp_path / name)
        for file in (tmp_path / name).iterdir():
            at.put(f"shops/{name}/{file.name}", file.read_bytes())
        expected[name] = Recommender(Shop(open_model(tmp_path / name), Limits())).answer({"customer": "ann"})
    asked = ["spring", "winter", "spring", "summer"]
    told = at.ask(
        "answer",
        **common(at),
        model_data=f"file://{at.folder / 'shops'}",
        environ={"SAGEMAKER_MULTI_MODEL": "true"},
        questions=[{"kind": "json", "data": {"customer": "ann"}, "target_model": name} for name in asked],
    )
    *known, unknown = told.result["answers"]
    assert known == [expected[name] for name in islice(asked, 3)]
    assert unknown["error"]["code"] == "not_found"
    assert "'summer'" in unknown["error"]["message"]
