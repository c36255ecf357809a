"""Make the class-data archive: Spark's classes, parsed and verified once, for java to map into memory at each start.

    python -m alsriaz.training.engines.class_data

To be run where the image is built, when pyspark's jars and Java are those that `train` will find: an archive fits one
build of Java and one class path, each jar's path, size and time of change included. Where it doesn't fit, java starts
as it does without one. Source: JEP 350, Dynamic CDS Archives.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alsriaz.errors import AlsriazError, CallerError
from alsriaz.platform.spec import parse_spec
from alsriaz.training.engines import RatingMatrix, blocks_for
from alsriaz.training.engines.jvm import class_data_file, find_java, spark_jars
from alsriaz.training.engines.spark import SparkEngine

HEAP_MB = 1024  # whatever the machine has: the archive must suit heaps of up to 32 GB
N_CUSTOMERS, N_ITEMS = 60, 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the archive and tell its size; the status is 1 where that fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=class_data_file(), help="default: where train looks")
    file: Path = parser.parse_args(arguments).file
    try:
        make_class_data(file)
    except AlsriazError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{file}: {file.stat().st_size >> 20} MB")
    return 0


def make_class_data(file: Path) -> None:
    """Train a tiny model in every way that a spec can ask for, and keep the classes which that took.

    Raises:
        CallerError: there is no Java, it does not start, or the archive can't be written there or is refused.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".class-data-", dir=file.parent) as scratch:
            made = Path(scratch) / "made.jsa"
            _record(made)
            _check(made)
            os.replace(made, file)
    except OSError as error:
        raise CallerError(f"The archive {str(file)!r} can't be written: {error.strerror}.") from None


def _record(made: Path) -> None:
    rng = np.random.default_rng(1)
    customers, items = (side.astype(np.int32) for side in np.nonzero(rng.random((N_CUSTOMERS, N_ITEMS)) < 0.3))
    ratings = rng.integers(1, 5, len(customers)).astype(np.float32)
    matrix = RatingMatrix(customers, items, ratings, N_CUSTOMERS, N_ITEMS)
    with (
        tempfile.TemporaryDirectory(prefix="alsriaz-") as scratch,
        SparkEngine(Path(scratch), HEAP_MB, [f"-XX:ArchiveClassesAtExit={made}"]) as engine,
    ):
        for feedback in ("implicit", "explicit"):
            for nonnegative in (False, True):
                settings = {"als_rank": 4, "max_itter": 11, "feedback": feedback, "nonnegative": nonnegative}
                engine.fit(matrix, blocks_for(matrix), parse_spec(settings), lambda _: None)
        _ = engine.arithmetic
        engine.finish()


def _check(made: Path) -> None:
    """Raise CallerError where java would refuse the archive: with -Xshare:on it says so, else it goes on without."""
    if not made.is_file():
        raise CallerError(f"{find_java()} wrote no archive, expected one of HotSpot's, as OpenJDK has it.")
    class_path = os.pathsep.join(map(str, spark_jars()))
    command = [str(find_java()), "-Xshare:on", f"-XX:SharedArchiveFile={made}", "-cp", class_path, "-version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    if done.returncode != 0:
        told = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
        raise CallerError(f"Java refuses the archive that it has just made: {told[-1][:300]}")


if __name__ == "__main__":
    sys.exit(main())
