"""What serving asks of a model folder: the one place here that knows how answers, and rules upon them, are made."""

from collections.abc import Callable, Iterable
from pathlib import Path

from alsriaz.model.folder import open_model
from alsriaz.questions.live_binding import bind_whole
from alsriaz.questions.recommender import Limits, Recommender
from alsriaz.questions.served_model import check_room
from alsriaz.rules.binding import bind, make_layer
from alsriaz.rules.notices import Notice
from alsriaz.rules.rules import Rules

__all__ = ["Answerer", "Limits", "check_servable", "live_rules_check", "open_answerer"]

Answerer = Recommender
"""Answers from one model; `under` returns it under other live rules, `left_out` tells why not all of them hold."""


def open_answerer(folder: Path, limits: Limits) -> Answerer:
    """Return what answers from a model folder, mapped and not verified; ModelError where it can't be opened."""
    return Recommender(open_model(folder), limits)


def check_servable(folder: Path, most_k: int) -> None:
    """Raise ModelError where no list of `most_k` places has room for what the model's standing rules include."""
    check_room(open_model(folder), most_k)


def live_rules_check(folder: Path, most_k: int) -> Callable[[Rules], Iterable[Notice]]:
    """Return what live rules must pass beyond being rules: RuleError where the model can't keep all of them.

    It returns what of them has no effect, without what the model's standing rules would have told.
    """
    model = open_model(folder)
    standing = make_layer(model.standing_rules, model.catalogue)
    k = min(model.spec.reco_item, most_k)
    known = set(bind([standing], model.catalogue).notices)

    def check(rules: Rules) -> Iterable[Notice]:
        told = bind_whole(standing, rules, model.catalogue, k).bound.notices
        return [notice for notice in told if notice not in known]

    return check
