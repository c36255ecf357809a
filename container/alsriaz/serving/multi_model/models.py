"""Multi-model mode: models are loaded, used and unloaded while the server runs. Knows no transport.

The platform's calls load by url and unload by name. A request may also target a model that nobody loaded, as the SDK's
local mode does: it is then loaded on demand, and makes room for others when memory runs short. Models that the
platform loaded never do: the platform unloads them itself, when it is told that there is no room.
"""

import errno
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alsriaz.errors import ModelError, RequestError
from alsriaz.platform.layout import Layout
from alsriaz.platform.values import shown
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import open_shop
from alsriaz.serving.live_rules.model import NO_LIVE_RULES, LiveRules, follow
from alsriaz.serving.multi_model.entry import Entry
from alsriaz.serving.multi_model.loading import Loader
from alsriaz.serving.multi_model.names import check_name, name_after, token_after
from alsriaz.serving.multi_model.peers import Peer, ask_all, is_alive
from alsriaz.serving.multi_model.places import folder_of_url, place_of_target
from alsriaz.serving.multi_model.pool import Lease, Pool
from alsriaz.serving.multi_model.registry import NoRoom, Registry, not_loaded
from alsriaz.serving.settings import Settings

LOAD_SECONDS = 360
"""How long the platform lets a load take."""

PAGE = 100
_LOG = logging.getLogger("alsriaz")
_LOOK_AGAIN_SECONDS = 0.02
_UNLOAD_SECONDS = 30.0
_MEGABYTE = 2**20


@dataclass(frozen=True)
class Terms:
    """What models are loaded under.

    Attributes:
        budget: bytes of memory for all models together, in all workers.
        workers: how many processes map each model.
        unload_seconds: how long unloading waits for requests that still use the model.
        limits: of each model's recommender.
        live: the live rules that each model follows.
    """

    budget: int
    workers: int
    unload_seconds: float
    limits: Limits
    live: LiveRules = NO_LIVE_RULES


def terms_of(settings: Settings, limits: Limits, live: LiveRules = NO_LIVE_RULES) -> Terms:
    """Return the terms that the server's settings ask for."""
    wait = min(_UNLOAD_SECONDS, settings.timeout_seconds / 2)  # unloading is to be answered in time itself
    return Terms(settings.models_memory_mb * _MEGABYTE, settings.workers, wait, limits, live)


class Models:
    """The models of this serve, as one of its workers sees them."""

    def __init__(self, folder: Path, layout: Layout, terms: Terms, count: Callable[[str], None]) -> None:
        """Take where the workers meet; nothing is opened before the first call, which comes after the fork.

        Args:
            folder: exists, closed to other users, the same for all workers, with a path that leaves room for 13 bytes.
            layout: where models may lie.
            terms: budget and limits.
            count: is told of each "load", "unload" and "eviction".
        """
        self._folder = folder
        self._layout = layout
        self._terms = terms
        self._count = count
        self._registry = Registry(folder, terms.budget, lambda owner: is_alive(folder, owner))
        self._pool = Pool(self._registry, self._open)
        self._loader = Loader(self._registry, folder, layout, terms.workers, terms.limits.most_k)
        self._peer: Peer | None = None
        self._starting = threading.Lock()

    def load(self, name: str, url: str) -> Entry:
        """Load the model at `url` under `name`; it may take minutes, while other calls go on.

        Raises:
            RequestError: `bad_value`, `not_found`, `model_loaded`, `unusable_model`, or `out_of_memory`.
        """
        check_name(name)
        folder = folder_of_url(url, self._layout)
        return self._load(name, url, folder, on_demand=False)

    def unload(self, name: str) -> Entry:
        """Unload a model; on return no worker holds it any more, but for requests that outlast the wait.

        Raises:
            RequestError: `model_not_loaded`.
        """
        try:
            entry = self._registry.leave(name, self._worker())
        except RequestError:
            ask_all(self._folder, self._terms.unload_seconds)  # what a worker had begun to unload when it died
            raise
        self._drop(entry)
        self._count("unload")
        return entry

    def get(self, name: str) -> Entry:
        """Return what is known of a loaded model; RequestError `model_not_loaded` where there is none."""
        entry = self._registry.snapshot().loaded(name)
        if entry is None:
            raise not_loaded(name)
        return entry

    def page(self, token: str | None) -> tuple[list[Entry], str | None]:
        """Return the loaded models from where `token` says, by name, and the token of the next page or None.

        Raises:
            RequestError: `bad_value`, where the token is none of ours.
        """
        entries, more = self._registry.page(None if token is None else name_after(token), PAGE)
        return entries, token_after(entries[-1].name) if more else None

    def totals(self) -> tuple[int, int]:
        """Return how many models are loaded, and the bytes that all models are counted with."""
        snapshot = self._registry.snapshot()
        return sum(entry.state == "loaded" for entry in snapshot.models.values()), snapshot.size

    def lease(self, name: str) -> Lease:
        """Return the model of that name for one request, which has to release it.

        Raises:
            RequestError: `model_not_loaded`, or `no_model` where its folder has changed since it was loaded.
        """
        lease = self._lease(name)
        if lease is None:
            raise not_loaded(name)
        return lease

    def lease_target(self, target: str) -> Lease:
        """Return the model that a request targets: one of that name, or one loaded on demand from the folder it names.

        Raises:
            RequestError: as `load` and `lease`.
        """
        check_name(target)
        deadline = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < deadline:
            lease = self._lease(target)
            if lease is not None:
                return lease
            if target in self._registry.snapshot().models:
                time.sleep(_LOOK_AGAIN_SECONDS)  # it is on its way in or out
            else:
                self._load_target(target)
        raise RequestError("no_model", f"Model {shown(target)} was not loaded in {LOAD_SECONDS} seconds: try again.")

    def explain_no_target(self) -> RequestError:
        """Return the error for a request that says to no model what it asks."""
        count, _ = self.totals()
        message = (
            f"This server is in multi-model mode, and {count} models are loaded: name one in the header "
            "X-Amzn-SageMaker-Target-Model (TargetModel in the SDKs), or send to /models/{name}/invoke."
        )
        return RequestError("no_model", message)

    def _load_target(self, target: str) -> None:
        place = place_of_target(target, self._layout)
        if place is None:
            message = (
                f"No model named {shown(target)} is loaded, and there is none to load: expected a model folder of that "
                "name, or of that name without .tar.gz, in models/ or model/ of the platform's base folder."
            )
            raise RequestError("not_found", message)
        try:
            self._load(target, str(place), place, on_demand=True)
        except RequestError as error:
            if error.code != "model_loaded":  # another request was faster
                raise

    def _load(self, name: str, url: str, place: Path, *, on_demand: bool) -> Entry:
        began = time.monotonic()
        entry = Entry(name, url, str(place), model="", size=0, on_demand=on_demand, owner=self._worker())
        try:
            with self._loader.prepared(entry) as prepared:
                loaded = self._loader.fill(self._reserved(prepared.entry), prepared)
        except (ModelError, OSError) as error:
            raise _unusable(error, None if on_demand else "url") from None
        self._count("load")
        size, all_bytes = loaded.size / _MEGABYTE, self._registry.snapshot().size / _MEGABYTE
        _LOG.info(
            "loaded model %s (%s) in %.1f s: %.1f MB, all models %.1f of %.1f MB",
            shown(name),
            loaded.model,
            time.monotonic() - began,
            size,
            all_bytes,
            self._terms.budget / _MEGABYTE,
        )
        return loaded

    def _reserved(self, entry: Entry) -> Entry:
        """Return the entry, once there is room for it: models loaded on demand make room, the least used first."""
        while True:
            try:
                return self._registry.begin(entry)
            except NoRoom:
                self._make_room(entry)

    def _make_room(self, entry: Entry) -> None:
        """Evict one model, or wait for one that is leaving; RequestError where not even all of them would do."""
        models = self._registry.snapshot().models.values()
        staying = sum(model.size for model in models if not model.on_demand and model.state != "unloading")
        if staying + entry.size > self._terms.budget:
            raise self._no_room(entry, staying)
        victims = self._registry.least_used()
        if not victims:
            time.sleep(_LOOK_AGAIN_SECONDS)
            return
        try:
            victim = self._registry.leave(victims[0].name, self._worker())
        except RequestError:
            return  # another request was faster
        self._drop(victim)
        self._count("eviction")
        _LOG.info("model %s made room for %s", shown(victim.name), shown(entry.name))

    def _no_room(self, entry: Entry, staying: int) -> RequestError:
        message = (
            f"Model {shown(entry.name)} takes {entry.size / _MEGABYTE:,.1f} MB in {self._terms.workers} workers, and "
            f"{staying / _MEGABYTE:,.1f} of {self._terms.budget / _MEGABYTE:,.1f} MB are taken: unload others, or "
            "raise ALSRIAZ_MODELS_MEMORY_MB."
        )
        return RequestError("out_of_memory", message)

    def _drop(self, entry: Entry) -> None:
        """Let every worker drop a model that is leaving, then forget it."""
        try:
            held = ask_all(self._folder, self._terms.unload_seconds)
        finally:
            self._registry.remove(entry)
            self._loader.clean_up(entry)
        if held:
            _LOG.warning("a request still uses model %s: its memory is free when that ends", shown(entry.name))

    def _lease(self, name: str) -> Lease | None:
        self._worker()
        try:
            lease = self._pool.lease(name)
        except ModelError as error:
            message = f"Model {shown(name)} can no longer be used: {error} Unload it, then load it again."
            raise RequestError("no_model", message) from None
        if lease is not None and lease.entry.on_demand:
            self._registry.touch(lease.entry)
        return lease

    def _open(self, entry: Entry) -> Recommender:
        shop = open_shop(Path(entry.folder), self._terms.limits)
        if shop.model_hash != entry.model:
            raise ModelError("Its folder holds another model than when it was loaded.")
        return follow(shop, self._terms.live)

    def _worker(self) -> str:
        """Return this worker's name; from the first time on the others can reach it."""
        with self._starting:
            if self._peer is None:
                self._peer = Peer(self._folder, self._pool.drop_gone)
            return self._peer.name


def _unusable(error: ModelError | OSError, field: str | None) -> RequestError:
    if isinstance(error, ModelError):
        return RequestError("unusable_model", str(error), field)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = "There is no space left to unpack the model: unload others, or give TMPDIR more space."
        return RequestError("out_of_memory", message)
    return RequestError("unusable_model", f"The model can't be read: {error.strerror}.", field)
