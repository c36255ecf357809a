"""Where the tests of HTTP run: on this machine, and in the image."""

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
