"""Docker as tests use it: a container run to its end, or one that runs beside the test and is removed after it."""

import contextlib
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PATIENCE = 600.0  # seconds; only ever used up where a test fails


@dataclass(frozen=True)
class Container:
    """A container that was started, by its name."""

    name: str

    def log(self) -> str:
        """Return what it has written so far, standard output and standard error as they came."""
        command = ["docker", "logs", self.name]
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=True
        ).stdout

    def inspected(self, template: str) -> str:
        """Return what `docker inspect` says, by a template of its own."""
        return docker("inspect", "--format", template, self.name).strip()

    def ended(self) -> int | None:
        """Return its exit status, or None while it runs."""
        state, status = self.inspected("{{.State.Status}} {{.State.ExitCode}}").split()
        return int(status) if state in ("exited", "dead") else None

    def wait(self) -> int:
        """Wait until it has ended by itself, and return its exit status."""
        return int(docker("wait", self.name))

    def stop(self, seconds: int) -> int:
        """Send SIGTERM, and SIGKILL after `seconds`, as the platform does; return the exit status."""
        docker("stop", "--time", str(seconds), self.name)
        return self.wait()

    def port(self, inside: int = 8080) -> int:
        """Return the port of this machine that leads to port `inside`."""
        return int(docker("port", self.name, str(inside)).split()[0].rpartition(":")[2])


@contextlib.contextmanager
def started_container(image: str, *command: str, options: Sequence[str] = ()) -> Iterator[Container]:
    """Start a container and go on at once; remove it after.

    Args:
        image: its tag.
        command: what to run; nothing for the image's own choice.
        options: of docker run.
    """
    name = f"alsriaz-test-{uuid.uuid4().hex[:12]}"
    try:
        docker("run", "--detach", "--name", name, *options, image, *command)
        yield Container(name)
    finally:
        docker("rm", "--force", "--volumes", name)


def run(image: str, *command: str, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a container to its end, remove it, and return what it said and its exit status."""
    whole = ["docker", "run", "--rm", *options, image, *command]
    return subprocess.run(whole, capture_output=True, text=True, timeout=PATIENCE)


def docker(*arguments: str) -> str:
    """Run `docker` and return its standard output; AssertionError with its words where it fails."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, f"docker {arguments[0]} ended with {done.returncode}:\n{done.stderr[-4000:]}"
    return done.stdout
