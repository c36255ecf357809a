"""What the tests on the image share."""

import pytest

from tests.image.built import built_image


@pytest.fixture(scope="session")
def image() -> str:
    """The tag of the image of the working tree."""
    return built_image()
