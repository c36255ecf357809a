"""What the image may do and holds: least rights, nothing to fetch, nothing that only a build needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.docker import Container, docker, run, started_container
from tests.image.serving_container import NARROW
from tests.serving.serving_process import until
from tests.train_process import as_csv, groceries, lay_out

pytestmark = pytest.mark.image

QUICK = {"holdout_days": 0, "als_rank": 8, "max_itter": 2}
SOMEBODY = ("--user", "12345:12345")
ALONE = ("--network", "none")  # the platform's network isolation

ASK = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
connection.request("POST", "/invocations", '{"task": "popular", "k": 1}', {"Content-Type": "application/json"})
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


@pytest.fixture(scope="module")
def trained_alone(image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree in which a user without a name or a home has trained, without any network."""
    root = open_to_all(lay_out(tmp_path_factory.mktemp("ml"), {"sales.csv": as_csv(groceries(40))}, QUICK))
    done = run(image, "train", options=(*ALONE, *SOMEBODY, "--volume", f"{root}:/opt/ml"))
    assert done.returncode == 0, done.stderr
    return root


def open_to_all(root: Path) -> Path:
    """Let any user write model/ and output/ below `root`, and read the rest."""
    root.chmod(0o755)
    for name in ("model", "output"):
        (root / name).mkdir()
        (root / name).chmod(0o777)
    return root


@pytest.mark.spark
def test_what_training_writes_can_be_read_by_everybody(trained_alone: Path) -> None:
    """In the SDKs' local mode, the user of the host reads what the container's has written."""
    written = [path for name in ("model", "output") for path in (trained_alone / name).rglob("*")]
    assert {path.name for path in written} >= {"manifest.json", "output.csv", "evaluation.json", "rejected.csv"}
    assert not [path for path in written if not path.stat().st_mode & 0o004]
    assert not [path for path in written if path.is_dir() and not path.stat().st_mode & 0o001]


@pytest.mark.spark
def test_it_is_served_without_any_network(image: str, trained_alone: Path) -> None:
    options = (*ALONE, *NARROW, "--volume", f"{trained_alone}:/opt/ml:ro")
    with started_container(image, "serve", options=options) as container:
        until(lambda: "serving on port 8080" in container.log(), container.log)
        answer = docker("exec", container.name, "python", "-c", ASK)
        assert answer.startswith('200 {"'), answer
        assert '"recommendations"' in answer


USERS = [
    # options                        why
    ((), "root, as on SageMaker"),
    (("--user", "65534:65534"), "nobody"),
    (("--user", "12345:0"), "a uid without a name in group root, as on OpenShift"),
    (("--user", "12345:12345", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"), "no capabilities at all"),
]


@pytest.mark.spark
@pytest.mark.parametrize(("options", "why"), USERS, ids=[row[-1] for row in USERS])
def test_serve_runs_as_any_user(image: str, trained_alone: Path, options: tuple[str, ...], why: str) -> None:
    mounted = ("--read-only", "--tmpfs", "/tmp", "--volume", f"{trained_alone}:/opt/ml:ro")  # noqa: S108
    with started_container(image, "serve", options=(*mounted, *options)) as container:
        until(lambda: "serving on port 8080" in container.log(), container.log)
        assert docker("exec", container.name, "python", "-c", ASK).startswith("200 ")
        assert container.stop(30) == 0
        assert not [line for line in container.log().splitlines() if " ERROR " in line or "[alert]" in line]


@pytest.fixture(scope="module")
def inside(image: str) -> Iterator[Container]:
    """A container to look around in."""
    with started_container(image, "sleep", "infinity") as container:
        yield container


INSIDE = [
    # find's arguments                                                         why
    ("/ -xdev -type f -perm /6000", "nothing runs with another user's rights"),
    ("/opt -not -type l -not -perm -o=r", "everybody may read all of it"),
    ("/opt -type d -not -perm -o=x", "everybody may enter each folder"),
    ("/opt -not -type l -perm /022", "nobody but root may change it"),
    ("/var/cache/apt /var/lib/apt/lists -mindepth 1 -type f", "no caches"),
    ("/usr/share/doc/nginx /usr/share/doc/openjdk-21-jre-headless -type f -not -name copyright", "no documentation"),
]


@pytest.mark.parametrize(("arguments", "why"), INSIDE, ids=[row[-1] for row in INSIDE])
def test_nothing_inside_is(inside: Container, arguments: str, why: str) -> None:
    assert docker("exec", inside.name, "find", *arguments.split()) == ""


def test_what_only_a_build_needs_is_not_there(inside: Container) -> None:
    programs = ["bash", "gcc", "cc", "make", "pip", "git", "curl", "sudo"]
    assert docker("exec", inside.name, "bash", "-c", f"type -P {' '.join(programs)} || true") == "/usr/bin/bash\n"


def test_every_module_of_ours_is_compiled(inside: Container) -> None:
    """Nothing could be compiled at the start where the root is read-only."""
    script = 'find alsriaz -name "*.py" | wc -l; find alsriaz -name "*.pyc" | wc -l'
    sources, compiled = docker("exec", inside.name, "bash", "-c", script).split()
    assert sources == compiled != "0"


def test_the_build_takes_no_more_than_it_needs() -> None:
    """.git, .venv and data would make each build slow, and could leak."""
    lines = Path(__file__).resolve().parents[2].joinpath(".dockerignore").read_text().splitlines()
    assert next(line for line in lines if line and not line.startswith("#")) == "*"
    assert [line for line in lines if line.startswith("!")] == ["!container", "!pyproject.toml"]
