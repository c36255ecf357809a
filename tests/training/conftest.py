"""One Spark for all tests that only fit by it; those of its start and end have their own."""

from collections.abc import Iterator

import pytest

from alsriaz.training.engines import open_engine
from alsriaz.training.engines.spark import SparkEngine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkEngine]:
    """The engine that runs Spark."""
    with open_engine("spark", tmp_path_factory.mktemp("spark")) as engine:
        assert isinstance(engine, SparkEngine)
        yield engine
