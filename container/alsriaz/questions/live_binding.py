"""Live rules, bound to a model: above its standing rules, beneath those of a request."""

from dataclasses import replace
from typing import NamedTuple

from alsriaz.errors import RuleError
from alsriaz.rules.binding import BoundRules, Layer, bind, make_layer
from alsriaz.rules.catalogue import Catalogue
from alsriaz.rules.rules import NO_RULES, Rules

_ON_ATTRIBUTES = ("include_where", "exclude_where", "boost", "at_most")
"""What a model can't keep where its items lack the attribute."""


class BoundLive(NamedTuple):
    """Live rules as a layer, and bound together with the standing ones beneath them; and why not all of them hold."""

    layer: Layer
    bound: BoundRules
    left_out: tuple[RuleError, ...] = ()


def bind_whole(standing: Layer, live: Rules, catalogue: Catalogue, k: int) -> BoundLive:
    """Bind all of the live rules.

    Args:
        standing: the model's own layer.
        live: the shop's rules of now.
        catalogue: the model's items.
        k: how many recommendations a request gets that doesn't say.

    Raises:
        RuleError: they name an attribute that the items don't have, or more items must appear than a list has places:
            every request that doesn't say k would be an error.
    """
    bound = _bind(standing, live, catalogue)
    bound.bound.room(k)
    return bound


def bind_what_can_be_kept(standing: Layer, live: Rules, catalogue: Catalogue, k: int) -> BoundLive:
    """Bind the live rules, those left out that this model can't keep; which ones these are depends on nothing else."""
    try:
        return bind_whole(standing, live, catalogue, k)
    except RuleError:
        pass
    left_out = []
    for name in _ON_ATTRIBUTES:
        try:
            make_layer(replace(NO_RULES, **{name: getattr(live, name)}), catalogue)
        except RuleError as error:
            left_out.append(error)
            live = replace(live, **{name: getattr(NO_RULES, name)})
    bound = _bind(standing, live, catalogue)
    try:
        bound.bound.room(k)
    except RuleError as error:
        left_out.append(error)
        bound = _bind(standing, replace(live, include_items=()), catalogue)
    return bound._replace(left_out=tuple(left_out))


def _bind(standing: Layer, live: Rules, catalogue: Catalogue) -> BoundLive:
    layer = make_layer(live, catalogue)
    return BoundLive(layer, bind([standing, layer], catalogue))
