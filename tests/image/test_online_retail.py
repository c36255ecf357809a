"""Online Retail, trained by the image from a mounted tree, and served by it."""

import json
import shutil
from pathlib import Path

import pytest

from tests.image.docker import run
from tests.image.serving_container import InContainer
from tests.test_online_retail import data
from tests.train_process import Trained

pytestmark = [pytest.mark.image, pytest.mark.online_retail, pytest.mark.spark, pytest.mark.process]

NAME = "online_retail.csv.gz"


def trained_in(image: str, root: Path, *options: str) -> Trained:
    (root / "input" / "data" / "training").mkdir(parents=True)
    shutil.copy(data(NAME), root / "input" / "data" / "training")
    done = run(image, "train", options=(*options, "--volume", f"{root}:/opt/ml"))
    assert done.returncode == 0, done.stderr
    return Trained(root, done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def whole(image: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained_in(image, tmp_path_factory.mktemp("whole"))


def test_it_is_trained_from_a_mounted_tree(whole: Trained) -> None:
    manifest = whole.manifest()
    counts = manifest["counts"]
    assert (counts["customers"], counts["items"], counts["pairs"]) == (4_339, 3_665, 266_802)
    assert manifest["arithmetic"] == "OpenBLAS"
    assert manifest["metrics"]["ndcg_at_10"] > 2 * manifest["metrics"]["popular_ndcg_at_10"]


def test_it_is_served(whole: Trained) -> None:
    with InContainer().running(whole.root) as server:
        answer = server.request("POST", "/invocations", b'{"customer": "17850"}', {"Content-Type": "application/json"})
        assert answer.status == 200
        assert len(answer.json()["recommendations"]) == 10
        assert server.stop() == 0


def test_two_gigabytes_and_one_core_are_enough_and_give_the_same_model(
    image: str, whole: Trained, tmp_path: Path
) -> None:
    small = trained_in(image, tmp_path, "--memory", "2g", "--memory-swap", "2g", "--cpus", "1")
    assert small.manifest()["files"] == whole.manifest()["files"]
    assert small.output == whole.output
    assert json.loads((tmp_path / "output/data/evaluation.json").read_text())["metrics"]
