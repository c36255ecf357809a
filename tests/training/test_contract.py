"""SageMaker's training contract: real `train` processes on trees laid out as the platform and the SDKs lay them out."""

import contextlib
import gzip
import itertools
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alsriaz.errors import CallerError
from alsriaz.model.folder import open_model
from alsriaz.platform.layout import Layout
from alsriaz.platform.spec import parse_spec
from alsriaz.rules.side import Side
from alsriaz.tables.sales import SalesKind
from alsriaz.training import job
from alsriaz.training.inputs import copy_table, open_pipe
from alsriaz.training.run_log import Log
from tests.test_docs import METRIC_DEFINITIONS
from tests.train_process import FILE, PIPE, Trained, as_csv, facts, feeding, groceries, lay_out, train

HYPERPARAMETERS = {  # as the SDKs mix them: text, JSON, JSON in JSON, Python's str()
    "ranking_type": '"count"',
    "max_itter": "2.0",
    "als_rank": "4",
    "nonnegative": "False",
    "exclude_items": "['no such item']",
    "retention_days": "None",
    "_tuning_objective_metric": "ndcg_at_10",
    "sagemaker_region": '"eu-west-1"',
}
SPEC = {"als_rank": 30, "reco_item": 3, "holdout_days": 30, "group_size": 7}
ITEMS = b"item,shelf\nnever-sold,7\n"
RULES = {"exclude": {"popular": 1}}
SALES = groceries(60)
FIRST, SECOND = SALES[: len(SALES) // 2], SALES[len(SALES) // 2 :]
OBJECTS = [as_csv(FIRST).rstrip(b"\n"), b"\xef\xbb\xbf" + as_csv(SECOND)]
SMALL = {"als_rank": 2, "max_itter": 1, "holdout_days": 0}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A job in Pipe mode: gzip objects, spec and rules through pipes, and pipes that are not for us."""
    root = tmp_path_factory.mktemp("pipe")
    data = Layout(root).input_data
    facts(
        root,
        {"training": PIPE, "spec": PIPE, "rules": PIPE, "items": PIPE, "validation": FILE},
        hyperparameters=HYPERPARAMETERS,
    )
    streams = {"training": b"".join(map(gzip.compress, OBJECTS)), "spec": json.dumps(SPEC).encode()}
    pipes = {Layout(root).pipe(name): stream for name, stream in streams.items()}
    pipes[data / "rules_0"] = json.dumps(RULES).encode()
    pipes[data / "items_0"] = gzip.compress(ITEMS) + gzip.compress(ITEMS.replace(b"sold", b"seen"))
    pipes |= {data / name: b"not to be read" for name in ("training_1", "mine")}
    with feeding(pipes):
        return train(root, before=("sh", "-c", 'umask 077; exec "$@"', "-"), environ={"TRAINING_JOB_NAME": "nightly-7"})


@pytest.mark.spark
def test_a_job_in_pipe_mode_learns_from_all_objects(run: Trained) -> None:
    assert run.status == 0, run.stderr
    assert run.manifest()["counts"]["rows_read"] == len(SALES)
    spec = run.manifest()["spec"]
    assert {name: spec[name] for name in ("als_rank", "max_itter", "reco_item", "group_size", "retention_days")} == {
        "als_rank": 4,
        "max_itter": 2,
        "reco_item": 3,
        "group_size": 7,
        "retention_days": None,
    }
    model = open_model(run.model)
    assert model.standing["exclude"] == {"popular": 1}
    assert [model.unsold_ids.id_at(number) for number in range(2)] == ["never-seen", "never-sold"]
    assert model.attributes.shown(Side.of_items(model).position_of("never-sold") or 0, ["shelf"]) == {"shelf": 7}


@pytest.mark.spark
def test_the_log_says_what_a_person_must_know(run: Trained) -> None:
    assert "] training job 'nightly-7'\n" in run.stderr
    assert "channel 'training' is in Pipe mode: reading it through training_0" in run.stderr
    assert re.search(r"channel 'training': \d+,\d{3} bytes came through the pipe\n", run.stderr)
    assert "warning: channel 'validation' is unknown and not used; known are training, train, spec" in run.stderr
    assert "channel 'items' is in Pipe mode: reading it through items_0" in run.stderr
    assert "\x1b" not in run.stderr + run.stdout


@pytest.mark.spark
def test_the_definitions_in_the_docs_find_every_metric_once(run: Trained) -> None:
    printed = dict(re.findall(r"^(\w+)=([0-9.]+);$", run.stdout, re.MULTILINE))
    assert len(run.stdout.splitlines()) == len(printed) == 23
    whole = run.stdout + run.stderr
    found = {definition["Name"]: re.findall(definition["Regex"], whole) for definition in METRIC_DEFINITIONS}
    assert found == {name: [value] for name, value in printed.items()}
    assert int(printed["rows_read"]) == len(SALES)
    counts = run.manifest()["counts"]
    assert int(printed["rows_refused"]) == sum(counts["rows_refused"].values())
    assert [int(printed[name]) for name in ("customers", "items", "pairs")] == [
        counts[name] for name in ("customers", "items", "pairs")
    ]


@pytest.mark.spark
def test_anybody_may_read_what_was_written_whatever_the_umask(run: Trained) -> None:
    written = [path for folder in ("model", "output") for path in [run.root / folder, *(run.root / folder).rglob("*")]]
    assert len(written) > 20
    for path in written:
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


@contextlib.contextmanager
def nobodys_root() -> Iterator[Path]:
    """A tree that any user may write to, in a folder that any user may enter."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o777)
        yield root
        for path in root.rglob("*"):
            if path.is_dir():
                path.chmod(0o777)  # so that the folder's own user can remove what is in it


# A user without a name, who may read everything, as the interpreter's folder may be closed to others, and write little.
READ_ALL = "+dac_read_search"
BECOME = ("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", f"--inh-caps={READ_ALL}")
NAMELESS = ("env", "-u", "HOME", "-u", "USER", "-u", "LOGNAME")
STRANGER = (*BECOME, f"--ambient-caps={READ_ALL}", *NAMELESS) if os.geteuid() == 0 else NAMELESS


@pytest.mark.spark
def test_a_user_without_a_name_learns_the_same_from_a_read_only_folder(run: Trained) -> None:
    """FastFile mode, which the platform calls File: a folder that can be read and nothing else."""
    with nobodys_root() as root:
        lay_out(root, {"a.csv": OBJECTS[0], "b.csv.gz": gzip.compress(OBJECTS[1])}, SPEC, RULES)
        items = Layout(root).input_data / "items"
        items.mkdir()
        (items / "seen.csv").write_bytes(ITEMS.replace(b"sold", b"seen"))
        (items / "sold.csv").write_bytes(ITEMS)
        facts(root, {"training": FILE, "items": FILE}, hyperparameters=HYPERPARAMETERS)
        for name in ("model", "output", "output/data"):
            (root / name).mkdir()
            (root / name).chmod(0o777)
        for path in [root / "input", *(root / "input").rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        files = train(root, before=STRANGER)
        assert files.status == 0, files.stderr
        assert files.manifest()["files"] == run.manifest()["files"]
        assert files.output == run.output


def test_a_folder_that_can_not_be_written_to_is_told_before_anything_is_read() -> None:
    with nobodys_root() as root:
        lay_out(root, {"a.csv": OBJECTS[0]}, SPEC)
        (root / "output").mkdir()
        (root / "output").chmod(0o555)
        result = train(root, before=STRANGER)
        assert result.status == 1, result.stderr
        told = "error: output/ can't be written to by user "
        assert result.stderr.splitlines()[-2].startswith(told)
        assert result.stderr.splitlines()[-2].endswith(": run as a user who may, or mount it writable.")
        assert result.stderr.splitlines()[-1] == "error: failure could not be written: Permission denied"
        assert "reading" not in result.stderr
        assert not (root / "model").exists()


def test_no_room_for_temporary_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(CallerError, match="There is no folder for temporary files that can be written to: mount /tmp"):
        job.run(Layout(lay_out(tmp_path, {"a.csv": OBJECTS[0]})), Log(), lambda: None)


FAILING: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"training": FILE}, ("algo-1", "algo-2"), "The job has 2 hosts (algo-1, algo-2), but training takes one: set Ins"),
    (
        {"training": PIPE | {"S3DistributionType": "ShardedByS3Key"}},
        ("algo-1", "algo-2"),
        "Channel 'training' is ShardedByS3Key over 2 hosts (algo-1, algo-2), so that each would learn from a part of",
    ),
    ({"training": PIPE | {"RecordWrapperType": "RecordIO"}}, ("algo-1",), "Channel 'training' comes as RecordIO, exp"),
    ({"training": {"TrainingInputMode": "Tube"}}, ("algo-1",), "inputdataconfig.json: channel 'training' has Training"),
]


@pytest.mark.parametrize(("channels", "hosts", "words"), FAILING, ids=[words[:40] for *_, words in FAILING])
def test_a_job_that_fails_says_why_where_the_platform_looks(
    tmp_path: Path, channels: dict[str, Any], hosts: tuple[str, ...], words: str
) -> None:
    facts(lay_out(tmp_path, {"a.csv": OBJECTS[0]}), channels, hosts)
    result = train(tmp_path)
    assert result.status == 1, result.stderr
    assert result.failure.startswith(words)
    assert result.failure.count("\n") == 1
    assert len(result.failure) < 1024
    assert [path.name for path in (tmp_path / "output").iterdir()] == ["failure"]
    assert not (tmp_path / "model").exists()


def data(name: str) -> Path:
    return Path(os.environ["ALSRIAZ_ONLINE_RETAIL"], name).resolve()


@pytest.mark.spark
@pytest.mark.online_retail
def test_online_retail_gives_the_same_model_through_a_pipe(tmp_path: Path) -> None:
    whole = gzip.decompress(data("online_retail.csv.gz").read_bytes())
    header, rows = whole.split(b"\n", 1)
    cuts = [0, rows.index(b"\n", len(rows) // 3) + 1, rows.index(b"\n", len(rows) // 2) + 1, len(rows)]
    parts = [header + b"\n" + rows[start:end] for start, end in itertools.pairwise(cuts)]
    plain = b"".join([parts[0].rstrip(b"\r\n"), b"\xef\xbb\xbf" + parts[1], header + b"\n", parts[2]])
    with feeding({tmp_path / "training_0": plain}), open_pipe(tmp_path / "training_0", "training", print) as stream:
        assert (
            copy_table(stream, "training", tmp_path, SalesKind(parse_spec({}), "training_0"), print).read_bytes()
            == whole
        )
    root = tmp_path / "pipe"
    facts(root, {"training": PIPE}, hyperparameters={name: str(value) for name, value in SMALL.items()})
    with feeding({Layout(root).pipe("training"): b"".join(gzip.compress(part, 1) for part in parts)}):
        result = train(root)
    assert result.status == 0, result.stderr
    expected = train(lay_out(tmp_path / "file", {"online_retail.csv.gz": data("online_retail.csv.gz")}, SMALL))
    assert result.manifest() == expected.manifest()
    assert result.output == expected.output
