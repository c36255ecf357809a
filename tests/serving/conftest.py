"""Where the tests of HTTP run: on this machine, and in the image."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.serving_container import InContainer
from tests.serving.serving_process import Locally, Serving

WAYS = [
    pytest.param(Locally(), id="process"),
    pytest.param(InContainer(), id="container", marks=pytest.mark.image),
]


@pytest.fixture(scope="module", params=WAYS)
def serving(request: pytest.FixtureRequest) -> Serving:
    """A way to run `serve` on a model folder; each test that asks for it runs once each way."""
    way: Serving = request.param
    return way


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder of its own for each test, to hold sockets: their paths have 107 bytes at most, and pytest's are long."""
    with tempfile.TemporaryDirectory(prefix="alsriaz-test-") as folder:
        yield Path(folder)
