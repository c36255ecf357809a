"""What nginx needs to start: its program, a port that is free, a private folder, and its configuration filled in."""

import contextlib
import os
import re
import resource
import shutil
import socket
import string
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from alsriaz.errors import SpecError
from alsriaz.platform.values import shown
from alsriaz.serving.settings import ROWS, Settings

_TEMPLATE = Path(__file__).resolve().parents[1] / "nginx.conf"
_MORE_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"  # not on the PATH of ordinary users
_MOST_FILES = 8192
_LONGEST_SOCKET_PATH = 107  # bytes; sockaddr_un has room for 108, the last one 0


def nginx_program(environ: Mapping[str, str], more_folders: str = _MORE_FOLDERS) -> str:
    """Return the path of nginx, looked for on the PATH, then in `more_folders`; SpecError where it is in none."""
    searched = f"{environ.get('PATH', os.defpath)}:{more_folders}"
    found = shutil.which("nginx", path=searched)
    if not found:
        raise SpecError(f"nginx is not installed: it is in none of {searched}. On Debian: apt-get install nginx")
    return found


def check_port(port: int) -> None:
    """Raise SpecError where nginx could not bind `port`, before a model is loaded for nothing."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as nginx does: closed connections don't count
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - a container serves on every interface
        except OSError as error:
            raise SpecError(
                f"Port {port} can't be listened on ({os.strerror(error.errno or 0)}): free it, or name another one "
                f"in the environment variable {ROWS['port'].name}."
            ) from None


@contextlib.contextmanager
def private_folder() -> Iterator[str]:
    """Make a folder for sockets, configuration and temporary files that only this user can enter; remove it after.

    Raises:
        SpecError: none can be made, or its path can't hold a socket or stand in nginx's configuration.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="alsriaz-serve-", ignore_cleanup_errors=True)
    except OSError as error:
        raise SpecError(f"No temporary folder can be made ({error}): name a writable one in TMPDIR.") from None
    with folder as path:
        if len(os.fsencode(socket_path(path))) > _LONGEST_SOCKET_PATH or not re.fullmatch(r"[\w./+,@= -]+", path):
            raise SpecError(
                f"The temporary folder {shown(path, 200)} can't hold a socket: expected a path of less than 90 bytes, "
                "of letters, digits and ._-/ only. Name another one in TMPDIR."
            )
        yield path


def socket_path(folder: str) -> str:
    """Return where gunicorn listens; nginx.conf has the same name."""
    return f"{folder}/gunicorn.sock"


def nginx_configuration(settings: Settings, folder: str) -> str:
    """Return nginx.conf, filled in."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_files = _MOST_FILES if most_files == resource.RLIM_INFINITY else min(_MOST_FILES, most_files)
    return _Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        # nginx's workers stay the user that we are: the private folder is closed to all others. Who is not root has no
        # choice, and is warned for choosing.
        user="user root;" if os.geteuid() == 0 else "",
        folder=folder,
        port=settings.port,
        open_files=open_files,
        connections=open_files // 2,
        max_body_mb=settings.max_body_mb or 0,  # nginx's word for no limit
        timeout_seconds=settings.timeout_seconds,
        load_seconds=settings.load_seconds,
    )


class _Template(string.Template):
    delimiter = "%"  # nginx has variables of its own, with $
