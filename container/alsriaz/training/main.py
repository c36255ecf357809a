"""The process boundary of train: signals, exit statuses and the failure file."""

import errno
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType

from alsriaz.errors import CallerError, Stopped
from alsriaz.platform.layout import Layout
from alsriaz.platform.values import shown
from alsriaz.training.run_log import Log

DONE, CALLER, DEFECT = 0, 1, 2
_STOPPING = (signal.SIGTERM, signal.SIGINT)
_CALLERS_ERRNOS = {
    errno.ENOSPC: "there is no space left: give the job a larger volume",
    errno.EDQUOT: "the quota is used up: give the job a larger volume",
    errno.EROFS: "the file system is read-only: mount it writable",
    errno.EACCES: "permission is denied: run as a user who may read the input and write model/ and output/",
    errno.EPERM: "the operation is not permitted: run as a user who may read the input and write model/ and output/",
    errno.ENOTDIR: "a file stands where a folder is expected",
    errno.EISDIR: "a folder stands where a file is expected",
}


def main() -> int:
    """Train under ALSRIAZ_ML_ROOT and return the exit status.

    0: done. 1: the caller can fix it (spec, rules, data, disk, memory). 2: a defect of ours. 128 + n: stopped by signal
    n. Whenever it is not 0, output/failure says why, the sentence for a person first; it is written last.
    """
    _heed_signals()
    sys.unraisablehook = _ring_again
    os.umask(0o022)  # whoever looks at the outputs may be another user than the one who trains
    layout = Layout.from_environment()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)  # the image blocks them until there are handlers
        _train(layout)
    except Stopped as stop:
        name = signal.Signals(stop.signal_number).name
        _fail(layout.failure, f"Training was stopped by {name} before it was done.", "")
        return 128 + stop.signal_number
    except CallerError as error:
        _fail(layout.failure, str(error), "")
        return CALLER
    except MemoryError:
        _fail(layout.failure, "Training ran out of memory: use a larger machine, or a shorter window.", "")
        return CALLER
    except Exception as error:  # noqa: BLE001 - the process boundary: whatever it is, the caller gets a sentence
        if isinstance(error, OSError) and error.errno in _CALLERS_ERRNOS:
            where = layout.shown(Path(error.filename)) if isinstance(error.filename, str) else "a file of the job"
            _fail(layout.failure, f"Can't use {where}: {_CALLERS_ERRNOS[error.errno]}.", "")
            return CALLER
        _fail(layout.failure, *_defect(error))
        return DEFECT
    return DONE


def _train(layout: Layout) -> None:
    # Imported as late as this because it takes a second, and signals must be heeded from the start: process 1 would
    # otherwise never see them.
    from alsriaz.training.job import run

    log = Log()
    if name := os.environ.get("TRAINING_JOB_NAME"):
        log.say(f"training job {shown(name)}")
    run(layout, log, _never_stop_again)


def _defect(error: Exception) -> tuple[str, str]:
    """Return the sentence and the traceback for a defect of ours; an error may even fail to say what it is."""
    try:
        return f"alsriaz has a defect, please report it: {type(error).__name__}: {error}", traceback.format_exc()
    except Exception:  # noqa: BLE001 - the same boundary
        return f"alsriaz has a defect, please report it: {type(error).__name__}", ""


def _heed_signals() -> None:
    for number in _STOPPING:
        signal.signal(number, _stop)


def _ring_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Repeat a signal that came while Python ran a finaliser, which lets no exception out; py4j has many of them."""
    if not isinstance(unraisable.exc_value, Stopped):
        sys.__unraisablehook__(unraisable)
        return
    _heed_signals()
    timer = threading.Timer(0.1, os.kill, (os.getpid(), unraisable.exc_value.signal_number))
    timer.daemon = True
    timer.start()


def _stop(number: int, _frame: FrameType | None) -> None:
    _never_stop_again()  # cleaning up is not to be disturbed
    raise Stopped(number)


def _never_stop_again() -> None:
    """Ignore all further signals: a job that is as good as done, or on its way out, ends soon by itself."""
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _fail(path: Path, sentence: str, trace: str) -> None:
    """Say why the job failed, on standard error and in the failure file, of which SageMaker keeps 1,024 characters."""
    told = f"error: {sentence}\n{trace}".rstrip()
    print(told.encode(errors="backslashreplace").decode(), file=sys.stderr, flush=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{sentence}\n{trace}".rstrip() + "\n", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        print(f"error: {path.name} could not be written: {error.strerror}", file=sys.stderr, flush=True)
