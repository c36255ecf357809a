"""The image of the working tree, built once for whatever content it has."""

import fcntl
import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.image.docker import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
NAME = "alsriaz-test"


@cache
def built_image() -> str:
    """Return the tag of the image of the working tree as it is; build it where no earlier run has.

    The tag is made of what goes into the build, so that a run builds nothing after which nothing was changed.
    """
    # One build at a time: two test runs at once would both do the same work.
    with Path(tempfile.gettempdir(), f"{NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tag = f"{NAME}:{content_hash()}"
        if subprocess.run(["docker", "image", "inspect", tag], capture_output=True, timeout=PATIENCE).returncode:
            _build(tag)
    return tag


def _build(tag: str) -> None:
    # The host's network: an engine inside another container often has no other way out.
    command = ["docker", "build", "--network", "host", "--tag", tag, str(ROOT)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=3 * PATIENCE)
    assert done.returncode == 0, f"docker build ended with {done.returncode}:\n{done.stdout[-8000:]}"


def content_hash() -> str:
    """Return 16 hexadecimal digits that stand for all that the image is made of."""
    digest = hashlib.sha256()
    for path in sorted(build_files()):
        executable = bool(path.stat().st_mode & 0o111)
        digest.update(f"{path.relative_to(ROOT)}\0{executable}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def build_files() -> Iterator[Path]:
    """Yield the files that a build reads: what .dockerignore lets through, and how it is built."""
    yield from (ROOT / name for name in ("Dockerfile", ".dockerignore", "pyproject.toml"))
    for path in (ROOT / "container").rglob("*"):
        made = any(part == "__pycache__" or part.endswith(".egg-info") for part in path.parts)
        if path.is_file() and not made:
            yield path


if __name__ == "__main__":
    built_image()
