"""gunicorn's settings and hooks. gunicorn runs this file; what depends on the run stands on its command line.

gunicorn's own `timeout` is no limit on a request here: a gthread worker's main thread says that it is alive while a
request runs in another thread, so it would never be replaced. `_replace_when_overdue` sets the limit.
"""

import gc
import os
import signal
import threading
import time
from typing import Any

from alsriaz.serving import overdue
from alsriaz.serving.metrics import worker_ended
from alsriaz.serving.settings import read_settings

_settings = read_settings(os.environ)

preload_app = True  # the model is mapped once, before the workers are forked, and all share it
workers = _settings.workers
worker_class = "gthread"  # not sync: /ping must be answered while a long batch runs
threads = _settings.threads
worker_connections = threads  # a worker accepts only what it can start at once; the rest waits where all can take it
keepalive = 0  # nginx opens a connection per request
backlog = 2048
timeout = _settings.timeout_seconds + 30
graceful_timeout = _settings.shutdown_seconds
loglevel = _settings.log_level
control_socket_disable = True  # it would be made in the home folder, which may be read-only
limit_request_line = 0  # no limit: nginx has set one of 8 KB, for headers too
limit_request_field_size = 0


def when_ready(server: Any) -> None:
    """Leave all that was loaded so far out of garbage collection, which would write into pages that workers share."""
    gc.collect()
    gc.freeze()


def pre_request(worker: Any, request: Any) -> None:
    """Note until when this thread may take."""
    is_load = request.method == "POST" and request.path == "/models"
    seconds = _settings.load_seconds if is_load else _settings.timeout_seconds
    overdue.began(seconds)


def post_request(worker: Any, request: Any, environ: Any, response: Any) -> None:
    """Note that this thread is done; called after failures too."""
    overdue.ended()


def post_worker_init(worker: Any) -> None:
    """Start to watch for requests that take too long."""
    threading.Thread(target=_replace_when_overdue, args=(worker,), daemon=True).start()


def child_exit(server: Any, worker: Any) -> None:
    """Forget what a worker that has ended was doing; called in gunicorn's main process, whatever ended it."""
    worker_ended(worker.pid)


def _replace_when_overdue(worker: Any) -> None:
    """End this worker once a request or a load is overdue and no other request is left that is still in time.

    nginx has answered the overdue request already, and a thread can't be stopped from outside. SIGTERM to ourselves
    makes the worker take no new requests meanwhile; gunicorn starts another in its place.
    """
    while not overdue.any_overdue():
        time.sleep(0.5)
    worker.log.error(
        "A request has run for more than %s seconds (ALSRIAZ_TIMEOUT_SECONDS): worker %s takes no more, and is "
        "replaced when its other requests are done",
        _settings.timeout_seconds,
        os.getpid(),
    )
    os.kill(os.getpid(), signal.SIGTERM)
    while overdue.any_in_time():
        time.sleep(0.1)
    os._exit(1)  # sys.exit would wait for the overdue thread
