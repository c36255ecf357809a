"""Engines: ratings in, factors out.

An engine is given ratings by position and the spec's settings of ALS; whose they are, and of which days, is behind it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from alsriaz.platform.progress import Progress
from alsriaz.platform.spec import ENGINES, Spec

PAIRS_PER_BLOCK = 500_000  # with another value here, or below, the same data would give other factors
FEWEST_BLOCKS, MOST_BLOCKS = 2, 64


@dataclass(frozen=True)
class RatingMatrix:
    """The ratings, by ascending customer position, then item position; arrays of one shape (n_pairs,)."""

    customers: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    ratings: npt.NDArray[np.float32]
    n_customers: int
    n_items: int


@dataclass(frozen=True)
class FittedFactors:
    """What was learnt: float32 (n_customers, rank) and (n_items, rank), rows by position."""

    customers: npt.NDArray[np.float32]
    items: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Blocks:
    """Into how many blocks ALS splits the customers and the items: part of what the factors depend on."""

    customers: int
    items: int


def blocks_for(matrix: RatingMatrix) -> Blocks:
    """Return the block counts for a matrix; they depend on the data alone, never on cores or hosts."""
    wanted = min(max(FEWEST_BLOCKS, ceil(len(matrix.ratings) / PAIRS_PER_BLOCK)), MOST_BLOCKS)
    return Blocks(min(wanted, matrix.n_customers), min(wanted, matrix.n_items))


class Engine(Protocol):
    """Fits factors. Opening it may start work in the background, such as a JVM; `fit` waits for that."""

    def fit(self, matrix: RatingMatrix, blocks: Blocks, spec: Spec, progress: Progress) -> FittedFactors:
        """Return the factors that ALS with these settings learns."""

    @property
    def arithmetic(self) -> str:
        """The linear algebra library that fits: factors may differ in their last bits from one to the next."""


OpenEngine = Callable[[Path], AbstractContextManager[Engine]]


def open_engine(name: str, scratch: Path) -> AbstractContextManager[Engine]:
    """Return the engine of this name; entering it starts it, leaving it ends it.

    Each is the module here that bears its name, imported only where it is used; its OPEN opens the engine.

    Args:
        name: as in the spec, which has checked it.
        scratch: an empty folder for the engine's own files, with room for several times the ratings.
    """
    if name not in ENGINES:
        raise ValueError(f"{name!r} is no engine")
    opened: OpenEngine = import_module(f"{__name__}.{name}").OPEN
    return opened(scratch)
