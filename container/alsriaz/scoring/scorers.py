"""The one place where scores come from: `Scorers` of a model.

A source makes a term of the score for any mix of buyers, and tells what each of a buyer's purchases adds to it. One
more term is one more file, and one more entry in `Scorers.sources`.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from alsriaz.model.arrays import Factors, Positions, Scores, Values
from alsriaz.model.folder import Model
from alsriaz.scoring.factors import CosineTerm, DotTerm, RankedFactors
from alsriaz.scoring.history import Bought, Buyer, factor_contributions
from alsriaz.scoring.scorer import GivenTerm, Scorer, Term


class TermSource(Protocol):
    """Where a term of customers' scores of items comes from."""

    def term(self, buyers: Sequence[Buyer]) -> Term | None:
        """Return the term with a row for each buyer; None where it has no part in the scores of any."""

    def contributions(self, bought: Bought, item: int) -> Values:
        """Return what each purchase adds to the term for the item at this position, in the order of `bought.items`."""


class FactorSource:
    """The dot product of a customer's factors with an item's."""

    def __init__(self, model: Model) -> None:
        """Take the factors that ALS has learnt."""
        self._model = model
        self.items = RankedFactors(model.arrays.item_factors)

    def vectors(self, buyers: Sequence[Buyer]) -> Factors:
        """Return each buyer's factors, shape (len(buyers), rank); zeros where scores are popularity."""
        if len(buyers) == 1 and buyers[0].source == "model":
            position = buyers[0].position or 0
            return self._model.arrays.customer_factors[position : position + 1]
        positions = [0 if buyer.position is None else buyer.position for buyer in buyers]
        vectors: Factors = self._model.arrays.customer_factors[positions]
        for row, buyer in enumerate(buyers):
            if buyer.factors is not None:
                vectors[row] = buyer.factors
            elif buyer.position is None:
                vectors[row] = 0
        return vectors

    def term(self, buyers: Sequence[Buyer]) -> Term | None:
        """Return the term."""
        if all(buyer.source == "popular" for buyer in buyers):
            return None
        return DotTerm(self.items, self.vectors(buyers))

    def contributions(self, bought: Bought, item: int) -> Values:
        """Return the parts of the factors' term."""
        return factor_contributions(self._model, bought, item)


class PopularitySource:
    """How many customers bought an item: the score for those of whom nothing is known."""

    def __init__(self, model: Model) -> None:
        """Take the items' customers."""
        self._customers: Scores = model.arrays.item_customers.astype(np.float32)

    def term(self, buyers: Sequence[Buyer]) -> Term | None:
        """Return the term."""
        having = [buyer.source == "popular" for buyer in buyers]
        return GivenTerm(self._customers, np.array(having)) if True in having else None

    def contributions(self, bought: Bought, item: int) -> Values:
        """Return zeros: popularity follows from other customers' purchases."""
        return np.zeros(len(bought.items))


class Scorers:
    """All scores of one model."""

    def __init__(self, model: Model) -> None:
        """What costs time once is done here, so that the first question is answered as fast as the next."""
        self._model = model
        self._factors = FactorSource(model)
        self.sources: tuple[TermSource, ...] = (self._factors, PopularitySource(model))
        self._factors.items.largest_norm  # noqa: B018 - reads the factors through

    def scorer(self, buyers: Sequence[Buyer]) -> Scorer:
        """Return the scorer of items for any mix of known customers, baskets and people nobody knows, a row each."""
        terms = [term for source in self.sources if (term := source.term(buyers)) is not None]
        return Scorer(terms, len(buyers), len(self._model.item_ids))

    def contributions(self, bought: Bought, item: int) -> Values:
        """Return what each purchase adds to the score of the item at this position; they sum to the score.

        Raises:
            BadValue: no scores follow from these purchases.
        """
        return sum((source.contributions(bought, item) for source in self.sources), np.zeros(len(bought.items)))

    def alike(self, rows: Sequence[Positions]) -> Scorer:
        """Return the scorer of items by their mean cosine to the items of each row."""
        directions = np.stack([self._factors.items.direction(items) for items in rows])
        return Scorer([CosineTerm(self._factors.items, directions)], len(rows), len(self._model.item_ids))

    def alike_by_product(self, rows: Sequence[Positions]) -> Scorer:
        """Return the scorer of items by their mean inner product with the items of each row."""
        return Scorer([DotTerm(self._factors.items, self._means(rows))], len(rows), len(self._model.item_ids))

    def audience(self, rows: Sequence[Positions]) -> Scorer:
        """Return the scorer of customers by their mean score of the items of each row."""
        return Scorer([DotTerm(self._customers, self._means(rows))], len(rows), len(self._model.customer_ids))

    def _means(self, rows: Sequence[Positions]) -> Factors:
        return np.stack([self._factors.items.mean(items) for items in rows])

    @cached_property
    def _customers(self) -> RankedFactors:
        """The customers as what is ranked; read through at the first audience."""
        return RankedFactors(self._model.arrays.customer_factors)
