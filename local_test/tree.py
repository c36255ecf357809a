"""The demo's work folder, and in it a mock of the platform's /opt/ml."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alsriaz.platform.layout import Layout, is_sales_name
from local_test.programs import DemoError

WORK = Path(__file__).with_name("work")

# What a training job on the platform finds in input/config. Every hyperparameter arrives as text.
CONFIG: dict[str, dict[str, Any]] = {
    "als_spec.json": {"ranking_type": "count", "als_rank": 32, "max_itter": 10, "reco_item": 5},
    "hyperparameters.json": {"seed": "42"},
    "inputdataconfig.json": {
        "training": {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    },
    "resourceconfig.json": {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"},
}


@contextmanager
def work_folder(folder: Path = WORK) -> Iterator[Path]:
    """Hold the work folder: a second demo may not clear it away under the first.

    Raises:
        DemoError: another demo holds it.
    """
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DemoError(f"another demo runs in {folder}: wait for its end, or stop it") from None
        yield folder


def lay_out(root: Path, sales: Sequence[Path] = ()) -> Layout:
    """Make the tree of one training job below `root`, from nothing, and return where its parts are.

    Raises:
        DemoError: what a former run left can't be removed, or holds the caller's sales files.
    """
    inside = [file for file in sales if file.resolve().is_relative_to(root.resolve())]
    if inside:
        raise DemoError(f"{inside[0]} lies in a folder that the demo makes anew: copy it to another place first")
    try:
        if root.exists():
            shutil.rmtree(root)
    except OSError as error:
        raise DemoError(f"{error.filename} can't be removed: {error.strerror}; remove {root} by hand") from None
    layout = Layout(root)
    for folder in (layout.input_config, training_channel(layout), layout.model, layout.output_data):
        folder.mkdir(parents=True)
    for name, values in CONFIG.items():
        (layout.input_config / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return layout


def training_channel(layout: Layout) -> Path:
    """Return the folder of channel `training`."""
    return layout.input_data / "training"


def put_in(files: Sequence[Path], channel: Path) -> list[Path]:
    """Put the caller's sales files into a channel, as links where that works, and return them as they stand there.

    A name that the channel has already, or that would hide the file from train, gets a number before it.
    """
    placed = []
    for number, file in enumerate(files, start=1):
        source = file.resolve()
        target = channel / file.name
        if target.exists() or not is_sales_name(file.name):
            target = channel / f"{number}{file.name}"
        try:
            os.link(source, target)
        except OSError:  # another disk, or one that has no links
            shutil.copyfile(source, target)
        placed.append(target)
    return placed
