"""train_local.sh, serve_local.sh and predict.sh with the real image, as a newcomer runs them."""

import csv
import json
import os
import pty
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.image.docker import PATIENCE
from tests.serving.serving_process import free_port

pytestmark = pytest.mark.image

SCRIPTS = Path(__file__).resolve().parents[2] / "local_test"
SOCKET = Path("/var/run/docker.sock")
NOBODY = 12345  # a user and a group without a name


@dataclass(frozen=True)
class Clone:
    """The scripts, as a person has them who cloned the repository, and who is not root.

    Where root runs the tests, that person is user 12345, who may use Docker as members of its group do.
    """

    folder: Path
    caller: dict[str, Any]

    @property
    def tree(self) -> Path:
        """The tree that is mounted at /opt/ml."""
        return self.folder / "test_dir"

    def command(self, script: str, *arguments: str | Path, **environment: str) -> dict[str, Any]:
        """Return what starts a script of the clone, as arguments of Popen."""
        named = {"HOME": str(self.folder), **environment}
        return {
            "args": [self.folder / script, *arguments],
            "env": os.environ | named,
            "cwd": self.folder,
            **self.caller,
        }

    def run(self, script: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the clone to its end."""
        return finished(**self.command(script, *arguments, **environment))


def finished(**command: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(**command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)


def run(script: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script where it is, as whoever runs the tests."""
    return finished(args=[SCRIPTS / script, *arguments], env=os.environ | environment)


def said(result: subprocess.CompletedProcess[str]) -> str:
    """Return a script's last line, without its name."""
    return result.stderr.strip().splitlines()[-1].partition(": ")[2]


def copy_tree(folder: Path) -> Path:
    """Return a copy of test_dir as a clone has it: neither sales nor a model."""
    source = SCRIPTS / "test_dir"
    shutil.copytree(source / "input" / "config", folder / "input" / "config")
    for name in ("input/data/training", "model", "output"):
        (folder / name).mkdir(parents=True)
        shutil.copy(source / name / ".gitignore", folder / name)
    return folder


@pytest.fixture(scope="module")
def clone() -> Iterator[Clone]:
    # pytest's own folders are closed to all others.
    with tempfile.TemporaryDirectory(prefix='my, clone: "') as folder:
        place = Path(folder) / "local_test"
        shutil.copytree(SCRIPTS, place, ignore=shutil.ignore_patterns("test_dir", "work", "__pycache__"))
        copy_tree(place / "test_dir")
        caller: dict[str, Any] = {}
        if os.geteuid() == 0:
            caller = {"user": NOBODY, "group": NOBODY, "extra_groups": [SOCKET.stat().st_gid]}
            for path in [Path(folder), *Path(folder).rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
        yield Clone(place, caller)


@pytest.fixture(scope="module")
def sales(clone: Clone) -> Path:
    """Sales of 9 customers and 5 items, in a file with a name that train would overlook."""
    path = clone.folder / "_shop, 2011.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["customer", "item", "quantity", "date"])
        for customer in range(9):
            for item in range(5):
                if (customer + item) % 3:
                    writer.writerow([f"c{customer}", f"i{item}", 1 + customer % 2, f"2011-01-{1 + customer + item:02}"])
    return path


@pytest.fixture(scope="module")
def trained(image: str, clone: Clone, sales: Path) -> Clone:
    """The clone with a model, trained on `sales` by way of the script."""
    for stale in ("model/old.npy", "output/failure", "output/data/old.csv"):
        (clone.tree / stale).parent.mkdir(exist_ok=True)
        (clone.tree / stale).write_text("what a former run left\n")
    (clone.tree / "output" / "data").chmod(0o777)
    (clone.tree / "input" / "data" / "training" / "mine.csv").write_text("no sales at all\n")
    (clone.folder / "more").mkdir()
    shutil.copy(sales, clone.folder / "more")
    result = clone.run("train_local.sh", image, "--data", sales.name, clone.folder / "more" / sales.name)
    assert result.returncode == 0, result.stdout + result.stderr
    assert said(result) == f"the model is in {clone.tree}/model; serve it with: local_test/serve_local.sh {image}"
    assert "rows_read=60;" in result.stdout, "both files are read, which have one name and 30 rows each"
    return clone


@contextmanager
def serving(image: str, clone: Clone) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Hold serve_local.sh, once it answers; end it after as Ctrl-C does."""
    port = str(free_port())
    command = clone.command("serve_local.sh", image, PORT=port)
    process = subprocess.Popen(**command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + PATIENCE
        while clone.run("predict.sh", clone.folder / "payloads" / "batch.jsonl", PORT=port).returncode:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield process, port
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def port(image: str, trained: Clone) -> Iterator[str]:
    """The port of a server for the clone's model."""
    with serving(image, trained) as (_, port):
        yield port


# ---- train ----------------------------------------------------------------------------------------------------------


def test_training_fills_the_tree_and_leaves_the_rest_alone(trained: Clone) -> None:
    tree = trained.tree
    assert (tree / "output" / "output.csv").read_text().startswith("customer,place,item,score,reason\n")
    assert not (tree / "output" / "failure").exists()
    assert not (tree / "model" / "old.npy").exists()
    assert not (tree / "output" / "data" / "old.csv").exists()
    assert (tree / "input" / "data" / "training" / "mine.csv").read_text() == "no sales at all\n"
    assert sorted(os.listdir(tree / "input" / "data" / "training")) == [".gitignore", "mine.csv"]
    manifest = json.loads((tree / "model" / "manifest.json").read_text())
    assert manifest["spec"]["reco_item"] == 5, "the settings are those of input/config"


def test_the_caller_owns_what_is_written(trained: Clone) -> None:
    caller = trained.caller.get("user", os.getuid())
    files = [path for name in ("model", "output") for path in (trained.tree / name).rglob("*")]
    assert len(files) > 10
    assert {path.stat().st_uid for path in files} == {caller}


def test_an_empty_tree_gets_real_sales_and_a_failed_training_its_status(image: str, tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "tree")
    (tree / "input" / "config" / "hyperparameters.json").write_text('{"als_rank": "0"}')
    result = run("train_local.sh", image, TEST_DIR=str(tree))
    assert result.returncode == 1, result.stderr
    assert f"no sales in {tree}/input/data/training yet: a year of real grocery sales is put there" in result.stderr
    assert "als_rank" in (tree / "output" / "failure").read_text()
    groceries = tree / "input" / "data" / "training" / "groceries.parquet"
    assert groceries.read_bytes()[:4] == b"PAR1"

    before = groceries.stat().st_mtime_ns
    again = run("train_local.sh", image, TEST_DIR=str(tree))
    assert again.returncode == 1
    assert "no sales in" not in again.stderr
    assert groceries.stat().st_mtime_ns == before


TRAIN_ERRORS = [
    # arguments                  status  says                                                              why
    ([], 64, "the image's name is missing (see --help)", "no image"),
    (["a", "b"], 64, "one image is expected, and 'b' is one more; sales files come after --data", "two images"),
    (["a", "--dta"], 64, "unknown option '--dta'", "an unknown option"),
    (["a", "--data"], 64, "--data needs at least one file", "no file"),
    (["a", "--data", "no.csv"], 64, "there is no file 'no.csv'", "a file that is not there"),
    (["a", "--data", "/"], 64, "'/' is a folder; name its files, for example /*.csv", "a folder"),
    (["a", "--data", __file__], 64, "is no sales file: expected a name ending in .csv, .csv.gz, .parquet", "no sales"),
    (
        ["no/such:image"],
        1,
        "there is no image 'no/such:image' here: build it with 'docker build -t no/such:image .'",
        "x",
    ),
]


@pytest.mark.parametrize(("arguments", "status", "says", "why"), TRAIN_ERRORS, ids=[row[-1] for row in TRAIN_ERRORS])
def test_train_local_says_what_is_wrong(arguments: list[str], status: int, says: str, why: str) -> None:
    result = run("train_local.sh", *arguments)
    assert (result.returncode, result.stdout) == (status, "")
    assert says in said(result)


def test_a_folder_that_is_no_tree_is_left_alone(image: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").touch()
    result = run("train_local.sh", image, TEST_DIR=str(tmp_path))
    assert result.returncode == 1
    assert said(result).startswith(f"there is no folder '{tmp_path}/input/config': TEST_DIR must name a tree like")
    assert (tmp_path / "model" / "mine").exists()


# ---- serve ----------------------------------------------------------------------------------------------------------


def test_ctrl_c_stops_the_server_in_good_order(image: str, trained: Clone) -> None:
    with serving(image, trained) as (process, port):
        taken = trained.run("serve_local.sh", image, PORT=port)
        assert taken.returncode == 1
        assert said(taken) == (
            f"port {port} is taken: stop what listens there, or choose another: "
            f"PORT=8081 local_test/serve_local.sh {image}"
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        gone = run("predict.sh", SCRIPTS / "payloads" / "recommend.json", PORT=port)
        assert gone.returncode == 1
        assert said(gone).startswith(f"nothing answers on port {port}: start the server with local_test/serve_local.sh")


def test_without_a_model_serve_local_names_what_makes_one(image: str, tmp_path: Path) -> None:
    result = run("serve_local.sh", image, TEST_DIR=str(copy_tree(tmp_path / "tree")))
    assert result.returncode == 1
    assert said(result) == (
        f"there is no model in '{tmp_path}/tree/model' yet: make one with local_test/train_local.sh {image}"
    )


SERVE_ERRORS = [
    # arguments          environment          status  says                                               why
    ([], {}, 64, "the image's name is missing", "no image"),
    (["a", "8081"], {}, 64, "'8081' is one more; the port is the variable PORT", "a port as an argument"),
    (["a", "-p"], {}, 64, "unknown option '-p'", "an unknown option"),
    (
        ["a"],
        {"PORT": "http"},
        64,
        "PORT is 'http', which is no port: expected a whole number from 1 to 65535",
        "a word",
    ),
    (["a"], {"PORT": "65536"}, 64, "PORT is '65536', which is no port", "a port ends at 65535"),
    (["no/such:image"], {}, 1, "there is no image 'no/such:image' here", "no such image"),
    (["a"], {"DOCKER_HOST": "unix:///no/daemon.sock"}, 1, "the Docker daemon is not running: docker says", "no daemon"),
    (["a"], {"PATH": "EMPTY"}, 1, "there is no docker on PATH: install Docker Engine or Docker Desktop", "no docker"),
]


@pytest.mark.parametrize(
    ("arguments", "environment", "status", "says", "why"), SERVE_ERRORS, ids=[row[-1] for row in SERVE_ERRORS]
)
def test_serve_local_says_what_is_wrong(
    arguments: list[str], environment: dict[str, str], status: int, says: str, why: str, tmp_path: Path
) -> None:
    for tool in ("bash", "dirname", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    path = {"PATH": str(tmp_path)} if "PATH" in environment else {}
    result = run("serve_local.sh", *arguments, **environment | path)
    assert (result.returncode, result.stdout) == (status, "")
    assert says in said(result)


# ---- predict --------------------------------------------------------------------------------------------------------


def test_predict_tells_the_content_type_by_the_name(port: str) -> None:
    rows = list(csv.reader(run("predict.sh", SCRIPTS / "payloads" / "customers.csv", PORT=port).stdout.splitlines()))
    assert [len(row) for row in rows] == [6, 6, 6], "CSV in, CSV out: a customer and its 5 items a line"
    lines = run("predict.sh", SCRIPTS / "payloads" / "batch.jsonl", PORT=port).stdout
    assert lines.endswith("\n")
    assert len([json.loads(line) for line in lines.splitlines()]) == 4
    answer = run("predict.sh", SCRIPTS / "payloads" / "recommend.json", PORT=port)
    assert answer.returncode == 0
    assert answer.stdout.count("\n") == 1, "as it came, where no terminal shows it"
    assert len(json.loads(answer.stdout)["recommendations"]) == 5


def test_another_name_needs_a_content_type(port: str, tmp_path: Path) -> None:
    payload = tmp_path / "@a payload;type=x"
    payload.write_text('{"customer": "c1"}')
    result = run("predict.sh", payload, PORT=port)
    assert result.returncode == 64
    assert f"the name '{payload}' doesn't tell the content type: expected .json, .jsonl or .csv" in said(result)
    answer = run("predict.sh", payload, "application/json", PORT=port)
    assert json.loads(answer.stdout)["customer"] == "c1"


def test_a_terminal_shows_json_laid_out(port: str, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"customer": "c1", "k": 1}')
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [SCRIPTS / "predict.sh", tmp_path / "one.json"], env=os.environ | {"PORT": port}, stdout=its_end
    )
    os.close(its_end)
    assert process.wait(PATIENCE) == 0
    shown = os.read(terminal, 10_000).decode().splitlines()
    os.close(terminal)
    assert shown[:2] == ["{", '    "customer": "c1",']


def test_an_http_error_is_shown_and_is_a_failure(port: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"customer": "c1", "kk": 1}')
    result = run("predict.sh", tmp_path / "bad.json", PORT=port)
    assert (result.returncode, result.stdout) == (1, "")
    body, last = result.stderr.splitlines()
    assert json.loads(body)["error"]["code"] == "unknown_field"
    assert last == "predict: the server answered 400"


PREDICT_ERRORS = [
    # arguments               status  says                                                                    why
    ([], 64, "the payload's file name is missing (see --help)", "no payload"),
    (["a.json", "text/csv", "x"], 64, "a payload and a content type are expected, and 'x' is one more", "a third word"),
    (["-v", "a.json"], 64, "unknown option '-v'", "an unknown option"),
    (["no.json"], 1, "there is no file 'no.json'; local_test/payloads/ has some to start from", "no such payload"),
]


@pytest.mark.parametrize(
    ("arguments", "status", "says", "why"), PREDICT_ERRORS, ids=[row[-1] for row in PREDICT_ERRORS]
)
def test_predict_says_what_is_wrong(arguments: list[str], status: int, says: str, why: str) -> None:
    result = run("predict.sh", *arguments)
    assert (result.returncode, result.stdout) == (status, "")
    assert says in said(result)


@pytest.mark.parametrize("script", ["train_local.sh", "serve_local.sh", "predict.sh"])
def test_help(script: str) -> None:
    result = run(script, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"usage: local_test/{script} ")
