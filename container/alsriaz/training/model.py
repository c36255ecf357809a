"""From what was learnt to the arrays of the model folder."""

import numpy as np

from alsriaz.errors import CallerError
from alsriaz.model.arrays import ModelArrays, transposed
from alsriaz.model.ids import pack_ids
from alsriaz.platform.spec import Spec
from alsriaz.scoring.foldin import LARGEST_FACTOR, gram
from alsriaz.scoring.ratings import rate
from alsriaz.tables.purchases import Purchases
from alsriaz.training.engines import Factors, RatingMatrix
from alsriaz.training.pairs import Pairs, first_sale_days


def rating_matrix(pairs: Pairs, spec: Spec) -> RatingMatrix:
    """Return the ratings that the spec makes of pairs."""
    ratings = rate(spec.ranking_type, pairs.purchases, pairs.item_customers[pairs.items])
    return RatingMatrix(pairs.customers, pairs.items, ratings, pairs.n_customers, pairs.n_items)


def check_factors(factors: Factors) -> None:
    """Raise CallerError where ALS ran off: factors that are no numbers, or too large to multiply."""
    largest = max(float(np.abs(side).max()) for side in (factors.customers, factors.items))
    if not largest < LARGEST_FACTOR:  # also where it is NaN
        raise CallerError(
            f"ALS gave factors as large as {largest:g}: the ratings are too large for this spec. "
            "Raise reg_param, lower alpha, set max_quantity, or choose ranking_type count."
        )


def model_arrays(pairs: Pairs, purchases: Purchases, factors: Factors) -> ModelArrays:
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
