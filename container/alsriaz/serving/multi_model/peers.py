"""How the workers of one serve reach each other: each listens on a socket, and the kernel tells which still live."""

import contextlib
import secrets
import selectors
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from pathlib import Path

FOLDER = "ALSRIAZ_MODELS_FOLDER"
"""The environment variable by which the supervisor tells the workers where they meet; for nobody else to set."""

_HEAD = "w"  # short: the folder's path leaves little room in a socket's address


class Peer:
    """This worker, as the others see it: they ask it to drop what the registry no longer holds."""

    def __init__(self, folder: Path, drop: Callable[[float], int]) -> None:
        """Listen from now on.

        Args:
            folder: where the sockets of all workers are.
            drop: is called with the seconds it may take, in a thread of its own; what it returns is passed back.
        """
        self.name = _HEAD + secrets.token_hex(4)
        staged = folder / f".{self.name}"
        server = _Server(str(staged), _Asked)
        server.drop = drop
        staged.rename(folder / self.name)  # listens already: nobody finds a socket that refuses
        threading.Thread(target=server.serve_forever, args=(3600,), daemon=True).start()


def is_alive(folder: Path, name: str) -> bool:
    """True where the worker of this name still runs."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(folder / name))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:
            pass  # its queue is full, so there is one
        return True


def ask_all(folder: Path, seconds: float) -> int:
    """Ask every worker to drop what the registry no longer holds; return once each has answered or is dead.

    Args:
        folder: where the sockets are.
        seconds: how long to wait at most.

    Returns:
        How many dropped models are still held by requests that run, a worker that has not answered counted as one.
    """
    deadline = time.monotonic() + seconds
    waiting = [asked for path in sorted(folder.glob(f"{_HEAD}*")) if (asked := _ask(path, seconds)) is not None]
    held = 0
    with contextlib.ExitStack() as open_sockets, selectors.DefaultSelector() as selector:
        for asked in waiting:
            selector.register(open_sockets.enter_context(asked), selectors.EVENT_READ)
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                selector.unregister(key.fileobj)
                held += _answer(key.fileobj)
        return held + len(selector.get_map())


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    drop: Callable[[float], int]


class _Asked(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Drop, then say how many models are still held."""
        with contextlib.suppress(OSError):  # who asked has gone
            line = self.rfile.readline()
            if line:  # else somebody looked whether we live
                self.wfile.write(b"%d\n" % self.server.drop(float(line)))


def _ask(path: Path, seconds: float) -> socket.socket | None:
    asked = socket.socket(socket.AF_UNIX)
    asked.settimeout(seconds)
    try:
        asked.connect(str(path))
        asked.sendall(b"%.3f\n" % seconds)
    except (ConnectionError, FileNotFoundError):
        asked.close()
        path.unlink(missing_ok=True)  # its worker is dead
        return None
    except TimeoutError:
        asked.close()
        return None
    return asked


def _answer(asked: object) -> int:
    """Return what a worker answered; a worker that died meanwhile holds nothing."""
    assert isinstance(asked, socket.socket)  # noqa: S101 - what was registered
    try:
        return int(asked.recv(32) or 0)
    except OSError:
        return 0
