"""A virtual environment for each SageMaker SDK, since they exclude each other: `.venv-sdk2` and `.venv-sdk3`.

Each is filled from the extra of its name in pyproject.toml, once; a second run finds it as it is.
"""

import fcntl
import functools
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
IMPORTS = {"sdk2": "sagemaker.local, sagemaker.estimator", "sdk3": "sagemaker.train"}
ORDINARY = 12345  # a user who owns nothing here
PATIENCE = 1200.0  # seconds; only ever used up where a test fails

_VERSION = "import sys; print(*sys.version_info[:2], sep='.'); sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
_STAMP = "alsriaz-setup"


@functools.cache
def sdk_python(extra: str) -> Path:
    """Return the Python of the environment of `extra`, made now where it is missing, half-made or out of date.

    Raises:
        AssertionError: it can't be made; pip's own words are in it.
    """
    folder = ROOT / f".venv-{extra}"
    with (ROOT / "pyproject.toml").open() as lock:  # one at a time, should two runs start at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_whole(folder, extra):
            _make(folder, extra)
    return folder / "bin" / "python"


def requirements(extra: str) -> list[str]:
    """Return what pyproject.toml, the one owner of the versions, pins for `extra`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned: list[str] = project["optional-dependencies"][extra]
    return pinned


def is_whole(folder: Path, extra: str) -> bool:
    """True where `folder` was finished, here, from these pins, and its Python still runs."""
    stamp = folder / _STAMP
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == _stamp(folder, extra)


def ordinary_user() -> dict[str, Any]:
    """Return what subprocess.run needs to run a program as people do: not as root, but with the engine at hand.

    What a container writes is then another user's, as it is for whoever uses the SDK. Nothing where we are not root.
    """
    if os.geteuid() != 0:
        return {}
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    socket = Path(host.removeprefix("unix://"))
    groups = [socket.stat().st_gid] if host.startswith("unix://") and socket.exists() else []
    return {"user": ORDINARY, "group": ORDINARY, "extra_groups": groups}


def runs(command: Sequence[str], user: Mapping[str, Any]) -> bool:
    """True where the user of `ordinary_user` can run `command`: that may need folders which only root may enter."""
    try:
        return subprocess.run(command, cwd="/", capture_output=True, timeout=PATIENCE, **user).returncode == 0
    except PermissionError:
        return False


def _make(folder: Path, extra: str) -> None:
    (folder / _STAMP).unlink(missing_ok=True)
    _run([_interpreter(), "-m", "venv", "--clear", "--without-pip", str(folder)])
    python = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--no-input", "--quiet"]
    _run([*pip, "install", "--no-compile", *requirements(extra)])  # the next line compiles what is used
    _run([python, "-c", f"import {IMPORTS[extra]}"], {"AWS_DEFAULT_REGION": "eu-west-1"})
    (folder / _STAMP).write_text(_stamp(folder, extra), encoding="utf-8")


def _interpreter() -> str:
    """Return a Python that an ordinary user may run, else our own: it may lie in a folder of root's."""
    folders = "/usr/local/bin:/usr/bin"
    others = [shutil.which(name, path=folders) for name in ("python3", "python3.13", "python3.12", "python3.11")]
    ours = str(getattr(sys, "_base_executable", sys.executable))  # not that of .venv, whose packages are ours
    for python in (ours, *others):
        if python and runs([python, "-c", _VERSION], ordinary_user()):
            return python
    return ours


def _stamp(folder: Path, extra: str) -> str:
    """Return what tells a whole environment: its place (a moved one is broken), its Python, the pinned packages."""
    try:
        version = subprocess.run([folder / "bin" / "python", "-c", _VERSION], capture_output=True, timeout=PATIENCE)
    except OSError:
        return "its Python does not run"
    return "\n".join([str(folder), version.stdout.decode().strip(), *requirements(extra)]) + "\n"


def _run(command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        env=os.environ | dict(environ or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}"
