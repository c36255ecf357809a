"""`serve` in the image, under the narrowest rights that it must do with."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.image.built import built_image
from tests.image.docker import Container, started_container
from tests.serving.serving_process import HttpServer, Serving

# A serverless endpoint's: nothing writable but /tmp, a user without a name or a home, little memory.
NARROW = ("--read-only", "--tmpfs", "/tmp", "--user", "12345:12345", "--memory", "1g")  # noqa: S108
PORT = ("--publish", "127.0.0.1:0:8080")
STOP_SECONDS = 30  # the platform's own limit


@dataclass(frozen=True)
class ContainerServer(HttpServer):
    """A `serve` that was started in a container."""

    container: Container

    def log(self) -> str:
        return self.container.log()

    def ended(self) -> int | None:
        return self.container.ended()

    def wait(self) -> int:
        return self.container.wait()

    def stop(self) -> int:
        return self.container.stop(STOP_SECONDS)


@dataclass(frozen=True)
class InContainer(Serving):
    """In a container of an image, that of the working tree unless another is named."""

    image: str | None = None
    options: tuple[str, ...] = NARROW

    @contextlib.contextmanager
    def started(self, root: Path, environ: Mapping[str, str] | None = None) -> Iterator[ContainerServer]:
        """Start `serve` on what is below `root`, which is mounted read-only; stop it after."""
        root.chmod(0o755)  # pytest closes its folders to all others
        variables = [f"--env={name}={value}" for name, value in (environ or {}).items()]
        options = (*self.options, *PORT, *variables, "--volume", f"{root}:/opt/ml:ro")
        with started_container(self.image or built_image(), "serve", options=options) as container:
            yield ContainerServer(-1 if container.ended() is not None else container.port(), container)
