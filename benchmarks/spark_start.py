"""How long Spark takes from a process's start to the end of its first stage: as `train` starts it, and as pyspark does.

    PYTHONPATH=container python -m alsriaz.training.engines.class_data
    PYTHONPATH=container python benchmarks/spark_start.py --rounds 5

Each start is a process of its own that reads a Parquet file of ten rows through Spark; the kinds take turns. "pyspark's
own" is SparkSession.builder.getOrCreate() with the same settings, heap and Java properties. CPU seconds are those of
Python and java together, and tell more than the clock where the machine has other work; memory is the peak of the two.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from alsriaz.training.engines.jvm import class_data_file
from alsriaz.training.engines.spark import SparkEngine, heap_mb

ROWS = 10


@dataclass(frozen=True)
class Start:
    """What one start took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", choices=KINDS, help=argparse.SUPPRESS)  # the process that is measured
    options = parser.parse_args()
    if options.one:
        start_once(options.one)
        return
    kinds = [kind for kind in KINDS if kind != "archive" or class_data_file().is_file()]
    starts: dict[str, list[Start]] = {kind: [] for kind in kinds}
    for number in range(options.rounds):
        for kind in kinds[number % len(kinds) :] + kinds[: number % len(kinds)]:
            starts[kind].append(measured(kind))
    report(starts)


def measured(kind: str) -> Start:
    """Start Spark in a new process and return what that took."""
    began = time.monotonic()
    command = [sys.executable, __file__, "--one", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        told = json.loads(process.stdout.read())
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    return Start(told["done"] - began, usage.ru_utime + usage.ru_stime, told["peak_mb"])


def start_once(kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        file = scratch / "rows.parquet"
        pyarrow.parquet.write_table(pa.table({"customer": list(range(ROWS))}), file)
        KINDS[kind](scratch, file)


def our_start(scratch: Path, file: Path, options: tuple[str, ...] | None = None) -> None:
    with SparkEngine(scratch, java_options=options) as engine:
        first_stage(engine._running(), file, engine._jvm.process.pid)


def start_without_archive(scratch: Path, file: Path) -> None:
    our_start(scratch, file, ())


def pyspark_start(scratch: Path, file: Path) -> None:
    from pyspark.sql import SparkSession

    ours = SparkEngine(scratch)
    builder: Any = SparkSession.builder
    for name, value in ours._settings().items():
        builder = builder.config(name, value)
    java = " ".join(ours._properties())
    builder = builder.config("spark.driver.memory", f"{heap_mb()}m").config("spark.driver.extraJavaOptions", java)
    session = builder.getOrCreate()
    gateway: Any = session.sparkContext._gateway
    first_stage(session, file, gateway.proc.pid)
    gateway.proc.stdin.close()
    gateway.proc.wait()  # its CPU seconds count once it has ended
    os._exit(0)


def first_stage(session: Any, file: Path, java: int) -> None:
    """Run it, and tell when it was done."""
    assert len(session.read.parquet(str(file)).collect()) == ROWS  # noqa: S101 - or the figures mean nothing
    done = time.monotonic()
    print(json.dumps({"done": done, "peak_mb": peak_mb("self") + peak_mb(str(java))}), flush=True)


def peak_mb(process: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def report(starts: dict[str, list[Start]]) -> None:
    print("| start | seconds | pyspark / this | CPU seconds | pyspark / this | peak memory, MB |")
    print("|---|---|---|---|---|---|")
    peer = starts["pyspark"]
    for kind, runs in starts.items():
        seconds = median(run.seconds for run in runs)
        cpu = median(run.cpu_seconds for run in runs)
        slower = median(run.seconds for run in peer) / seconds
        dearer = median(run.cpu_seconds for run in peer) / cpu
        peak = max(run.peak_mb for run in runs)
        print(f"| {NAMES[kind]} | {seconds:.1f} | {slower:.2f} | {cpu:.1f} | {dearer:.2f} | {peak:.0f} |")


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "pyspark": pyspark_start,
    "direct": start_without_archive,
    "archive": our_start,
}
NAMES = {"pyspark": "pyspark's own", "direct": "ours, no archive", "archive": "ours, with the archive"}

if __name__ == "__main__":
    main()
