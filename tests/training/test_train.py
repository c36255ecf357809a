"""train as its users run it: a process, a mock /opt/ml tree, real groceries, real Spark."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alsriaz.errors import ModelError
from alsriaz.model.folder import Model, open_model, verify_model
from tests.train_process import TRAIN, Trained, as_csv, groceries, lay_out, rows_of, train, trained

pytestmark = pytest.mark.spark

SPEC = {"als_rank": 8, "max_itter": 4, "reco_item": 5, "ranking_type": "recency", "holdout_days": 30}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(lay_out(tmp_path_factory.mktemp("ml"), {"sales.csv": as_csv(groceries())}, SPEC))


@pytest.fixture(scope="module")
def model(run: Trained) -> Model:
    return open_model(run.model)


def test_the_model_is_finished_and_true(run: Trained, model: Model) -> None:
    assert verify_model(run.model) == model.manifest
    sales = [sale for sale in groceries() if sale[2] > 0]
    assert [model.customer_ids.id_at(p) for p in range(len(model.customer_ids))] == sorted({s[0] for s in sales})
    assert [model.item_ids.id_at(p) for p in range(len(model.item_ids))] == sorted({s[1] for s in sales})
    counts = run.manifest()["counts"]
    assert counts["rows_read"] == len(groceries())
    assert counts["purchases"] == len(sales)
    assert counts["pairs"] == len({sale[:2] for sale in sales})
    assert run.manifest()["dates"]["last_day"] == max(sale[3] for sale in sales)


def test_every_customer_has_a_full_list_in_output_csv(run: Trained, model: Model) -> None:
    rows = rows_of(run.output)
    assert [(row["customer"], row["place"]) for row in rows] == [
        (model.customer_ids.id_at(customer), str(place))
        for customer in range(len(model.customer_ids))
        for place in range(1, 6)
    ]
    first = [row for row in rows if row["customer"] == rows[0]["customer"]]
    scores = [float(row["score"]) for row in first]
    assert scores == sorted(scores, reverse=True)
    factors = model.arrays.customer_factors[0].astype(np.float64)
    best = np.float32(max(model.arrays.item_factors.astype(np.float64) @ factors))
    assert np.float32(first[0]["score"]) == best


def test_metrics_are_printed_one_a_line_as_the_platform_reads_them(run: Trained) -> None:
    lines = run.stdout.splitlines()
    assert [line.split("=")[0] for line in lines[:6]] == [
        *("rows_read", "rows_refused", "customers", "items", "pairs"),
        "ndcg_at_10",
    ]
    assert len(lines) == 5 + 12
    values = dict(line.removesuffix(";").split("=") for line in lines)
    assert all(0 <= float(value) <= 1 for name, value in values.items() if "_at_10" in name)
    assert float(values["ndcg_at_10"]) == pytest.approx(run.manifest()["metrics"]["ndcg_at_10"], abs=5e-5)


def test_the_terminal_tells_a_person_what_happens(run: Trained) -> None:
    assert "refused: return" in run.stderr
    assert "recency" in run.stderr
    assert "read back and verified" in run.stderr
    assert all(len(line) <= 160 for line in run.stderr.splitlines()), run.stderr
    assert "WARN" not in run.stderr


def test_only_what_serving_needs_is_in_the_model_folder(run: Trained) -> None:
    assert {path.name for path in run.model.iterdir()} == {*run.manifest()["files"], "manifest.json"}
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in run.model.iterdir()), "readable by any user"


def test_one_core_or_two_and_any_order_of_rows_give_the_same_output(run: Trained, tmp_path: Path) -> None:
    shuffled = list(groceries())
    random.Random(7).shuffle(shuffled)
    halves = {"a.csv": as_csv(shuffled[: len(shuffled) // 3]), "b.csv": as_csv(shuffled[len(shuffled) // 3 :])}
    other = trained(lay_out(tmp_path / "shuffled", halves, SPEC), before=["taskset", "-c", "0"])
    assert other.output == run.output
    assert other.manifest()["files"] == run.manifest()["files"]


def test_standing_rules_travel_with_the_model_and_hold_for_output_csv(run: Trained, tmp_path: Path) -> None:
    popular = open_model(run.model).arrays.items_by_popularity[0]
    ids = open_model(run.model).item_ids
    rules = {"include": {"items": ["soap", ids.id_at(3)], "placement": "first"}, "exclude": {"popular": 1}}
    ruled = trained(lay_out(tmp_path / "ml", {"sales.csv": as_csv(groceries())}, SPEC | {"holdout_days": 0}, rules))
    assert open_model(ruled.model).standing["include"]["items"] == ["soap", ids.id_at(3)]
    rows = rows_of(ruled.output)
    assert ids.id_at(int(popular)) not in {row["item"] for row in rows}
    assert {row["item"] for row in rows if row["place"] == "1"} == {ids.id_at(3)}
    assert {(row["item"], row["score"], row["reason"]) for row in rows if row["place"] == "5"} == {
        ("soap", "", "included")
    }
    assert len(ruled.stdout.splitlines()) == 5, "no holdout: counts only"


def test_sigterm_leaves_no_model_and_says_so(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "ml", {"sales.csv": as_csv(groceries())}, SPEC | {"max_itter": 1000})
    with subprocess.Popen(
        TRAIN, env=dict(os.environ) | {"ALSRIAZ_ML_ROOT": str(root)}, stderr=subprocess.PIPE, text=True
    ) as job:
        assert job.stderr is not None
        for line in job.stderr:
            if "fitting for" in line:
                break
        job.send_signal(signal.SIGTERM)
        rest = job.stderr.read()
    assert job.returncode == 128 + signal.SIGTERM
    assert rest.splitlines()[-1] == "error: Training was stopped by SIGTERM before it was done."
    assert (root / "output" / "failure").read_text() == "Training was stopped by SIGTERM before it was done.\n"
    assert not (root / "model").exists()
    with pytest.raises(ModelError, match="There is no model"):
        verify_model(root / "model")
    assert not _java_of(root)


def _java_of(root: Path) -> list[str]:
    """Return the command lines of Java processes that name `root`."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if "java" in line and str(root) in line]


def test_a_failed_run_leaves_the_old_model_and_a_new_one_replaces_it(run: Trained, tmp_path: Path) -> None:
    root = tmp_path / "ml"
    shutil.copytree(run.root, root)
    first = run.manifest()
    (root / "input" / "config" / "als_spec.json").write_text('{"als_rank": 0}', encoding="utf-8")
    failed = train(root)
    assert failed.status == 1
    assert failed.failure.startswith("als_spec.json: als_rank is 0")
    assert failed.manifest() == first
    again_with = {"als_rank": 3, "max_itter": 1, "holdout_days": 0}
    (root / "input" / "config" / "als_spec.json").write_text(json.dumps(again_with), encoding="utf-8")
    again = trained(root)
    assert again.manifest()["spec"]["als_rank"] == 3
    assert not (root / "output" / "failure").exists()


def test_it_runs_from_any_folder_whatever_lies_there(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError", encoding="utf-8")
    root = lay_out(tmp_path / "ml", {"sales.csv": b"customer,item,quantity,date\n"})
    done = subprocess.run(
        TRAIN, env=dict(os.environ) | {"ALSRIAZ_ML_ROOT": str(root)}, cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert b"RuntimeError" not in done.stderr


GOOD = [(c, i, 1, "2011-01-0" + str(1 + (c + i) % 9)) for c in range(5) for i in range(3)]
HEADER = b"customer,item,quantity,date\n"

BAD: list[tuple[str, dict[str, bytes], Any, str]] = [
    ("empty file", {"sales.csv": b""}, None, "sales.csv"),
    ("header only", {"sales.csv": HEADER}, None, "sales.csv has no rows"),
    ("binary file named .csv", {"sales.csv": bytes(range(256)) * 40}, None, "sales.csv"),
    ("a workbook named .csv", {"sales.csv": b"PK\x03\x04" + bytes(400)}, None, "sales.csv"),
    ("a column missing", {"sales.csv": b"customer,item,date\na,b,2011-01-01\n"}, None, "no column for quantity"),
    (
        "two date formats in one column",
        {"sales.csv": HEADER + b"a,x,1,2011-01-01\nb,y,1,20110102\n"},
        None,
        "date",
    ),
    ("more bad rows than max_bad_rows", {"sales.csv": as_csv(GOOD) + b"a,b,six,2011-01-01\n"}, None, "max_bad_rows"),
    (
        "one customer",
        {"sales.csv": HEADER + b"a,x,1,2011-01-01\na,y,1,2011-01-01\n"},
        None,
        "1 customer(s) and 2 item(s)",
    ),
    ("one item", {"sales.csv": HEADER + b"a,x,1,2011-01-01\nb,x,1,2011-01-01\n"}, None, "2 customer(s) and 1 item(s)"),
    ("unknown key", {"sales.csv": as_csv(GOOD)}, {"rank": 3}, "unknown setting 'rank', did you mean 'als_rank'?"),
    ("mistyped key", {"sales.csv": as_csv(GOOD)}, {"als_rank": "many"}, "als_rank is 'many'"),
    ("rank 0", {"sales.csv": as_csv(GOOD)}, {"als_rank": 0}, "als_rank is 0, expected a whole number from 1 to 1000"),
    ("rank 100000", {"sales.csv": as_csv(GOOD)}, {"als_rank": 100000}, "als_rank is 100000"),
    ("NaN", {"sales.csv": as_csv(GOOD)}, '{"reg_param": NaN}', "NaN is no JSON number"),
    ("both spellings", {"sales.csv": as_csv(GOOD)}, {"max_iter": 1, "max_itter": 1}, "'max_iter' and 'max_itter'"),
    ("malformed als_spec.json", {"sales.csv": as_csv(GOOD)}, "{'a': 1}", "als_spec.json is not JSON"),
    ("two als_spec.json", {"sales.csv": as_csv(GOOD), "als_spec.json": b"{}"}, {}, "2 files named als_spec.json"),
    ("no data", {}, None, "Channel 'training' holds no sales data"),
    ("window before all data", {"sales.csv": as_csv(GOOD)}, {"retention_date": "20101231"}, "No purchase lies in"),
]


@pytest.mark.parametrize(("why", "sales", "spec", "words"), BAD, ids=[bad[0] for bad in BAD])
def test_bad_input_is_refused_with_one_sentence(
    tmp_path: Path, why: str, sales: dict[str, bytes], spec: Any, words: str
) -> None:
    result = train(lay_out(tmp_path / "ml", sales, spec))
    assert result.status == 1, result.stderr
    assert words in result.failure
    assert result.failure.strip() == result.stderr.splitlines()[-1].removeprefix("error: ")
    assert len(result.failure) < 1024
    assert "Traceback" not in result.failure + result.stderr
    assert str(tmp_path) not in result.failure
    assert not result.model.exists() or not list(result.model.iterdir())
    assert not (result.root / "output" / "output.csv").exists()


def test_no_training_channel(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "ml", {})
    (root / "input" / "data" / "training").rmdir()
    assert train(root).failure.startswith("There is no channel 'training' in input/data")


def test_rules_that_can_not_be_kept_fail_before_anything_is_read(tmp_path: Path) -> None:
    rules = {"include": {"items": ["a", "b", "c"]}}
    result = train(lay_out(tmp_path / "ml", {"sales.csv": as_csv(GOOD)}, {"reco_item": 2}, rules))
    assert result.status == 1
    assert result.failure == "rules.json: include.items has 3 items that must appear, but reco_item is 2.\n"


def test_bad_rows_are_counted_and_sampled(tmp_path: Path) -> None:
    bad = [
        b"a,x,six,2011-01-01",
        b"a,x\0,1,2011-01-01",
        b"a,x,1,2011-01-01," + b"y" * 10_000_000,
        b"c" * 1000 + b",x,1,2011-01-01",
    ]
    sales = as_csv(GOOD * 10) + b"\n".join(bad) + b"\n"
    run = trained(lay_out(tmp_path / "ml", {"sales.csv": sales}, {"als_rank": 2, "max_itter": 1, "holdout_days": 0}))
    refused = run.manifest()["counts"]["rows_refused"]
    assert sum(refused.values()) == 4
    assert (refused["quantity"], refused["shape"], refused["customer"]) == (1, 2, 1)
    rejected = (run.root / "output" / "data" / "rejected.csv").read_text(encoding="utf-8")
    assert len(rejected.splitlines()) == 5
    assert "six" in rejected
    assert len(rejected) < 5_000


SMALL = {"als_rank": 2, "max_itter": 1, "holdout_days": 0}


def test_equations_without_a_solution_are_the_specs(tmp_path: Path) -> None:
    spec = {"feedback": "explicit", "reg_param": 1e-20, "als_rank": 8, "holdout_days": 0}
    result = train(lay_out(tmp_path / "ml", {"sales.csv": as_csv(GOOD * 2)}, spec))
    assert result.status == 1, result.stderr
    assert "reg_param 1e-20 is too small for these ratings. Raise it." in result.failure
    assert "Traceback" not in result.stderr


def test_java_that_is_not_there_is_told_before_anything_is_read(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "ml", {"sales.csv": as_csv(GOOD)})
    result = train(root, environ={"JAVA_HOME": "/nonexistent"})
    assert result.status == 1
    assert "JAVA_HOME is '/nonexistent', but there is no bin/java in it: install a JRE" in result.failure
    assert "rows" not in result.stderr


def test_odd_names_of_folders_and_files(tmp_path: Path) -> None:
    scratch = tmp_path / "a b"
    scratch.mkdir()
    root = lay_out(tmp_path / "ml", {}, SMALL)
    odd = os.fsencode(root / "input" / "data" / "training") + b"/caf\xe9.csv"
    Path(os.fsdecode(odd)).write_bytes(as_csv(GOOD * 30) + b"a,b,six,2011-01-01\n")
    result = train(root, environ={"TMPDIR": str(scratch), "SPARK_LOCAL_DIRS": str(tmp_path / "elsewhere")})
    assert result.status == 0, result.stderr
    assert "caf\ufffd.csv" in (root / "output" / "data" / "rejected.csv").read_text(encoding="utf-8")
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "elsewhere").exists()


def test_an_early_failure_leaves_no_java_and_no_folders(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    result = train(lay_out(tmp_path / "ml", {"sales.csv": HEADER}), environ={"TMPDIR": str(scratch)})
    assert result.status == 1
    assert list(scratch.iterdir()) == []
    assert not _java_of(scratch)


def test_outputs_that_can_not_be_written_leave_no_model(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "ml", {"sales.csv": as_csv(GOOD)}, SMALL)
    (root / "output" / "data" / "output.csv" / "in the way").mkdir(parents=True)
    result = train(root)
    assert result.status == 1, result.stderr
    assert "Can't use output/data/" in result.failure
    assert list(result.model.iterdir()) == []
