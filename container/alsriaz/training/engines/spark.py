"""The Spark engine: org.apache.spark.ml.recommendation.ALS on this machine. The only module that imports pyspark."""

import contextlib
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession

from alsriaz.core.errors import AlsriazError, CallerError
from alsriaz.core.machine import available_cores, memory_limit
from alsriaz.core.spec import Spec
from alsriaz.training.engines import Blocks, Factors, Progress, RatingMatrix

HEAP_SHARE = 0.55  # of the memory granted; the rest is for Python's arrays, and for the JVM beside its heap
SMALLEST_HEAP_MB = 512
OPENBLAS = "libopenblas.so.0"
PROGRESS_SECONDS = 5
_LOG4J = Path(__file__).with_name("log4j2.properties")


class SparkEngine:
    """A Spark session of this process alone, started in the background as soon as the engine is entered."""

    def __init__(self, scratch: Path) -> None:
        """Keep all of Spark's files in `scratch`."""
        self._scratch = scratch
        self._session: SparkSession | None = None
        self._trouble: BaseException | None = None
        self._gateway: Any = None
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Thread(target=self._start, name="spark-start", daemon=True)

    def __enter__(self) -> "SparkEngine":
        self._starting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End Spark at once: whatever it holds is in the scratch folder, and nobody needs it any more."""
        _forget_session()
        if self._gateway is not None:
            self._gateway._gateway_client.is_connected = False
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()

    @property
    def arithmetic(self) -> str:
        """OpenBLAS where the JVM can load it, else Java."""
        jvm: Any = self._running().sparkContext._jvm
        try:
            jvm.dev.ludovic.netlib.blas.JNIBLAS.getInstance()
        except Exception as error:  # noqa: BLE001 - py4j wraps what the JVM threw, an UnsatisfiedLinkError among it
            return "Java" if "Py4J" in type(error).__name__ else "unknown"
        return "OpenBLAS"

    def fit(self, matrix: RatingMatrix, blocks: Blocks, spec: Spec, progress: Progress) -> Factors:
        """Fit ALS and return its factors by position.

        Raises:
            CallerError: Spark ran out of memory.
        """
        session = self._running()
        ratings = self._hand_over(session, matrix)
        try:
            with _following(session.sparkContext, spec, progress):
                model = _als(spec, blocks).fit(ratings)
            return Factors(
                _by_position(model.userFactors, matrix.n_customers, spec.als_rank),
                _by_position(model.itemFactors, matrix.n_items, spec.als_rank),
            )
        except PySparkException as error:
            raise self._explained(error, spec) from error

    def _hand_over(self, session: SparkSession, matrix: RatingMatrix) -> DataFrame:
        """Return the ratings as a DataFrame; a Parquet file takes them to the JVM without passing row by row."""
        path = self._scratch / "ratings.parquet"
        columns = {"customer": matrix.customers, "item": matrix.items, "rating": matrix.ratings}
        pyarrow.parquet.write_table(pa.table(columns), path, compression="lz4")
        return session.read.parquet(str(path))

    def _start(self) -> None:
        try:
            _forget_session()
            conf = self._conf()
            launch: Any = launch_gateway  # pyspark leaves it untyped
            with (self._scratch / "jvm.log").open("wb") as log:
                gateway = launch(conf, {"stdout": log, "stderr": log, "start_new_session": True})
            self._gateway, self._process = gateway, gateway.proc
            context = SparkContext(conf=conf, gateway=gateway)
            context.setCheckpointDir(str(self._scratch / "checkpoints"))
            self._session = SparkSession(context)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that asks for the session
            self._trouble = error

    def _running(self) -> SparkSession:
        self._starting.join()
        if self._session is None:
            if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
                raise CallerError("Spark needs Java 17 or newer, and there is no java on PATH: install a JRE.")
            raise AlsriazError(f"Spark did not start: {self._log_tail() or self._trouble}") from self._trouble
        return self._session

    def _conf(self) -> SparkConf:
        heap = max(SMALLEST_HEAP_MB, int(memory_limit() * HEAP_SHARE) >> 20)
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # Spark's tasks are the threads
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        java = [
            f"-Dlog4j2.configurationFile={_LOG4J.as_uri()}",
            f"-Dalsriaz.log={self._scratch / 'spark.log'}",
            f"-Djava.io.tmpdir={self._scratch}",
            f"-Ddev.ludovic.netlib.blas.nativeLib={OPENBLAS}",
        ]
        return SparkConf().setAll(
            [
                ("spark.app.name", "alsriaz"),
                ("spark.master", f"local[{available_cores()}]"),
                ("spark.driver.memory", f"{heap}m"),
                ("spark.driver.host", "127.0.0.1"),
                ("spark.driver.bindAddress", "127.0.0.1"),
                ("spark.driver.maxResultSize", "0"),
                ("spark.driver.extraJavaOptions", " ".join(java)),
                ("spark.local.dir", str(self._scratch)),
                ("spark.sql.warehouse.dir", str(self._scratch / "warehouse")),
                ("spark.sql.files.minPartitionNum", "1"),  # not the number of cores: partitions depend on the data
                ("spark.sql.shuffle.partitions", "2"),
                ("spark.ui.enabled", "false"),
                ("spark.ui.showConsoleProgress", "false"),
            ]
        )

    def _explained(self, error: PySparkException, spec: Spec) -> Exception:
        tail = f"{error} {self._log_tail()}"
        if "OutOfMemoryError" in tail:
            return CallerError(
                f"Spark ran out of memory with als_rank {spec.als_rank}: "
                "choose a smaller als_rank, a shorter window, or a machine with more memory."
            )
        return AlsriazError(f"Spark failed: {str(error).splitlines()[0] if str(error) else type(error).__name__}")

    def _log_tail(self, most: int = 600) -> str:
        texts = []
        for name in ("jvm.log", "spark.log"):
            with contextlib.suppress(OSError):
                texts.append((self._scratch / name).read_text(errors="replace")[-most:].strip())
        return " ".join(text for text in texts if text)


def _forget_session() -> None:
    """Make pyspark forget a session that ended.

    It keeps one gateway per process: it would take the dead one for the next session, and each Python object that
    stands for a Java one would call it to say goodbye.
    """
    SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None


def _als(spec: Spec, blocks: Blocks) -> ALS:
    return ALS(
        userCol="customer",
        itemCol="item",
        ratingCol="rating",
        rank=spec.als_rank,
        maxIter=spec.max_itter,
        regParam=spec.reg_param,
        numUserBlocks=blocks.customers,
        numItemBlocks=blocks.items,
        implicitPrefs=spec.implicit,
        alpha=spec.alpha,
        nonnegative=spec.nonnegative,
        seed=spec.seed,
        checkpointInterval=10,
    )


def _by_position(frame: DataFrame, n_rows: int, rank: int) -> npt.NDArray[np.float32]:
    """Return Spark's (id, features) rows as an array by id."""
    table: pa.Table = frame.toArrow()
    flat = table.column("features").combine_chunks().flatten().to_numpy()
    factors = np.zeros((n_rows, rank), dtype=np.float32)
    factors[table.column("id").to_numpy()] = flat.reshape(-1, rank)
    return factors


class _following:
    """Tells, while Spark fits in the thread that entered, how far it has come."""

    def __init__(self, context: SparkContext, spec: Spec, progress: Progress) -> None:
        self._context = context
        self._spec = spec
        self._progress = progress
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spark-progress", daemon=True)
        self._jobs_before = len(self._jobs())

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._done.wait(PROGRESS_SECONDS):
            self._progress(f"fitting for {time.monotonic() - began:.0f} s, {self._state()}")

    def _state(self) -> str:
        """With implicit feedback each half of an iteration is a job of its own; else one job does ten iterations."""
        if self._spec.implicit:
            iteration = max(1, (len(self._jobs()) - self._jobs_before - 3) // 2)
            return f"iteration {min(iteration, self._spec.max_itter)} of {self._spec.max_itter}"
        tracker = self._context.statusTracker()
        for job in tracker.getActiveJobsIds():
            info = tracker.getJobInfo(job)
            stages = [tracker.getStageInfo(stage) for stage in info.stageIds] if info else []
            done = sum(stage is not None and stage.numCompletedTasks == stage.numTasks for stage in stages)
            return f"stage {done + 1} of {len(stages)}"
        return "between two stages"

    def _jobs(self) -> list[Any]:
        return list(self._context.statusTracker().getJobIdsForGroup(None))
