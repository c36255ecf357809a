"""How long the requests and loads of this worker may take. Knows no server: `gunicorn_conf` acts on it."""

import contextlib
import threading
import time
from collections.abc import Iterator

_GRACE_SECONDS = 2.0
"""How much later than nginx's 504 a worker is replaced: the client gets an answer that says why, not a cut connection.
"""

_requests: dict[int, float] = {}  # when (time.monotonic) each thread's request is overdue
_loads: dict[int, float] = {}  # and each thread's load


def began(seconds: float) -> None:
    """Note that this thread's request may take so long."""
    _requests[threading.get_ident()] = time.monotonic() + seconds + _GRACE_SECONDS


def ended() -> None:
    """Note that this thread's request is done."""
    _requests.pop(threading.get_ident(), None)


@contextlib.contextmanager
def load(seconds: float) -> Iterator[None]:
    """Note that what this thread does meanwhile may take so long, whatever the requests may that wait for it."""
    _loads[threading.get_ident()] = time.monotonic() + seconds + _GRACE_SECONDS
    try:
        yield
    finally:
        del _loads[threading.get_ident()]


def any_overdue() -> bool:
    """Return whether something has taken longer than it may: a thread can't be stopped from outside."""
    now = time.monotonic()
    return any(now > moment for moment in [*_requests.values(), *_loads.values()])


def any_in_time() -> bool:
    """Return whether there are requests that may still be answered; loads don't count: others can begin them again."""
    now = time.monotonic()
    return any(now <= moment for moment in list(_requests.values()))
