"""SageMaker's SDK 3 with the image: ModelTrainer in a local container, which gives no command and cleans up by one."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alsriaz.model.folder import open_model
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from tests.image.docker import run
from tests.image.sdk_clients import Desk, Told, desk
from tests.train_process import as_csv, groceries

pytestmark = pytest.mark.image

SALES = groceries(60)
HYPERPARAMETERS: dict[str, Any] = {
    "als_rank": 6,
    "reg_param": 0.05,
    "nonnegative": True,
    "ranking_type": "total_qty",
    "max_itter": "4",
    "retention_days": None,
    "exclude_items": [item for _, item, *_ in SALES[:2]],
    "columns": {"customer": "who", "item": "it's what"},
    "holdout_days": 0,
}
IN_THE_MODEL = HYPERPARAMETERS | {"max_itter": 4}


@pytest.fixture(scope="module")
def at(image: str) -> Iterator[Desk]:
    with desk(image, "sdk3") as made:
        yield made


def train(at: Desk, name: str, hyperparameters: dict[str, Any]) -> Told:
    sales = as_csv(SALES).replace(b"customer,item,quantity,date", b"who,it's what,quantity,date")
    return at.ask(
        "train",
        output=str(at.put(f"{name}/.made", "").parent),
        channels={"training": str(at.put("sales/sales.csv", sales).parent)},
        hyperparameters=hyperparameters,
    )


@pytest.fixture(scope="module")
def output(at: Desk) -> Path:
    """The folder of a job that went well."""
    told = train(at, "good", HYPERPARAMETERS)
    assert told.result == {"raised": None}, told.shown
    return at.folder / "good"


def test_model_trainer_trains_a_model_that_answers(output: Path, tmp_path: Path) -> None:
    with tarfile.open(output / "compressed_artifacts" / "model.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert {name: manifest["spec"][name] for name in IN_THE_MODEL} == IN_THE_MODEL
    answer = Recommender(Shop(open_model(tmp_path), Limits())).answer({"customer": SALES[0][0]})
    assert len(answer["recommendations"]) == 10


def test_it_removes_what_it_should_of_the_roots_files(output: Path) -> None:
    left = {path.name for path in output.iterdir()}
    assert {"compressed_artifacts", "model"} <= left
    assert not left & {"input", "shared", "algo-1"}


def test_the_command_that_it_cleans_up_by(image: str, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    done = run(image, "chmod", "-R", "777", "/delete", options=["--volume", f"{tmp_path}:/delete"])
    assert done.returncode == 0, done.stderr
    assert closed.stat().st_mode & 0o777 == 0o777


def test_why_a_job_failed_reaches_the_caller(at: Desk) -> None:
    told = train(at, "bad", {"als_rank": 0})
    assert told.result["raised"].endswith("Process exited with code: 1")
    assert "error: hyperparameters.json: als_rank is 0, expected a whole number from 1 to 1000." in told.shown
    with tarfile.open(at.folder / "bad" / "compressed_artifacts" / "output.tar.gz") as outputs:
        failure = outputs.extractfile("failure")
        assert failure is not None
        assert failure.read().decode().startswith("hyperparameters.json: als_rank is 0")
