"""From pairs to factors, and on to the arrays of the model folder."""

import numpy as np
import numpy.typing as npt

from alsriaz.errors import CallerError
from alsriaz.model.arrays import ModelArrays, transposed
from alsriaz.model.ids import pack_ids
from alsriaz.platform.progress import Progress
from alsriaz.platform.spec import Spec
from alsriaz.scoring.foldin import LARGEST_FACTOR, gram
from alsriaz.scoring.ratings import rate
from alsriaz.tables.sales import Purchases
from alsriaz.training.engines import Blocks, Engine, FittedFactors, RatingMatrix, blocks_for
from alsriaz.training.pairs import Pairs


def fit(engine: Engine, pairs: Pairs, spec: Spec, progress: Progress) -> tuple[FittedFactors, Blocks]:
    """Return the factors that the engine learns from what the spec makes of pairs, and the blocks that it used.

    Raises:
        CallerError: ALS diverged: its factors are not numbers, or are too large to multiply.
    """
    ratings = rate(spec.ranking_type, pairs.purchases, pairs.item_customers[pairs.items])
    matrix = RatingMatrix(pairs.customers, pairs.items, ratings, pairs.n_customers, pairs.n_items)
    blocks = blocks_for(matrix)
    factors = engine.fit(matrix, blocks, spec, progress)
    largest = max(float(np.abs(side).max()) for side in (factors.customers, factors.items))
    if not largest < LARGEST_FACTOR:  # also where it is NaN
        raise CallerError(
            f"ALS gave factors as large as {largest:g}: the ratings are too large for this spec. "
            "Raise reg_param, lower alpha, set max_quantity, or choose ranking_type count."
        )
    return factors, blocks


def model_arrays(pairs: Pairs, purchases: Purchases, factors: FittedFactors) -> ModelArrays:
    """Return the arrays of a model, rows by position."""
    customer_ids = pack_ids([purchases.customer_ids[code] for code in pairs.customer_codes])
    item_ids = pack_ids([purchases.item_ids[code] for code in pairs.item_codes])
    buyer_offsets, buyers = transposed(pairs.offsets, pairs.items, pairs.n_items)
    return ModelArrays(
        customer_factors=factors.customers,
        item_factors=factors.items,
        item_gram=gram(factors.items),
        customer_id_text=customer_ids[0],
        customer_id_offsets=customer_ids[1],
        item_id_text=item_ids[0],
        item_id_offsets=item_ids[1],
        purchase_offsets=pairs.offsets,
        purchase_items=pairs.items,
        purchase_counts=pairs.purchases.counts,
        purchase_quantities=pairs.purchases.quantities,
        purchase_decayed=pairs.purchases.decayed,
        buyer_offsets=buyer_offsets,
        buyers=buyers,
        item_customers=pairs.item_customers,
        items_by_popularity=pairs.items_by_popularity,
        item_first_days=first_sale_days(purchases)[pairs.item_codes],
    )


def first_sale_days(purchases: Purchases) -> npt.NDArray[np.int32]:
    """Return the day of each item's first sale over all accepted rows, by item code."""
    sold = purchases.quantities > 0
    first = np.full(len(purchases.item_ids), np.iinfo(np.int32).max, dtype=np.int32)
    np.minimum.at(first, purchases.items[sold], purchases.days[sold])
    return first
