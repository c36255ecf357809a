"""Every limit on what a caller may give, each stated once."""

from typing import Final

MOST_ID_BYTES: Final = 256
FORBIDDEN_IN_IDS: Final = frozenset("\0\r\n")
"""Ids stand in lines of text, one a line."""

MOST_K: Final = 1000
"""Recommendations in one list: `reco_item`, and k where ALSRIAZ_MAX_K doesn't say otherwise."""
MOST_OFFSET: Final = 10_000
"""Places before a page. A page is found by ranking all that stand before it, so this bounds the work of a request."""
MOST_RULE_IDS: Final = 100_000
MOST_HISTORY: Final = 10_000
MOST_ASKED_ITEMS: Final = 1000
"""Items that tasks `similar` and `audience` take the mean of."""
MOST_SCORED_ITEMS: Final = 10_000
MOST_QUANTITY: Final = 1e15
"""Below it, sums of quantities are exact to a millionth in float64."""

MOST_COUNT: Final = 10**9
"""Items that a rule may count: more than any shop has."""
MOST_BOOSTS: Final = 16
MOST_FACTOR: Final = 100.0
MOST_CAPS: Final = 8
MOST_CONDITIONS: Final = 16
MOST_CONDITION_VALUES: Final = 1000

MOST_COLUMNS: Final = 64
"""Attributes of items."""
MOST_NAME_CHARACTERS: Final = 64
MOST_VALUE_BYTES: Final = 1024
"""The longest text that an attribute can have; a longer one in a rule is a mistake."""

LOAD_SECONDS: Final = 360
"""How long the platform waits for a model to be loaded on a multi-model endpoint."""
