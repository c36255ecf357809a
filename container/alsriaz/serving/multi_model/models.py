"""Multi-model mode: models are loaded, used and unloaded while the server runs. Knows no transport.

The platform's calls load by url and unload by name. A request may also target a model that nobody loaded, as the SDK's
local mode does: it is then loaded on demand, and makes room for others when memory runs short. Models that the
platform loaded never do: the platform unloads them itself, when it is told that there is no room.
"""

import bisect
import contextlib
import errno
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from alsriaz.errors import ModelError, RequestError
from alsriaz.model.folder import Model
from alsriaz.model.manifest import verify_files
from alsriaz.model.packed import unpack_files, unpack_head
from alsriaz.platform.freed_memory import give_memory_back
from alsriaz.platform.layout import RULES_NAME, Layout
from alsriaz.platform.values import shown
from alsriaz.questions.memory import model_size
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import open_shop
from alsriaz.serving import overdue
from alsriaz.serving.live_rules.following import LiveRules, follow
from alsriaz.serving.multi_model.interface import check_name, name_after, token_after
from alsriaz.serving.multi_model.places import folder_of_url, manifest_of, place_of_target
from alsriaz.serving.multi_model.pool import LOOK_AGAIN_SECONDS, Lease, Pool
from alsriaz.serving.multi_model.registry import Entry, Registry, not_loaded
from alsriaz.serving.settings import Settings

PAGE = 100
_LOG = logging.getLogger("alsriaz")
_MEGABYTE = 2**20


class Models:
    """The models of this serve, as one of its workers sees them."""

    def __init__(
        self, folder: Path, layout: Layout, settings: Settings, live: LiveRules, count: Callable[[str], None]
    ) -> None:
        """Take what all workers share; `watch` is to be called after the fork.

        Args:
            folder: where workers meet, closed to other users.
            layout: where models may lie.
            settings: memory, and how long things may take.
            live: the live rules that each model follows.
            count: is told of each "load", "unload" and "eviction".
        """
        self._layout = layout
        self._settings = settings
        self._budget = settings.models_memory_mb * _MEGABYTE
        self._limits = Limits(settings.max_k, settings.max_rule_ids, settings.max_history)
        self._live = live
        self._count = count
        self._registry = Registry(folder)
        self._pool = Pool(self._registry, self._open)
        self._loads: dict[str, Future[None]] = {}  # those on demand that run in this worker, by target
        self._starting = threading.Lock()
        self.watch = self._pool.watch
        self.get = self._registry.loaded

    def load(self, name: str, url: str) -> Entry:
        """Load the model at `url` under `name`; it may take minutes, while other calls go on.

        RequestError `bad_value`, `not_found`, `model_loaded`, `unusable_model` or `out_of_memory` where it can't be.
        """
        check_name(name)
        return self._load(name, url, folder_of_url(url, self._layout), on_demand=False)

    def unload(self, name: str) -> Entry:
        """Unload a model; on return no worker holds it any more, but for requests that outlast the wait.

        RequestError `model_not_loaded` where there is none of that name.
        """
        entry = self._left(name)
        if entry is None:
            raise not_loaded(name)
        self._count("unload")
        return entry

    def page(self, token: str | None) -> tuple[list[Entry], str | None]:
        """Return the loaded models from where `token` says, by name, and the token of the next page or None.

        A model that stays while the pages are read stands in exactly one of them, whatever comes and goes meanwhile.
        RequestError `bad_value` where the token is none of ours.
        """
        models = self._registry.all_loaded()
        if token is not None:
            models = models[bisect.bisect_right(models, name_after(token), key=lambda entry: entry.name) :]
        return models[:PAGE], token_after(models[PAGE - 1].name) if len(models) > PAGE else None

    def totals(self) -> tuple[int, int]:
        """Return how many models are loaded, and the bytes that all models are counted with."""
        models = self._registry.models()
        return sum(entry.state == "loaded" for entry in models), sum(entry.size for entry in models)

    def lease(self, name: str) -> Lease:
        """Return the model of that name for one request, which has to release it.

        RequestError `model_not_loaded`, or `no_model` where its folder has changed since it was loaded.
        """
        lease = self._lease(name)
        if lease is None:
            raise not_loaded(name)
        return lease

    def lease_target(self, target: str) -> Lease:
        """Return the model that a request targets: one of that name, or one loaded on demand from the folder it names.

        RequestError as of `load` and `lease`, and `no_model` where it takes longer than the request may wait.
        """
        check_name(target)
        deadline = time.monotonic() + self._settings.wait_seconds
        while (lease := self._lease(target)) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                message = f"Model {shown(target)} was not loaded in {self._settings.wait_seconds:g} seconds: try again."
                raise RequestError("no_model", message)
            taken = any(entry.name == target and entry.keeps_name for entry in self._registry.models())
            if taken and target not in self._loads:
                time.sleep(LOOK_AGAIN_SECONDS)  # another worker loads or unloads it
            else:
                self._await_load(target, left)
        return lease

    def explain_no_target(self) -> RequestError:
        """Return the error for a request that says to no model what it asks."""
        message = (
            f"This server is in multi-model mode, and {self.totals()[0]} models are loaded: name one in the header "
            "X-Amzn-SageMaker-Target-Model (TargetModel in the SDKs), or send to /models/{name}/invoke."
        )
        return RequestError("no_model", message)

    def _await_load(self, target: str, seconds: float) -> None:
        """Wait for the load of a target in this worker, begun now if none runs; it goes on when the wait is over."""
        with self._starting:
            load = self._loads.get(target)
            if load is None:
                place = place_of_target(target, self._layout)
                if place is None:
                    message = (
                        f"No model named {shown(target)} is loaded, and there is none to load: expected a model folder "
                        "of that name, or of that name without .tar.gz, in models/ or model/ of the platform's base "
                        "folder."
                    )
                    raise RequestError("not_found", message)
                load = self._loads[target] = Future()
                threading.Thread(target=self._load_on_demand, args=(load, target, place), daemon=True).start()
        try:
            load.result(seconds)
        except TimeoutError:
            pass
        except RequestError as error:
            if error.code != "model_loaded":  # another worker was faster
                raise

    def _load_on_demand(self, load: "Future[None]", target: str, place: Path) -> None:
        """Load in a thread of its own, by the clock of a load and not by that of a request."""
        try:
            with overdue.load(self._settings.load_seconds):
                self._load(target, str(place), place, on_demand=True)
            load.set_result(None)
        except BaseException as error:  # noqa: BLE001 - it is raised in the requests that wait for it
            load.set_exception(error)
        finally:
            del self._loads[target]

    def _load(self, name: str, url: str, place: Path, *, on_demand: bool) -> Entry:
        """Load a model: its size first, then its memory, then its files, hashed one by one."""
        began = time.monotonic()
        try:
            with self._registry.begun() as ours:
                packed = place.is_file()
                folder = ours / "model" if packed else place
                manifest = unpack_head(place, folder) if packed else manifest_of(folder, self._layout)
                rules = folder / RULES_NAME
                text = rules.read_bytes() if RULES_NAME in manifest.files and rules.is_file() else b""
                size = model_size(manifest.files, text, self._settings.workers)
                stays = "" if packed else str(folder)
                entry = Entry(ours, name, url, stays, manifest.short_hash, size, on_demand)
                while not self._registry.reserve(entry, self._budget):
                    self._make_room(entry, began + self._settings.load_seconds)
                if packed:
                    unpack_files(place, manifest.files, folder)
                verify_files(folder, manifest)
                open_shop(folder, self._limits)
                give_memory_back()  # this worker may never be asked for the model
                self._registry.finish(entry)
        except ModelError as error:
            raise RequestError("unusable_model", str(error), None if on_demand else "url") from None
        except OSError as error:
            raise _unreadable(error, None if on_demand else "url") from None
        self._count("load")
        _LOG.info(
            "loaded model %s (%s) in %.1f s: %.1f MB, all models %.1f of %.1f MB",
            shown(name),
            entry.model,
            time.monotonic() - began,
            size / _MEGABYTE,
            self.totals()[1] / _MEGABYTE,
            self._budget / _MEGABYTE,
        )
        return entry

    def _make_room(self, entry: Entry, deadline: float) -> None:
        """Evict the model used longest ago, or wait for what is leaving; RequestError where neither would do."""
        models = [model for model in self._registry.models() if model.state != "unloading"]
        staying = sum(model.size for model in models if not model.on_demand)
        if staying + entry.size > self._budget or time.monotonic() > deadline:
            message = (
                f"Model {shown(entry.name)} takes {entry.size / _MEGABYTE:,.1f} MB in {self._settings.workers} workers,"
                f" and {staying / _MEGABYTE:,.1f} of {self._budget / _MEGABYTE:,.1f} MB are taken: unload others, or "
                "raise ALSRIAZ_MODELS_MEMORY_MB."
            )
            raise RequestError("out_of_memory", message)
        victims = [model for model in models if model.on_demand and model.state == "loaded"]
        if not victims or sum(model.size for model in models) + entry.size <= self._budget:
            time.sleep(LOOK_AGAIN_SECONDS)
            return
        victim = min(victims, key=lambda model: model.used)
        with contextlib.suppress(RequestError):  # another load was faster
            if self._left(victim.name, evict=True) is not None:
                self._count("eviction")
                _LOG.info("model %s made room for %s", shown(victim.name), shown(entry.name))

    def _left(self, name: str, *, evict: bool = False) -> Entry | None:
        """Stop a model from answering, and wait until nobody holds it, or for as long as unloading may take.

        Return None where it was leaving already: whoever began that is at it, or has died.
        """
        seconds = self._settings.unload_seconds
        deadline = time.monotonic() + seconds
        entry, answered = self._registry.leave(name, seconds, evict=evict)
        self._pool.drop_gone()
        while entry.place.exists():
            if time.monotonic() > deadline:
                _LOG.warning("a request still uses model %s: its memory is free when that ends", shown(name))
                break
            self._registry.look_through()
            time.sleep(LOOK_AGAIN_SECONDS / 4)
        return entry if answered else None

    def _lease(self, name: str) -> Lease | None:
        try:
            return self._pool.lease(name)
        except ModelError as error:
            message = f"Model {shown(name)} can no longer be used: {error} Unload it, then load it again."
            raise RequestError("no_model", message) from None

    def _open(self, folder: Path, model: str) -> tuple[Recommender, Model]:
        shop = open_shop(folder, self._limits)
        if shop.model_hash != model:
            raise ModelError("Its folder holds another model than when it was loaded.")
        return follow(shop, self._live), shop.model


def _unreadable(error: OSError, field: str | None) -> RequestError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = "There is no space left to unpack the model: unload others, or give TMPDIR more space."
        return RequestError("out_of_memory", message)
    return RequestError("unusable_model", f"The model can't be read: {error.strerror}.", field)
