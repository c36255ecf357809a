"""Signals at each phase of a real `train`: what is finished is kept and whole, and the status tells the truth."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alsriaz.model.folder import verify_model
from alsriaz.platform.layout import Layout
from tests.train_process import PIPE, ROOT, TRAIN, as_csv, facts, groceries, lay_out

SALES = as_csv(groceries(60))
SMALL = {"als_rank": 2, "max_itter": 1, "holdout_days": 0}


def stopped(root: Path, at: str, times: int = 1) -> tuple[int, str]:
    """Run `train` until a line of its log holds `at`, send SIGTERM, and return the status and the rest of the log."""
    environ = dict(os.environ) | {"ALSRIAZ_ML_ROOT": str(root)}
    with subprocess.Popen(TRAIN, env=environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        assert any(at in line for line in process.stderr), f"no line with {at!r}"
        for _ in range(times):
            process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    return process.returncode, rest


@pytest.mark.spark
@pytest.mark.parametrize("comes", [False, True], ids=["never comes", "comes and stalls"])
def test_sigterm_ends_the_wait_for_a_writer_and_more_of_it_change_nothing(tmp_path: Path, comes: bool) -> None:
    facts(tmp_path, {"training": PIPE})
    fifo = Layout(tmp_path).pipe("training")
    fifo.parent.mkdir()
    os.mkfifo(fifo)
    with open(os.open(fifo, os.O_RDWR), "r+b", buffering=0) if comes else contextlib.nullcontext() as writer:
        if writer:
            writer.write(SALES[:1000])
        status, rest = stopped(tmp_path, "through training_0", times=3)
    assert status == 128 + signal.SIGTERM, rest
    assert rest.splitlines()[-1] == "error: Training was stopped by SIGTERM before it was done."
    assert (tmp_path / "output" / "failure").read_text() == "Training was stopped by SIGTERM before it was done.\n"


PHASES = [
    ("waiting for Spark to start", "starting Spark"),
    ("recommendations for", "writing the model: whatever is done first holds"),
]


@pytest.mark.spark
@pytest.mark.parametrize(("at", "why"), PHASES, ids=[why for _, why in PHASES])
def test_after_sigterm_the_model_is_whole_or_absent_and_the_status_says_which(
    tmp_path: Path, at: str, why: str
) -> None:
    status, rest = stopped(lay_out(tmp_path, {"a.csv": SALES}, SMALL), at)
    failure, model = tmp_path / "output" / "failure", tmp_path / "model"
    if status == 0:
        assert at == "recommendations for", "too early to be done"
        verify_model(model)
        assert not failure.exists()
    else:
        assert status == 128 + signal.SIGTERM, rest
        assert failure.read_text() == "Training was stopped by SIGTERM before it was done.\n"
        assert not model.exists() or not list(model.iterdir())
    names = {path.name for path in (tmp_path / "output").rglob("*")}
    assert not [name for name in names if "unfinished" in name]
    assert ("output.csv" in names) == (at == "recommendations for")


ENDING = """
import os, signal, sys, time
sys.path.insert(0, sys.argv[1])
import alsriaz.training.job
from alsriaz.training.main import main

def stop():
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)

class Finalised:
    def __del__(self):
        stop()

def run(layout, log, finishing):
    match sys.argv[2]:
        case "fitting":
            stop()
        case "finalising":
            Finalised()
            time.sleep(60)
        case "finishing":
            finishing()
            stop()

alsriaz.training.job.run = run
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("phase", "status", "why"),
    [
        ("fitting", 128 + signal.SIGTERM, "stopped, and further signals change nothing"),
        ("finalising", 128 + signal.SIGTERM, "stopped too where Python would swallow it"),
        ("finishing", 0, "as good as done, so it is done"),
    ],
    ids=["fitting", "finalising", "finishing"],
)
def test_a_signal_stops_a_job_until_it_is_finishing(tmp_path: Path, phase: str, status: int, why: str) -> None:
    program = [sys.executable, "-c", ENDING, str(ROOT / "container"), phase]
    done = subprocess.run(program, env=dict(os.environ) | {"ALSRIAZ_ML_ROOT": str(tmp_path)}, check=False)
    assert done.returncode == status, why
    assert (tmp_path / "output" / "failure").exists() == (status != 0)


def test_signals_are_heeded_before_anything_heavy_is_loaded() -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1]); import alsriaz.training.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT / "container")], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "pyarrow", "alsriaz.training.job"} & set(done.stdout.split())
