"""Multi-model mode in the image: what only a container shows. tests/serving/test_multi_model.py runs there too."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.worker_memory import write_model
from tests.image.docker import docker
from tests.image.serving_container import NARROW, ContainerServer, InContainer
from tests.model.test_packed import pack
from tests.serving.multi_model_platform import MULTI_MODEL, Platform, write_shop
from tests.serving.serving_process import until

pytestmark = pytest.mark.image

MEGABYTE = 2**20
CUSTOMER = {"customer": "c0000001", "k": 1}

# Prints, for each process of the container that is Python, its resident kilobytes and whether it maps the model.
RESIDENT = """
from pathlib import Path
for folder in Path("/proc").glob("[0-9]*"):
    name = (folder / "comm").read_text()
    if name.startswith(("python", "gunicorn")) and int(folder.name) != __import__("os").getpid():
        lines = (folder / "status").read_text().splitlines()
        size = next(line.split()[1] for line in lines if line.startswith("VmRSS"))
        print(folder.name, size, "/opt/ml/models/large/" in (folder / "maps").read_text())
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_model(tmp_path / "models" / "large", 400_000)
    write_shop(tmp_path / "models" / "small", 1)
    return tmp_path


@pytest.fixture
def server(root: Path) -> Iterator[ContainerServer]:
    with InContainer(options=(*NARROW, "--tmpfs", "/tmp:size=8m")).running(root, MULTI_MODEL) as server:  # noqa: S108
        assert isinstance(server, ContainerServer)
        yield server


def resident(server: ContainerServer) -> dict[str, tuple[int, bool]]:
    """Return each Python process's resident bytes, and whether it maps the large model."""
    lines = docker("exec", server.container.name, "python", "-c", RESIDENT).splitlines()
    return {pid: (1024 * int(size), mapped == "True") for pid, size, mapped in map(str.split, lines)}


def test_memory_falls_after_unload(server: ContainerServer) -> None:
    aws = Platform(server, "/opt/ml")
    before = {pid: size for pid, (size, _) in resident(server).items()}
    assert aws.load("large", "large").status == 200

    def both_have_it() -> bool:
        with ThreadPoolExecutor(8) as pool:
            assert {answer.status for answer in pool.map(lambda _: aws.invoke("large", CUSTOMER), range(16))} == {200}
        return sum(mapped for _, mapped in resident(server).values()) == 2

    until(both_have_it, server.log)
    grown = [pid for pid, (size, _) in resident(server).items() if size > before[pid] + 100 * MEGABYTE]
    assert len(grown) == 2
    assert aws.unload("large").status == 200
    after = resident(server)
    assert not any(mapped for _, mapped in after.values())
    for pid in grown:
        assert after[pid][0] < before[pid] + 10 * MEGABYTE


def test_an_archive_for_which_there_is_no_space(server: ContainerServer, root: Path) -> None:
    aws = Platform(server, "/opt/ml")
    pack(root / "models" / "large", root / "models" / "packed.tar.gz")
    pack(root / "models" / "small", root / "models" / "small.tar.gz")
    answer = aws.invocations("packed.tar.gz", CUSTOMER)
    assert (answer.status, answer.json()["error"]["code"]) == (507, "out_of_memory")
    assert answer.json()["error"]["message"].startswith("There is no space left to unpack the model: unload others")
    assert aws.names() == []
    assert aws.invocations("small.tar.gz", {"customer": "ann"}).status == 200, "the space is free again"


@pytest.mark.parametrize("name", ["manifest.json", "item_gram.npy"])
def test_a_file_that_serve_may_not_read(server: ContainerServer, root: Path, name: str) -> None:
    os.chmod(root / "models" / "small" / name, 0)
    aws = Platform(server, "/opt/ml")
    answer = aws.load("small", "small")
    assert (answer.status, answer.json()["error"]["code"]) == (400, "unusable_model")
    assert "can't be read: Permission denied" in answer.json()["error"]["message"]
    assert "/opt/ml" not in answer.json()["error"]["message"]
    assert aws.names() == []
