"""Workers share one mapped copy of the model."""

from pathlib import Path

import pytest

from benchmarks.worker_memory import RANK, ask_every_worker, memory_of, write_model
from tests.serving.serving_process import running_server

pytestmark = pytest.mark.process


def test_four_workers_take_little_more_than_one_copy_of_the_factors(tmp_path: Path) -> None:
    items, workers, megabyte = 1_000_000, 4, 2**20
    write_model(tmp_path / "model", items)
    with running_server({"ALSRIAZ_ML_ROOT": str(tmp_path), "ALSRIAZ_WORKERS": str(workers)}) as server:
        ask_every_worker(server, workers)
        assert memory_of(server) < 1.3 * items * RANK * 4 + workers * 60 * megabyte
