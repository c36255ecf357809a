"""The Spark engine: Spark in a JVM of this process alone, and what can go wrong with it in words."""

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet

from alsriaz.errors import AlsriazError, CallerError
from alsriaz.platform.machine import available_cores, memory_limit
from alsriaz.platform.progress import Progress
from alsriaz.platform.spec import Spec
from alsriaz.training.engines import Blocks, FittedFactors, OpenEngine, RatingMatrix
from alsriaz.training.engines.jvm import Jvm, class_data_file, class_data_options

if TYPE_CHECKING:  # `als` loads pyspark: each function below imports it when java is on its way
    from pyspark.sql import SparkSession

HEAP_SHARE = 0.55  # of the memory granted; the rest is for Python's arrays, and for the JVM beside its heap
SMALLEST_HEAP_MB = 512  # Spark refuses less than 450
BESIDE_HEAP_MB = 384  # Python, and the JVM's own needs
START_SECONDS = 60  # how long leaving waits for a start that is under way; one takes 5 to 10
OPENBLAS = "libopenblas.so.0"
_LOG4J = Path(__file__).with_name("log4j2.properties")


class SparkEngine:
    """A Spark session, started in the background as soon as the engine is entered."""

    _jvm: Jvm  # from entering on

    def __init__(self, scratch: Path, heap_mb: int | None = None, java_options: Sequence[str] | None = None) -> None:
        """Keep all of Spark's files in `scratch`, an empty folder.

        The heap is a share of what the machine grants unless `heap_mb` is given. `java_options` are those with which
        java starts fastest unless given; a class-data archive is made with others.
        """
        self._scratch = scratch
        self._heap_mb = heap_mb
        self._java_options = java_options
        self._session: SparkSession | None = None
        self._trouble = "it said nothing"
        self._starting = threading.Thread(target=self._start, name="spark-start", daemon=True)

    def __enter__(self) -> "SparkEngine":
        check_memory()
        self._heap_mb = self._heap_mb or heap_mb()
        options = self._java_options
        if options is None:
            options = class_data_options(class_data_file(), self._heap_mb)
        self._jvm = Jvm(self._heap_mb, self._scratch, [*options, *self._properties()])
        self._starting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End Spark at once: whatever it holds is in the scratch folder, and nobody needs it any more."""
        self._jvm.kill()
        self._forget()

    def finish(self) -> None:
        """End Spark in its own way, so that java writes what it writes as it ends."""
        self._running().stop()
        self._forget()
        self._jvm.finish()

    def _forget(self) -> None:
        from alsriaz.training.engines.als import forget_session

        self._starting.join(START_SECONDS)  # else it would remember a session after this
        self._session = None
        forget_session()

    @property
    def arithmetic(self) -> str:
        """OpenBLAS where the JVM can load it, else Java."""
        from alsriaz.training.engines.als import has_openblas

        return "OpenBLAS" if has_openblas(self._running()) else "Java"

    def fit(self, matrix: RatingMatrix, blocks: Blocks, spec: Spec, progress: Progress) -> FittedFactors:
        """Fit ALS and return its factors by position.

        Raises:
            CallerError: the machine is too small, or the spec leaves equations without a solution.
        """
        if self._starting.is_alive():
            progress("waiting for Spark to start")
        session = self._running()
        from alsriaz.training.engines.als import SPARK_ERRORS, fit_als

        ratings = self._scratch / "ratings.parquet"  # it takes them to the JVM without passing row by row
        columns = {"customer": matrix.customers, "item": matrix.items, "rating": matrix.ratings}
        pyarrow.parquet.write_table(pa.table(columns), ratings, compression="lz4")
        try:
            return fit_als(session, ratings, (matrix.n_customers, matrix.n_items), blocks, spec, progress)
        except SPARK_ERRORS as error:
            raise self._explained(error, spec) from None  # the error itself would ask the JVM for its words

    def _start(self) -> None:
        try:
            from alsriaz.training.engines.als import open_session

            session = open_session(self._jvm.gateway(), self._settings())
            session.sparkContext.setCheckpointDir(str(self._scratch / "checkpoints"))
            self._session = session
        except BaseException as error:  # noqa: BLE001 - it is told in the thread that asks for the session
            self._trouble = str(error)

    def _running(self) -> "SparkSession":
        self._starting.join()
        if self._session is None:
            cause = (self._log().strip().splitlines() or [self._trouble])[-1]
            raise CallerError(f"Spark did not start, with a heap of {self._heap_mb} MB: {cause[:300]}")
        return self._session

    def _properties(self) -> list[str]:
        """Return the JVM's system properties."""
        return [
            f"-Dlog4j2.configurationFile={_LOG4J.as_uri()}",
            f"-Dalsriaz.log={self._scratch / 'spark.log'}",
            f"-Djava.io.tmpdir={self._scratch}",
            f"-Ddev.ludovic.netlib.blas.nativeLib={OPENBLAS}",
        ]

    def _settings(self) -> dict[str, str]:
        return {
            "spark.master": f"local[{available_cores()}]",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.maxResultSize": "0",
            "spark.local.dir": str(self._scratch),
            "spark.sql.warehouse.dir": str(self._scratch / "warehouse"),
            "spark.sql.files.minPartitionNum": "1",  # not the number of cores: partitions depend on the data
            "spark.sql.shuffle.partitions": "2",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }

    def _explained(self, error: Exception, spec: Spec) -> AlsriazError:
        """Return what went wrong in words; to be called before the JVM is ended: py4j's errors ask it for theirs."""
        memory = f"als_rank {spec.als_rank}, a memory limit of {memory_limit() >> 20:,} MB"
        remedy = "Choose a smaller als_rank or a shorter window, or use a machine with more memory."
        if self._jvm.ended:
            return CallerError(
                f"Spark's process was ended from outside, most likely for want of memory ({memory}). {remedy}"
            )
        told = _words_of(error) + self._log()
        if "OutOfMemoryError" in told or "SparkContext was shut down" in told:
            return CallerError(f"Spark ran out of memory ({memory}). {remedy}")
        if "SingularMatrixException" in told or "not positive definite" in told:
            return CallerError(
                f"ALS met equations without a solution: reg_param {spec.reg_param:g} is too small for these ratings. "
                "Raise it."
            )
        causes = [line for line in told.splitlines() if "Caused by" in line or "Exception" in line or "Error" in line]
        return AlsriazError(f"Spark failed: {(causes or [type(error).__name__])[-1].strip()[:300]}")

    def _log(self) -> str:
        """Return the ends of what the JVM and Spark have written."""
        texts = []
        for name in ("spark.log", "jvm.log"):
            with contextlib.suppress(OSError):
                texts.append((self._scratch / name).read_text(errors="replace")[-20_000:])
        return "\n".join(texts)


def _words_of(error: Exception) -> str:
    from alsriaz.training.engines.als import SPARK_ERRORS

    try:
        return str(error)
    except SPARK_ERRORS:  # it asked the JVM, which is gone by now
        return ""


def heap_mb() -> int:
    """Return how large the JVM's heap may be."""
    return max(SMALLEST_HEAP_MB, int(memory_limit() * HEAP_SHARE) >> 20)


def check_memory() -> None:
    """Raise CallerError where there is too little for Spark: before anything is read, so that nobody waits for that."""
    found, least = memory_limit() >> 20, SMALLEST_HEAP_MB + BESIDE_HEAP_MB
    if found < least:
        raise CallerError(f"There are {found} MB of memory, expected at least {least} to train with Spark.")


OPEN: OpenEngine = SparkEngine
