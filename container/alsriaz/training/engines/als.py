"""Spark's side of the engine: a session in a JVM that is already running, and org.apache.spark.ml.recommendation.ALS.

The only module that loads pyspark. That takes as long as java takes to start: import it once java is on its way.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession

from alsriaz.platform.progress import Progress
from alsriaz.platform.spec import Spec
from alsriaz.training.engines import Blocks, FittedFactors
from alsriaz.training.engines.jvm import Gateway

SPARK_ERRORS = (PySparkException, Py4JError, ConnectionError)
"""What a call to Spark may raise."""
APPLICATION = "alsriaz"
SCHEMA = "customer int, item int, rating float"
PROGRESS_SECONDS = 5


def open_session(gateway: Gateway, settings: Mapping[str, str]) -> SparkSession:
    """Return a session with these settings, in the JVM that listens there."""
    forget_session()
    # py4j logs each call that a JVM's end cuts off, with a traceback; whoever made the call tells what went wrong.
    logging.getLogger().addHandler(logging.NullHandler())
    bridge = _connected(gateway)
    # Hadoop's login fails for a user id that /etc/passwd lacks, so everybody trains under this one name.
    users: Any = bridge.jvm.org.apache.hadoop.security.UserGroupInformation
    users.setLoginUser(users.createRemoteUser(APPLICATION))
    conf = SparkConf().setAppName(APPLICATION).setAll(list(settings.items()))
    return SparkSession(SparkContext(conf=conf, gateway=bridge))


def _connected(gateway: Gateway) -> Any:
    """Return pyspark's bridge to the JVM. pyspark takes the address from the environment, where we leave none of it."""
    launch: Any = launch_gateway  # pyspark leaves it untyped
    os.environ |= {"PYSPARK_GATEWAY_PORT": str(gateway.port), "PYSPARK_GATEWAY_SECRET": gateway.secret}
    try:
        return launch()
    finally:
        del os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"]


def forget_session() -> None:
    """Make pyspark forget a session whose JVM has ended.

    It keeps one gateway and one session per process: it would take the dead ones for the next session's, and each
    Python object that stands for a Java one would call its JVM to say goodbye.
    """
    gateway: Any = SparkContext._gateway
    if gateway is not None:
        gateway._gateway_client.is_connected = False
    SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
    SparkSession._instantiatedSession = SparkSession._activeSession = None


def has_openblas(session: SparkSession) -> bool:
    """Tell whether the JVM can load a native BLAS."""
    jvm: Any = session.sparkContext._jvm
    try:
        jvm.dev.ludovic.netlib.blas.JNIBLAS.getInstance()
    except Py4JError:  # what the JVM threw: there is no such library
        return False
    return True


def fit_als(
    session: SparkSession, ratings: Path, shape: tuple[int, int], blocks: Blocks, spec: Spec, progress: Progress
) -> FittedFactors:
    """Fit ALS on a Parquet file with columns customer, item, rating; `shape` counts customers and items.

    Raises:
        PySparkException, Py4JError, ConnectionError: Spark failed, or its JVM has ended.
    """
    frame = session.read.schema(SCHEMA).parquet(str(ratings))  # else Spark runs a job to find that out
    with _following(session.sparkContext, spec, progress):
        model = _als(spec, blocks).fit(frame)
    customers = _by_position(model.userFactors, shape[0], spec.als_rank)
    return FittedFactors(customers, _by_position(model.itemFactors, shape[1], spec.als_rank))


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


@contextmanager
def _following(context: SparkContext, spec: Spec, progress: Progress) -> Iterator[None]:
    """Tell, while Spark fits in the thread that entered, how far it has come."""
    tracker, done = context.statusTracker(), threading.Event()
    jobs_before = len(tracker.getJobIdsForGroup(None))

    def state() -> str:
        # With implicit feedback each half of an iteration is a job of its own; else one job does ten iterations.
        if spec.implicit:
            iteration = max(1, (len(tracker.getJobIdsForGroup(None)) - jobs_before - 3) // 2)  # 3 come before the first
            return f"iteration {min(iteration, spec.max_itter)} of {spec.max_itter}"
        for job in tracker.getActiveJobsIds():
            info = tracker.getJobInfo(job)
            stages = [tracker.getStageInfo(stage) for stage in info.stageIds] if info else []
            ended = sum(stage is not None and stage.numCompletedTasks == stage.numTasks for stage in stages)
            return f"stage {ended + 1} of {len(stages)}"
        return "between two stages"

    def tell() -> None:
        began = time.monotonic()
        while not done.wait(PROGRESS_SECONDS):
            progress(f"fitting for {time.monotonic() - began:.0f} s, {state()}")

    thread = threading.Thread(target=tell, name="spark-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
