"""A model under the live rules of now."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.serving.live_rules.folder import FOLDER
from alsriaz.serving.live_rules.follower import Follower, Live

_LOG = logging.getLogger("alsriaz.live_rules")


@dataclass(frozen=True)
class LiveRules:
    """What the models of a worker follow.

    Attributes:
        live: gives the version in force; None where there is none.
        kept_in_part: is called when a model can't keep all of a version.
    """

    live: Callable[[], Live | None] = lambda: None
    kept_in_part: Callable[[], None] = lambda: None


NO_LIVE_RULES = LiveRules()


def live_rules_of(environ: Mapping[str, str], kept_in_part: Callable[[], None]) -> LiveRules:
    """Return the live rules that the supervisor's poller puts in force, where it runs one."""
    folder = environ.get(FOLDER)
    return LiveRules(Follower(Path(folder)).live, kept_in_part) if folder else NO_LIVE_RULES


def follow(shop: Shop, live: LiveRules) -> Recommender:
    """Return what answers from a shop under the live rules of now."""
    return Recommender(shop, LiveModel(shop, live).now)


class LiveModel:
    """Keeps a model's rules up to date. Every method may be called from any thread.

    What is in force is one reference, replaced as a whole; a request takes it once and keeps it, so that all its
    records are answered under the same rules.
    """

    def __init__(self, served: Shop, live: LiveRules) -> None:
        """Take the model under its standing rules alone, and what it is to follow."""
        self._follow = live
        self._binding = threading.Lock()
        self._now: tuple[Live | None, Shop] = None, served  # the version last seen; the model, as it answers

    def now(self) -> Shop:
        """Return the model under the rules in force, bound now where they are new."""
        live = self._follow.live()
        seen, served = self._now
        if live is seen:
            return served
        with self._binding:
            live = self._follow.live()  # again: while we waited a newer version may have been bound
            seen, served = self._now
            if live is not None and live is not seen:
                served = served.under(live.version, live.rules)
                self._tell(served)
                self._now = live, served
            return served

    def _tell(self, served: Shop) -> None:
        if served.left_out:
            self._follow.kept_in_part()
            reasons = " ".join(str(error) for error in served.left_out)
            _LOG.warning("model %s keeps live rules %s in part: %s", served.model_hash, served.live_version, reasons)
