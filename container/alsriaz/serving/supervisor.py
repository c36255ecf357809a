"""serve: check the model, start gunicorn, then nginx, and end both when one ends or the platform says stop.

gunicorn listens on a socket in a private folder; nginx opens the port only once gunicorn answers there, so whoever can
connect is answered by a loaded model. Exit status: 0 after SIGTERM or SIGINT, at any time; 1 where the caller can mend
what is wrong; that of a child that ended unasked, 1 where that was 0, 128 + n for signal n.
"""

import asyncio
import importlib.util
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from alsriaz.errors import CallerError, SpecError, Stopped
from alsriaz.platform.layout import Layout
from alsriaz.serving.child import Child
from alsriaz.serving.live_rules.sources import Location, S3Location
from alsriaz.serving.log import configure_log
from alsriaz.serving.nginx import check_port, nginx_configuration, nginx_program, private_folder, socket_path
from alsriaz.serving.settings import MODELS_FOLDER, RULES_FOLDER, Settings, read_settings

APP = "alsriaz.wsgi:app"

_PACKAGE = Path(__file__).resolve().parents[1]
_LOG = logging.getLogger("alsriaz.serve")
_RULES_LOG = logging.getLogger("alsriaz.live_rules")
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - no file of ours has a name there
_PING_SECONDS = 2.0  # the platform's own limit
_UNASKED_END_SECONDS = 5.0
_LAST_ANSWERS_SECONDS = 1.0
_S3_CLIENT = "boto3"
_POLLER = (sys.executable, "-P", "-m", "alsriaz.serving.live_rules.poller")
_PAUSES = (2.0, 60.0)  # seconds before another poller starts: the first time, and at most; each is twice the one before
_FIRST_LOOK_SECONDS = 30.0

Connect = Callable[[], Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def check_model(settings: Settings) -> None:
    """Check the model folder, each file by its hash; ModelError where it can't be used under these settings."""
    # Not at the top: NumPy takes a while, in which a signal would find no handler.
    from alsriaz.model.folder import verify_model
    from alsriaz.questions.question import Limits
    from alsriaz.questions.shop import open_shop

    folder = Layout.from_environment().model
    verify_model(folder)
    open_shop(folder, Limits(settings.max_k))


def main(app: str = APP, verify: Callable[[Settings], None] = check_model) -> int:
    """Serve until told to stop; return the exit status.

    Args:
        app: the WSGI application, as gunicorn names it.
        verify: raises CallerError where there is no use in starting.
    """
    started = time.monotonic()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # the workers share the cores already
        os.environ.setdefault(name, "1")
    for signum in _STOP_SIGNALS:
        signal.signal(signum, _raise_stopped)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)  # the image blocks them until there are handlers
        settings = read_settings(os.environ)
        configure_log(settings.log_level)
        check_location(settings.rules)
        nginx = nginx_program(os.environ)
        check_port(settings.port)
        if not settings.multi_model:  # there models come later, and are verified then
            verify(settings)
        return asyncio.run(supervise(settings, app, nginx, started))
    except Stopped:
        return 0
    except CallerError as error:
        print(f"serve: {error}", file=sys.stderr)
        return 1


async def supervise(settings: Settings, app: str, nginx: str, started: float) -> int:
    """Run gunicorn and nginx until told to stop, or until one ends; return the exit status.

    Args:
        settings: of the server.
        app: the WSGI application, as gunicorn names it.
        nginx: the path of its program.
        started: when serve was started, by time.monotonic.
    """
    with private_folder() as folder:
        return await _Supervisor(settings, app, nginx, folder, started).run()


class _ChildEnded(Exception):
    def __init__(self, child: Child, status: int) -> None:
        super().__init__(f"{child.name} ended with status {status}, unasked")
        self.child = child
        self.status = status


class _Supervisor:
    """One run of serve: the two children, and the order in which they start and end."""

    def __init__(self, settings: Settings, app: str, nginx: str, folder: str, started: float) -> None:
        """Take where nginx is, the private folder, and when (time.monotonic) serve was started."""
        self._settings = settings
        self._app = app
        self._nginx = nginx
        self._folder = folder
        self._started = started
        self._children: list[Child] = []
        self._polling: asyncio.Task[None] | None = None
        self._asked: asyncio.Future[int] = asyncio.get_running_loop().create_future()  # by which signal

    async def run(self) -> int:
        """Serve until asked to stop or until a child ends; return the exit status. Nothing is left running."""
        for signum in _STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(signum, self._ask, signum)
        status = 0
        try:
            await self._start()
            await self._unless_ended(asyncio.Event().wait())
        except Stopped:
            await self._drain()
        except _ChildEnded as end:
            _LOG.error("%s: serve ends too", end)
            status = end.status or 1
            await end.child.kill_group()  # nginx's workers outlive their master, and would hold the port
            for child in self._children:
                await child.end(signal.SIGTERM, _UNASKED_END_SECONDS)
        finally:
            await self._stop_polling()
            for child in self._children:
                await child.kill_group()
        return status

    def _ask(self, signum: int) -> None:
        if not self._asked.done():  # a second signal changes nothing
            self._asked.set_result(signum)

    async def _start(self) -> None:
        path = socket_path(self._folder)
        environ = _children_environment(self._folder, self._settings)
        if self._settings.rules:
            self._polling = asyncio.create_task(keep_polling(environ, str(_PACKAGE.parent)))
        await self._launch("gunicorn", *self._gunicorn_command(path), environ=environ)
        await self._unless_ended(_answered(lambda: asyncio.open_unix_connection(path), "gunicorn"))
        if self._settings.rules:
            await self._unless_ended(first_look(Path(environ[RULES_FOLDER])))

        configuration = Path(self._folder, "nginx.conf")
        configuration.write_text(nginx_configuration(self._settings, self._folder), encoding="utf-8")
        await self._launch(
            "nginx", self._nginx, "-e", "stderr", "-p", self._folder, "-c", str(configuration), environ=os.environ
        )
        await self._unless_ended(_answered(lambda: asyncio.open_connection("127.0.0.1", self._settings.port), "nginx"))
        _LOG.info(
            "serving on port %d: %d workers x %d threads, ready in %.1f s",
            self._settings.port,
            self._settings.workers,
            self._settings.threads,
            time.monotonic() - self._started,
        )

    async def _stop_polling(self) -> None:
        if self._polling:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)

    async def _launch(self, name: str, *command: str, environ: Mapping[str, str]) -> None:
        # gunicorn puts its working directory first on sys.path, so that is the folder above our package and no other.
        self._children.append(await Child.start(name, *command, environ=environ, folder=str(_PACKAGE.parent)))

    def _gunicorn_command(self, path: str) -> list[str]:
        configuration = str(_PACKAGE / "serving" / "gunicorn_conf.py")
        options = ["-c", configuration, "-b", f"unix:{path}", "--worker-tmp-dir", heartbeat_folder(self._folder)]
        return [sys.executable, "-P", "-m", "gunicorn", *options, self._app]

    async def _unless_ended(self, work: Coroutine[Any, Any, object]) -> None:
        """Await `work`; raise Stopped when asked to stop before, _ChildEnded when a child ends before."""
        task = asyncio.ensure_future(work)
        ends = {asyncio.ensure_future(child.ended()): child for child in self._children}
        ours: list[asyncio.Future[Any]] = [task, *ends]
        await asyncio.wait([*ours, self._asked], return_when=asyncio.FIRST_COMPLETED)
        ended = [(child, end.result()) for end, child in ends.items() if end.done()]
        for future in ours:
            future.cancel()  # does nothing to what is done
        await asyncio.gather(*ours, return_exceptions=True)
        if self._asked.done():
            raise Stopped(self._asked.result())
        if ended:
            raise _ChildEnded(*ended[0])
        task.result()

    async def _drain(self) -> None:
        """Let running requests finish: nginx takes no new ones and ends when it has none, then gunicorn has none."""
        _LOG.info("asked to stop: finishing running requests, for at most %d s", self._settings.shutdown_seconds)
        await self._stop_polling()
        deadline = time.monotonic() + self._settings.shutdown_seconds
        for child in reversed(self._children):
            signum = signal.SIGQUIT if child.name == "nginx" else signal.SIGTERM
            if not await child.end(signum, deadline - time.monotonic()):
                _LOG.warning("running requests were not finished in time (ALSRIAZ_SHUTDOWN_SECONDS) and are cut")
                await self._children[0].kill_group()  # gunicorn first: nginx can then tell the clients that wait
                await child.end(signum, _LAST_ANSWERS_SECONDS)
                return


def check_location(location: Location | None) -> None:
    """Raise SpecError where live rules at this location could never be read here."""
    if isinstance(location, S3Location) and importlib.util.find_spec(_S3_CLIENT) is None:
        message = "but boto3 is not installed: pip install boto3, or name a file."
        raise SpecError(f"ALSRIAZ_RULES_URI is {location.uri}, {message}")


async def keep_polling(
    environ: Mapping[str, str],
    folder: str,
    command: tuple[str, ...] = _POLLER,
    pauses: tuple[float, float] = _PAUSES,
) -> None:
    """Run a poller of live rules, and another one whenever it ends, until this task is cancelled: none is left then.

    Args:
        environ: of the poller.
        folder: its working directory.
        command: what to run.
        pauses: seconds before it is started again: at first, and at most where it ends soon each time.
    """
    pause, longest = pauses
    while True:
        began = time.monotonic()
        try:
            child = await Child.start("live rules", *command, environ=environ, folder=folder)
        except OSError as error:
            how = f"can't be started ({error.strerror})"
        else:
            try:
                how = f"ended with status {await child.ended()}, unasked"
            finally:
                await child.kill_group()
        if time.monotonic() - began > longest:
            pause = pauses[0]
        told = "the poller of live rules %s: another one starts in %.0f s; the last good rules stay"
        _RULES_LOG.error(told, how, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest)


async def first_look(folder: Path, seconds: float = _FIRST_LOOK_SECONDS) -> None:
    """Return once live rules have been looked for; after `seconds` in any case, for serving must not hang on them."""
    from alsriaz.serving.live_rules.following import RulesFolder  # not at the top: it takes NumPy along

    deadline = time.monotonic() + seconds
    while RulesFolder(folder).status().checked is None:
        if time.monotonic() > deadline:
            _RULES_LOG.error(
                "live rules have not been looked for within %.0f s: serving starts without, the model's standing rules "
                "hold alone until then",
                seconds,
            )
            return
        await asyncio.sleep(0.05)


def heartbeat_folder(private: str, shared_memory: str = _SHARED_MEMORY) -> str:
    """Return where workers say that they are alive: shared memory, or `private` on a machine that gives none.

    The files have no name there. A slow disk would stop the heartbeat, and cost a worker its life.
    """
    return shared_memory if os.access(shared_memory, os.W_OK | os.X_OK) else private


def _children_environment(folder: str, settings: Settings) -> dict[str, str]:
    """Return our environment for another working directory: its relative paths made absolute.

    The workers' counts are kept in a folder below `folder`, in another one they share which models are loaded, and in a
    third one they find the live rules.
    """
    metrics, models = Path(folder, "metrics"), Path(folder, "models")
    metrics.mkdir()
    models.mkdir()
    rules = {}
    if settings.rules:
        rules = {"ALSRIAZ_RULES_URI": settings.rules.uri, RULES_FOLDER: str(Path(folder, "rules"))}
        Path(rules[RULES_FOLDER]).mkdir()
    paths = [str(_PACKAGE.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    moved = {
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in paths),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        MODELS_FOLDER: str(models),
        "ALSRIAZ_ML_ROOT": str(Layout.from_environment().root.absolute()),
    }
    return {**os.environ, **moved, **rules}


async def _answered(connect: Connect, name: str) -> None:
    """Return once GET /ping is answered 200."""
    began = time.monotonic()
    patience = 10.0
    while not await _ping(connect):
        await asyncio.sleep(0.02)
        if time.monotonic() - began > patience:
            _LOG.info("%s has not answered GET /ping with 200 for %.0f s; still waiting", name, patience)
            patience *= 2


async def _ping(connect: Connect) -> bool:
    try:
        async with asyncio.timeout(_PING_SECONDS):
            reader, writer = await connect()
            try:
                writer.write(b"GET /ping HTTP/1.0\r\nHost: localhost\r\n\r\n")
                answer = await reader.read()
            finally:
                writer.close()
    except OSError:  # TimeoutError is one too
        return False
    return answer.split(b" ", 2)[1:2] == [b"200"]


def _raise_stopped(signum: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(signum)
