"""Runs train and serve as a person would, and ends them again whatever happens."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TRAIN = ROOT / "container" / "alsriaz" / "train"
SERVE = ROOT / "container" / "alsriaz" / "serve"

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECONDS_TO_START = 60
SECONDS_TO_END = 40  # serve lets running requests finish, for at most 25 s by default


class DemoError(Exception):
    """The demo can't go on; the message is for the person who started it."""


class Interrupted(BaseException):
    """A signal asked the demo to end. No Exception, so that nothing but the top of the demo takes it."""

    def __init__(self, number: int) -> None:
        """Take the signal's number."""
        super().__init__(number)
        self.number = number


def end_on_signals() -> None:
    """Turn Ctrl-C, SIGTERM and a closed terminal into `Interrupted`, once: no further one may stop the clearing up."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    for each in SIGNALS:
        signal.signal(each, interrupt)


def train(ml: Path) -> None:
    """Run train on the tree `ml`, showing its lines as they come.

    Raises:
        DemoError: it failed; its own lines have told why.
    """
    with started(TRAIN, {"ALSRIAZ_ML_ROOT": str(ml)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None  # noqa: S101  (a pipe was asked for)
        for line in process.stdout:
            print(f"  | {line.decode(errors='replace').rstrip()}", flush=True)
        status = process.wait()
    if status:
        raise DemoError(f"train ended with exit status {status}; its lines above tell why")


@contextmanager
def serving(ml: Path, port: int, log: Path) -> Iterator["Server"]:
    """Hold a running server for the model in `ml`; what it writes goes to `log`.

    Raises:
        DemoError: it ended, or did not answer within a minute.
    """
    with (
        log.open("wb") as stream,
        started(
            SERVE,
            {"ALSRIAZ_ML_ROOT": str(ml), "SAGEMAKER_BIND_TO_PORT": str(port)},
            stdout=stream,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        server = Server(f"http://127.0.0.1:{port}")
        wait_for(server, process, log)
        yield server


def wait_for(server: "Server", process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return once the server answers /ping."""
    deadline = time.monotonic() + SECONDS_TO_START
    while not server.is_ready():
        if process.poll() is not None:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise DemoError(f"serve ended with exit status {process.returncode}: {' '.join(last)} (log: {log})")
        if time.monotonic() > deadline:
            raise DemoError(f"serve did not answer /ping within {SECONDS_TO_START} s (log: {log})")
        time.sleep(0.05)


@contextmanager
def started(program: Path, environment: dict[str, str], **streams: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Hold a child process in a session of its own; at the end it and all its descendants there are ended.

    Its own session keeps Ctrl-C from it: the terminal sends that to every process of ours at once, and then nobody
    would be in charge of an orderly end.
    """
    with ExitStack() as ending:
        # A signal that came between the child's start and our word of it would leave it behind.
        with signals_held() as before:
            process = subprocess.Popen(
                [sys.executable, program],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),
                **streams,
            )
            ending.callback(end, process)
        yield process


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a child to end, wait, and kill what is left of its group. A signal of ours waits until that is done."""
    with signals_held():
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS_TO_END)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def signals_held() -> Iterator[set[signal.Signals | int]]:
    """Let signals to end wait until the block is left; gives which ones (all kinds) had to wait before it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Server:
    """A server that answers on this machine."""

    def __init__(self, url: str) -> None:
        """Take its address, without a path."""
        self.url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine is behind no proxy

    def is_ready(self) -> bool:
        """Return whether /ping is answered with 200."""
        try:
            with self._opener.open(f"{self.url}/ping", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def ask(self, body: str) -> dict[str, Any]:
        """POST one JSON object to /invocations and return the answer.

        Raises:
            DemoError: the answer is an error.
        """
        request = urllib.request.Request(  # noqa: S310  (our own http address)
            f"{self.url}/invocations", body.encode(), {"Content-Type": "application/json"}
        )
        try:
            with self._opener.open(request, timeout=60) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace").strip()
            raise DemoError(f"the server answered {error.code} to {body}: {said}") from None
        except OSError as error:
            raise DemoError(f"the server did not answer {body}: {error}") from None


def free_port(wanted: int | None) -> int:
    """Return `wanted` where nothing listens there, or any free port.

    Raises:
        DemoError: the wanted port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as nginx does: a port just left is free
        try:
            probe.bind(("0.0.0.0", wanted or 0))  # noqa: S104  (nginx will listen on all addresses)
        except OSError as error:
            raise DemoError(f"port {wanted} can't be used: {error.strerror}; give another with --port") from None
        return int(probe.getsockname()[1])
