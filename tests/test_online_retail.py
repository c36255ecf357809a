"""The main job on Online Retail, whole: trained by `train`, ranked by the running server."""

import csv
import gzip
import json
import math
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from alsriaz.model.folder import open_model
from tests.serving.serving_process import Server, running_server
from tests.train_process import REFERENCE, Trained, lay_out, trained

pytestmark = [pytest.mark.online_retail, pytest.mark.spark, pytest.mark.process]


DESCRIPTIONS = {
    "22423": "REGENCY CAKESTAND 3 TIER",
    "85123A": "WHITE HANGING HEART T-LIGHT HOLDER",
}


def data(name: str) -> Path:
    return Path(os.environ["ALSRIAZ_ONLINE_RETAIL"], name).resolve()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    name = "online_retail.csv.gz"
    return trained(lay_out(tmp_path_factory.mktemp("csv"), {name: data(name)}))


def test_the_counts_with_a_header(whole: Trained) -> None:
    counts = whole.manifest()["counts"]
    assert counts["rows_read"] == 541_909
    refused = {reason: count for reason, count in counts["rows_refused"].items() if count}
    assert refused == {"customer": 135_080, "return": 8_905}
    assert (counts["customers"], counts["items"], counts["pairs"]) == (4_339, 3_665, 266_802)
    assert counts["purchases"] == 397_924
    assert whole.manifest()["dates"] == {"first_day": "2010-12-01", "last_day": "2011-12-09"}


def test_the_headerless_layout_gives_the_same_model(whole: Trained, tmp_path: Path) -> None:
    name = "online_retail_pipe.csv.gz"
    pipe = trained(lay_out(tmp_path / "ml", {name: data(name)}))
    counts = pipe.manifest()["counts"]
    assert counts["rows_read"] == 406_829
    assert {reason: count for reason, count in counts["rows_refused"].items() if count} == {"return": 8_905}
    files, described = whole.manifest()["files"], ("attribute", "unsold")
    assert pipe.manifest()["files"] == {name: fact for name, fact in files.items() if not name.startswith(described)}
    assert pipe.output == whole.output


def test_items_have_the_descriptions_of_the_sales(whole: Trained) -> None:
    model = open_model(whole.model)
    assert model.attributes.names == ("description",), "the headerless layout has no such column, nor such files"
    assert len(model.unsold_ids) == 0
    for item, description in DESCRIPTIONS.items():
        position = model.item_ids.position_of(item)
        assert position is not None
        assert model.attributes.shown(position, ["description"]) == {"description": description}


def test_the_holdout_says_that_the_model_beats_most_popular(whole: Trained) -> None:
    metrics = whole.manifest()["metrics"]
    assert metrics["ndcg_at_10"] > 2 * metrics["popular_ndcg_at_10"]
    assert metrics["ndcg_at_10_new"] > 2 * metrics["popular_ndcg_at_10_new"]


def test_the_reference_systems_own_spec_on_its_own_layout(tmp_path: Path) -> None:
    name = "online_retail_pipe.csv.gz"
    run = trained(lay_out(tmp_path / "ml", {name: data(name)}, REFERENCE))
    assert "the window was moved to end on 2011-12-09" in run.stderr
    assert run.manifest()["dates"] == {"first_day": "2011-11-30", "last_day": "2011-12-09"}
    assert run.output.count(b"\n") == 1 + 3 * run.manifest()["counts"]["customers"]


CUT, END = "2011-11-09", "2011-12-08"  # the first of the 30 days tested, and the last
PEER = {
    "als_rank": 64,
    "max_itter": 15,
    "reg_param": 0.1,
    "alpha": 1,
    "ranking_type": "count",
    "retention_date": "2011-11-08",
    "holdout_days": 0,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    name = "online_retail_pipe.csv.gz"
    root = lay_out(tmp_path_factory.mktemp("cut"), {name: data(name)}, PEER)
    trained(root)
    with running_server({"ALSRIAZ_ML_ROOT": str(root)}) as server:
        yield server


def bought() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return what each customer bought before the cut, and in the 30 days from it, as plain Python reads it."""
    before: dict[str, set[str]] = defaultdict(set)
    after: dict[str, set[str]] = defaultdict(set)
    with gzip.open(data("online_retail_pipe.csv.gz"), "rt", encoding="utf-8", newline="") as stream:
        for customer, item, quantity, date in csv.reader(stream, delimiter="|"):
            if int(quantity) > 0 and date <= END:
                (before if date < CUT else after)[customer].add(item)
    return before, after


def ndcg(lists: dict[str, list[str]], wanted: dict[str, set[str]]) -> float:
    """Return the mean NDCG at 10, the ideal capped at min(10, number bought)."""
    gains = []
    for customer, right in wanted.items():
        gain = sum(1 / math.log2(place + 2) for place, item in enumerate(lists[customer]) if item in right)
        gains.append(gain / sum(1 / math.log2(place + 2) for place in range(min(10, len(right)))))
    return sum(gains) / len(gains)


def ranked(server: Server, customers: list[str], exclude: dict[str, bool]) -> dict[str, list[str]]:
    lines = [json.dumps({"customer": customer, "k": 10, "exclude": exclude}) for customer in customers]
    answer = server.request("POST", "/invocations", "\n".join(lines), {"Content-Type": "application/jsonlines"})
    assert answer.status == 200
    answers = map(json.loads, answer.body.decode().split("\n"))
    return {a["customer"]: [entry["item"] for entry in a["recommendations"]] for a in answers}


def test_what_the_server_ranks_foretells_the_next_thirty_days(server: Server) -> None:
    before, after = bought()
    known = {item for items in before.values() for item in items}
    wanted = {customer: items & known for customer, items in after.items() if customer in before}
    wanted = {customer: items for customer, items in wanted.items() if items}
    fresh = {customer: items - before[customer] for customer, items in wanted.items()}
    fresh = {customer: items for customer, items in fresh.items() if items}
    over_all = ndcg(ranked(server, list(wanted), {}), wanted)
    over_new = ndcg(ranked(server, list(fresh), {"purchased": True}), fresh)
    print(f"NDCG@10 {over_all:.4f} over all items, {over_new:.4f} over new ones, {len(wanted)} customers")
    assert over_all >= 0.28
    assert over_new >= 0.09
