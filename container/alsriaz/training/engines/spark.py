"""The Spark engine: org.apache.spark.ml.recommendation.ALS on this machine. The only module that imports pyspark."""

import contextlib
import os
import re
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
from py4j.protocol import Py4JError
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
BESIDE_HEAP_MB = 384  # Python, and the JVM's own needs
OLDEST_JAVA = 17
START_SECONDS = 60
# These would change where Spark writes, or what it computes, behind the spec's back.
INHERITED = ("SPARK_HOME", "SPARK_CONF_DIR", "SPARK_LOCAL_DIRS", "PYSPARK_SUBMIT_ARGS", "PYSPARK_GATEWAY_PORT")
OPENBLAS = "libopenblas.so.0"
PROGRESS_SECONDS = 5
_LOG4J = Path(__file__).with_name("log4j2.properties")


class SparkEngine:
    """A Spark session of this process alone, started in the background as soon as the engine is entered."""

    def __init__(self, scratch: Path) -> None:
        """Keep all of Spark's files in `scratch`."""
        self._scratch = scratch
        self._session: SparkSession | None = None
        self._trouble = "it said nothing"
        self._gateway: Any = None
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Thread(target=self._start, name="spark-start", daemon=True)

    def __enter__(self) -> "SparkEngine":
        check_machine()
        self._starting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End Spark at once: whatever it holds is in the scratch folder, and nobody needs it any more."""
        self._starting.join(START_SECONDS)  # else a JVM would outlive a run that failed early, and write on
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
        except Py4JError:  # what the JVM threw: there is no such library
            return "Java"
        return "OpenBLAS"

    def fit(self, matrix: RatingMatrix, blocks: Blocks, spec: Spec, progress: Progress) -> Factors:
        """Fit ALS and return its factors by position.

        Raises:
            CallerError: the machine is too small, or the spec leaves equations without a solution.
        """
        if self._starting.is_alive():
            progress("waiting for Spark to start")
        session = self._running()
        try:
            ratings = self._hand_over(session, matrix)
            with _following(session.sparkContext, spec, progress):
                model = _als(spec, blocks).fit(ratings)
            return Factors(
                _by_position(model.userFactors, matrix.n_customers, spec.als_rank),
                _by_position(model.itemFactors, matrix.n_items, spec.als_rank),
            )
        except (PySparkException, Py4JError, ConnectionError) as error:
            raise self._explained(error, spec) from None  # the error itself would ask the JVM for its words

    def _hand_over(self, session: SparkSession, matrix: RatingMatrix) -> DataFrame:
        """Return the ratings as a DataFrame; a Parquet file takes them to the JVM without passing row by row."""
        path = self._scratch / "ratings.parquet"
        columns = {"customer": matrix.customers, "item": matrix.items, "rating": matrix.ratings}
        pyarrow.parquet.write_table(pa.table(columns), path, compression="lz4")
        return session.read.parquet(str(path))

    def _start(self) -> None:
        try:
            _forget_session()
            for name in INHERITED:
                os.environ.pop(name, None)
            conf = self._conf()
            launch: Any = launch_gateway  # pyspark leaves it untyped
            with (self._scratch / "jvm.log").open("wb") as log:
                gateway = launch(conf, {"stdout": log, "stderr": log, "start_new_session": True})
            self._gateway, self._process = gateway, gateway.proc
            context = SparkContext(conf=conf, gateway=gateway)
            context.setCheckpointDir(str(self._scratch / "checkpoints"))
            self._session = SparkSession(context)
        except BaseException as error:  # noqa: BLE001 - it is told in the thread that asks for the session
            self._trouble = str(error)

    def _running(self) -> SparkSession:
        self._starting.join()
        if self._session is None:
            cause = (self._log().strip().splitlines() or [self._trouble])[-1]
            raise CallerError(f"Spark did not start, with a heap of {heap_mb()} MB: {cause[:300]}")
        return self._session

    def _conf(self) -> SparkConf:
        os.environ["OPENBLAS_NUM_THREADS"] = "1"  # Spark's tasks are the threads
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
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
                ("spark.driver.memory", f"{heap_mb()}m"),
                ("spark.driver.host", "127.0.0.1"),
                ("spark.driver.bindAddress", "127.0.0.1"),
                ("spark.driver.maxResultSize", "0"),
                ("spark.driver.extraJavaOptions", " ".join(f'"{option}"' for option in java)),
                ("spark.local.dir", str(self._scratch)),
                ("spark.sql.warehouse.dir", str(self._scratch / "warehouse")),
                ("spark.sql.files.minPartitionNum", "1"),  # not the number of cores: partitions depend on the data
                ("spark.sql.shuffle.partitions", "2"),
                ("spark.ui.enabled", "false"),
                ("spark.ui.showConsoleProgress", "false"),
            ]
        )

    def _explained(self, error: Exception, spec: Spec) -> AlsriazError:
        """Return what went wrong in words; to be called before the JVM is ended: py4j's errors ask it for theirs."""
        memory = f"als_rank {spec.als_rank}, a memory limit of {memory_limit() >> 20:,} MB"
        remedy = "Choose a smaller als_rank or a shorter window, or use a machine with more memory."
        if self._process is not None and self._process.poll() is not None:
            return CallerError(
                f"Spark's process was ended from outside, most likely for want of memory ({memory}). {remedy}"
            )
        try:
            told = str(error)
        except (Py4JError, ConnectionError):
            told = ""
        told += self._log()
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


def heap_mb() -> int:
    """Return how large the JVM's heap may be."""
    return max(SMALLEST_HEAP_MB, int(memory_limit() * HEAP_SHARE) >> 20)


def check_machine() -> None:
    """Raise CallerError where Spark can't run here: before anything is read, so that nobody waits for the news."""
    least = SMALLEST_HEAP_MB + BESIDE_HEAP_MB
    if memory_limit() >> 20 < least:
        raise CallerError(
            f"There are {memory_limit() >> 20} MB of memory, expected at least {least} to train with Spark."
        )
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java")) if home else shutil.which("java")
    wanted = f"Spark needs Java {OLDEST_JAVA} or newer"
    if java is None:
        where = f"JAVA_HOME is {home!r}, but there is no bin/java in it" if home else "there is no java on PATH"
        raise CallerError(f"{wanted}, and {where}: install a JRE, or set JAVA_HOME to one.")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, errors="replace").stderr
    version = re.search(r'version "(\d+)(?:\.(\d+))?', told)
    if version and int(version[2] if version[1] == "1" else version[1]) < OLDEST_JAVA:
        raise CallerError(f"{wanted}, found {told.splitlines()[0]}: install a newer one, or set JAVA_HOME to it.")


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
