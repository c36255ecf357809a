"""What happened, in numbers, for Prometheus. Names and labels stand in docs/http-api.md.

Under gunicorn each worker counts in files of its own in the folder PROMETHEUS_MULTIPROC_DIR, which the supervisor
makes, and any worker answers /metrics with the sums over all files. What a worker counted stays counted when it has
ended. Without that variable, as in tests, counts are this process's. No label holds what a client wrote.
"""

import contextlib
import os
import platform
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from alsriaz import __version__
from alsriaz.questions.tally import Tally
from alsriaz.questions.tasks import TASKS
from alsriaz.serving.live_rules.following import RulesFolder
from alsriaz.serving.live_rules.sources import REASONS
from alsriaz.serving.settings import RULES_FOLDER

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
"""Upper bounds in seconds: from one quick answer to the platform's limit on an endpoint."""


class Metrics:
    """The counts of one application."""

    def __init__(self) -> None:
        """Begin at nothing; under gunicorn, at what the other workers have counted."""
        own = self._registry = CollectorRegistry()
        self._requests = Counter("alsriaz_requests", "Requests that were answered.", ["task", "status"], registry=own)
        self._seconds = Histogram(
            "alsriaz_request_seconds",
            "Seconds from a request's arrival in a worker to the last byte of its answer.",
            ["task"],
            buckets=BUCKETS,
            registry=own,
        )
        self._records = Counter("alsriaz_records", "Records that were answered.", ["task"], registry=own)
        self._failed = Counter("alsriaz_records_failed", "Records that met an error.", ["task"], registry=own)
        self._running = _gauge(own, "alsriaz_requests_in_progress", "Requests that are being answered.", mode="livesum")
        self._model = _gauge(own, "alsriaz_model_info", "The model's short hash: 1.", ["model"])
        self._customers = _gauge(own, "alsriaz_model_customers", "Customers of the model.")
        self._items = _gauge(own, "alsriaz_model_items", "Items of the model.")
        build = _gauge(own, "alsriaz_build_info", "The versions of alsriaz and Python: 1.", ["version", "python"])
        _workers_ended()  # so that it is told before the first one has ended
        build.labels(__version__, platform.python_version()).set(1)
        # In multi-model mode each worker tells what it has just seen; the latest holds.
        self._models = _gauge(own, "alsriaz_models_loaded", "Loaded models.", mode="mostrecent")
        self._models_bytes = _gauge(own, "alsriaz_models_bytes", "Memory they are counted with.", mode="mostrecent")
        self._model_events = Counter("alsriaz_model_events", "Models in and out.", ["event"], registry=own)
        self._kept_in_part = Counter(
            "alsriaz_live_rules_kept_in_part", "Versions that a model could not keep all of.", registry=own
        )
        self._live_rules = _LiveRules(Path(os.environ[RULES_FOLDER])) if os.environ.get(RULES_FOLDER) else None
        if self._live_rules:
            own.register(self._live_rules)
        # Looking up a child takes longer than counting; there are few of them.
        self._request = cache(self._requests.labels)
        self._second = cache(self._seconds.labels)
        self._record = cache(self._records.labels)
        self._failure = cache(self._failed.labels)
        for task in TASKS:  # told from the begin: a count that appears as 1 is no increase to Prometheus
            self._record(task)
            self._failure(task)

    def tell_model(self, short_hash: str, customers: int, items: int) -> None:
        """Say which model is served, and how large it is."""
        self._model.labels(short_hash).set(1)
        self._customers.set(customers)
        self._items.set(items)

    def tell_models(self, count: int, size: int) -> None:
        """Say how many models are loaded in multi-model mode, and the bytes of memory that they are counted with."""
        self._models.set(count)
        self._models_bytes.set(size)

    def count_model(self, event: str) -> None:
        """Count that a model was loaded, unloaded or evicted: `event` is "load", "unload" or "eviction"."""
        self._model_events.labels(event).inc()

    def count_kept_in_part(self) -> None:
        """Count that a model could not keep all of a version of the live rules."""
        self._kept_in_part.inc()

    def began(self) -> None:
        """Count a request that has arrived."""
        self._running.inc()

    def ended(self, tally: Tally, status: int, seconds: float) -> None:
        """Count a request that is over, and its records."""
        task = tally.task
        self._request(task, str(status)).inc()
        self._second(task).observe(seconds)
        for name, count in tally.records.items():
            self._record(name).inc(count)
        for name, count in tally.failed.items():
            self._failure(name).inc(count)
        self._running.dec()  # last: where nothing is in progress, all is counted

    def text(self) -> bytes:
        """Return all counts in Prometheus' text form, of type `CONTENT_TYPE`."""
        folder = os.environ.get(FOLDER)
        if not folder:
            return generate_latest(self._registry)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_AllWorkers(Path(folder)))
        if self._live_rules:
            registry.register(self._live_rules)
        return generate_latest(registry)


def worker_ended(process: int) -> None:
    """Count a worker that has ended, and forget what it was doing; what it counted stays. For gunicorn's master."""
    _workers_ended().inc()
    if os.environ.get(FOLDER):
        mark_process_dead(process)  # type: ignore[no-untyped-call]


@cache
def _workers_ended() -> Counter:
    """Return a count that is of no application: it is gunicorn's main process that sees workers end."""
    return Counter("alsriaz_workers_ended", "Worker processes that have ended, whatever ended them.", registry=None)


class _AllWorkers(Collector):
    """The sums over the files of all workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        files = []
        for path in sorted(self._folder.glob("*.db")):
            with contextlib.suppress(FileNotFoundError):  # of a worker that has just ended
                if path.stat().st_size:  # empty for a moment, when a worker has just begun
                    files.append(str(path))
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


class _LiveRules(Collector):
    """What the poller of live rules knows: it is a process of its own, and says so in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = RulesFolder(folder)

    def collect(self) -> Iterable[Metric]:
        known = self._folder.status()
        info = GaugeMetricFamily("alsriaz_live_rules_info", "The version in force: 1.", None, ["version"])
        if known.version:
            info.add_metric([known.version], 1)
        failures = CounterMetricFamily("alsriaz_live_rules_failures", "Looks that failed.", None, ["reason"])
        for reason in REASONS:
            failures.add_metric([reason], known.failures.get(reason, 0))
        return (
            info,
            GaugeMetricFamily(
                "alsriaz_live_rules_since_timestamp_seconds", "When they came in force.", known.since or 0
            ),
            GaugeMetricFamily(
                "alsriaz_live_rules_checked_timestamp_seconds", "When they were last looked for.", known.checked or 0
            ),
            GaugeMetricFamily(
                "alsriaz_live_rules_succeeded_timestamp_seconds", "When a look last succeeded.", known.succeeded or 0
            ),
            failures,
        )


def _gauge(
    registry: CollectorRegistry, name: str, meaning: str, labels: Iterable[str] = (), mode: str = "max"
) -> Gauge:
    """Return a gauge that is one number over all workers; those of mode "max" are set before the workers begin."""
    return Gauge(name, meaning, labels, registry=registry, multiprocess_mode=mode)  # type: ignore[arg-type]
