"""Programs that use a SageMaker SDK, run as an ordinary user in the SDK's own environment, and what came of them."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.image.docker import Container, docker, run
from tests.image.sdk_environments import PATIENCE, ordinary_user, runs, sdk_python

CLIENTS = Path(__file__).resolve().parent / "clients"
_WORKING_DIR = "com.docker.compose.project.working_dir"


@dataclass(frozen=True)
class Told:
    """What a client returned, all that its user saw on the way, and all that the containers wrote.

    What the SDK shows of a container may lack its last lines.
    """

    result: Any
    shown: str
    log: str


@dataclass(frozen=True)
class Desk:
    """Where a client works: a folder of its user's, for which the SDK starts containers of `image`."""

    image: str
    extra: str
    folder: Path
    user: Mapping[str, Any]

    def put(self, path: str, content: bytes | str) -> Path:
        """Write a file that belongs to the client's user, as do the folders made for it; return the file."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        for made in (target, *target.parents):
            if self.user and made.is_relative_to(self.folder):
                os.chown(made, self.user["user"], self.user["group"])
        return target

    def ask(self, what: str, **request: Any) -> Told:
        """Let the client do `what`, one of its functions, and return what it returned."""
        asked = self.put(f"asked/{what}.json", json.dumps({"image": self.image, **request}))
        answered = asked.with_suffix(".result")
        earlier = containers(self.folder)
        # -P: the client's folder must not hide packages of the SDK's environment.
        command = [
            str(sdk_python(self.extra)),
            "-P",
            str(CLIENTS / f"{self.extra}.py"),
            what,
            str(asked),
            str(answered),
        ]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            **self.user,
        )
        assert done.returncode == 0, f"{self.extra}, {what}, ended with {done.returncode}:\n{done.stdout[-8000:]}"
        log = "".join(container.log() for container in containers(self.folder) if container not in earlier)
        return Told(json.loads(answered.read_text(encoding="utf-8")), done.stdout, log)

    def _environment(self) -> dict[str, str]:
        """Return an environment with credentials that open nothing, and none of the person's own settings.

        Nobody listens at the proxy: what the SDK would send home is refused at once, and it goes on without. (Opting
        out in its own settings makes it check them at every step, for seconds.)
        """
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
        if not self.user:
            ours.setdefault("DOCKER_CONFIG", str(Path.home() / ".docker"))  # may say where the engine is
        return ours | {
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
        }


@contextlib.contextmanager
def desk(image: str, extra: str) -> Iterator[Desk]:
    """Hold a desk for a client of `extra`; remove what it, and its containers, left."""
    user = ordinary_user()
    if not runs([str(sdk_python(extra)), "-c", "import sagemaker"], user):
        print(f"only root may enter the folders of .venv-{extra}: its client runs as root")
        user = {}
    folder = Path(tempfile.mkdtemp(prefix="alsriaz-sdk-"))
    try:
        folder.chmod(0o755)
        made = Desk(image, extra, folder, user)
        made.put("tmp/.made", "")
        yield made
    finally:
        for container in containers(folder):
            docker("rm", "--force", "--volumes", container.name)
        run(image, "chmod", "-R", "a+rwX", "/folder", options=["--volume", f"{folder}:/folder"])  # root's, partly
        shutil.rmtree(folder)


def containers(folder: Path) -> list[Container]:
    """Return the containers that docker-compose started for files below `folder`: the SDKs leave theirs behind."""
    form = f'{{{{.Names}}}} {{{{.Label "{_WORKING_DIR}"}}}}'
    listed = docker("ps", "--all", "--filter", f"label={_WORKING_DIR}", "--format", form)
    named = (line.partition(" ") for line in listed.splitlines())
    return [Container(name) for name, _, where in named if Path(where).is_relative_to(folder)]
