"""A real `serve`, on a free port, for tests that speak HTTP to it or watch its processes.

Tests of HTTP alone take the fixture `serving` of conftest.py, and so run against the image too.
"""

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
SERVE = (sys.executable, str(ROOT / "container" / "alsriaz" / "serve"))
PATIENCE = 60.0  # seconds; only ever used up where a test fails


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class HttpServer(ABC):
    """A `serve` that was started, wherever it runs."""

    port: int

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = PATIENCE,
    ) -> Answer:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def answers_ping(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.request("GET", "/ping", timeout=5).status == 200
        return False

    @abstractmethod
    def log(self) -> str:
        """Return all that serve, gunicorn and nginx have written so far."""

    @abstractmethod
    def ended(self) -> int | None:
        """Return its exit status, or None while it runs."""

    @abstractmethod
    def wait(self) -> int:
        """Wait until it has ended by itself, and return its exit status."""

    @abstractmethod
    def stop(self) -> int:
        """Ask it to stop, as the platform does, and return its exit status."""


@dataclass(frozen=True)
class Server(HttpServer):
    """A `serve` on this machine; `process` is its supervisor."""

    process: "subprocess.Popen[bytes]"
    _log: IO[bytes]

    def log(self) -> str:
        return Path(self._log.name).read_text(encoding="utf-8", errors="replace")

    def ended(self) -> int | None:
        return self.process.poll()

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()


class Serving(ABC):
    """A way to run `serve` on the model below a folder."""

    @abstractmethod
    def started(self, root: Path, environ: Mapping[str, str] | None = None) -> AbstractContextManager[HttpServer]:
        """Start `serve` on what is below `root` and go on at once; stop it after."""

    @contextlib.contextmanager
    def running(self, root: Path, environ: Mapping[str, str] | None = None) -> Iterator[HttpServer]:
        """Like `started`, but go on once /ping is answered 200 through nginx."""
        with self.started(root, environ) as server:
            until_ready(server)
            yield server


class Locally(Serving):
    """As a process of this machine."""

    def started(self, root: Path, environ: Mapping[str, str] | None = None) -> AbstractContextManager[HttpServer]:
        return started_server({"ALSRIAZ_ML_ROOT": str(root), **(environ or {})})


@contextlib.contextmanager
def started_server(
    environ: Mapping[str, str] | None = None, *, command: Sequence[str] = SERVE, **options: Any
) -> Iterator[Server]:
    """Start `command` on a free port and go on at once; stop it after.

    Args:
        environ: variables on top of this process's own.
        command: what to run.
        options: of subprocess.Popen, such as `user` and `cwd`.
    """
    port = free_port()
    everything = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port), **(environ or {})}
    with tempfile.NamedTemporaryFile(prefix="alsriaz-test-", suffix=".log") as log:
        process = subprocess.Popen(command, env=everything, stdout=log, stderr=subprocess.STDOUT, **options)
        try:
            yield Server(port, process, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()  # gunicorn and nginx then get SIGTERM from the kernel
                process.wait()
                raise


@contextlib.contextmanager
def running_server(
    environ: Mapping[str, str] | None = None, *, command: Sequence[str] = SERVE, **options: Any
) -> Iterator[Server]:
    """Like `started_server`, but go on once /ping is answered 200 through nginx."""
    with started_server(environ, command=command, **options) as server:
        until_ready(server)
        yield server


def until_ready(server: HttpServer) -> None:
    """Return once /ping is answered 200; AssertionError where serve ends before."""
    until(lambda: server.ended() is not None or server.answers_ping(), server.log)
    if server.ended() is not None:
        raise AssertionError(f"serve ended with {server.ended()} before it served:\n{server.log()}")


def free_port() -> int:
    """Return a port that nobody listens on now.

    It lies below those that the kernel hands out (from 32768 on), so that no connection of this machine takes it.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_768)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("0.0.0.0", port))  # noqa: S104
            return port


def until(condition: Callable[[], bool], explain: Callable[[], str] = str) -> None:
    """Return once `condition` holds; AssertionError with what `explain` says where that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE:.0f} s in vain\n{explain()}")
        time.sleep(0.02)


def descendants(pid: int) -> dict[int, str]:
    """Return the name in /proc of each living process that `pid` started, directly or not, by its own pid."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, _, rest = (folder / "stat").read_text().partition(" (")[2].rpartition(") ")
            state, parent = rest.split()[:2]
            if state not in "ZX":
                parents[int(folder.name)] = (int(parent), name)
    found: dict[int, str] = {}
    level = {pid}
    while level:
        level = {child for child, (parent, _) in parents.items() if parent in level}
        found |= {child: parents[child][1] for child in level}
    return found


def alive(pid: int) -> bool:
    """True where `pid` is a process that has not ended; one that waits to be reaped has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def listening(port: int) -> bool:
    """True where a connection to `port` is accepted."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
