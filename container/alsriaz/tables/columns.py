"""Which column of a file is what, of sales and of items: the one place that knows other shops' names for our words."""

from collections.abc import Mapping, Sequence
from typing import Final

from alsriaz.errors import DataError
from alsriaz.platform.limits import MOST_COLUMNS, MOST_NAME_CHARACTERS
from alsriaz.platform.values import nearest, shown

NEEDED: Final = ("customer", "item", "quantity", "date")
READ: Final = (*NEEDED, "invoice", "description")

# Names as `plain` leaves them. The first ones are what an error offers.
ALIASES: Final[dict[str, tuple[str, ...]]] = {
    role: tuple(names.split())
    for role, names in {
        "customer": "customerid customer clientid client householdid household householdkey userid user customerno "
        "customernumber customercode customerkey custid custno cust clientno clientnumber clientcode memberid member "
        "membernumber shopperid shopper buyerid buyer",
        "item": "stockcode itemid item productid product sku articleid article itemno itemnumber itemcode itemsku "
        "productno productnumber productcode productkey productsku skuid articleno articlenumber articlecode",
        "quantity": "quantity qty units unitssold quantitysold qtysold quantitypurchased itemquantity itemqty "
        "orderquantity orderqty pieces",
        "date": "invoicedate date orderdate transactiontimestamp timestamp datetime transactiondate purchasedate "
        "saledate salesdate orderdatetime ordertimestamp orderedat invoicedatetime transactiondatetime "
        "purchasetimestamp purchasedatetime createdat",
        "price": "unitprice price itemprice productprice sellingprice saleprice salesprice priceperunit",
        "invoice": "invoiceno invoice orderid basketid invoiceid invoicenumber order orderno ordernumber basket "
        "transactionid transactionno transactionnumber receiptid receiptno receiptnumber receipt billid billno",
        "description": "description productname itemname productdescription itemdescription articlename",
    }.items()
}
_OFFERED: Final = 5  # of the names of one word, in an error
_LISTED: Final = 20  # of a file's own names
_IGNORED: Final = str.maketrans("", "", " _-.\t\r\n")


def plain(name: str) -> str:
    """Return a column's name in lower case without spaces, underscores, dashes and points, as names are compared."""
    return name.lower().translate(_IGNORED)


def roles_in(names: Sequence[str], wanted: Mapping[str, str | int]) -> int:
    """Return how many of our words the names of a first line answer to: 0 where it is no header."""
    known = {plain(name) for name in names}
    named = {role: plain(name) for role, name in wanted.items() if isinstance(name, str)}
    return sum(named[role] in known if role in named else not known.isdisjoint(ALIASES[role]) for role in ALIASES)


def find_columns(names: Sequence[str], wanted: Mapping[str, str | int], file: str) -> dict[str, int]:
    """Return the place (from 0) of each column that will be read: all of NEEDED, and the rest of READ where there.

    `wanted` is the setting `columns`: it wins over the aliases, and a column named in it answers to no other word.

    Raises:
        DataError: `wanted` names an unknown column, one word has two columns or one column two words, or a
            word that is needed has no column.
    """
    found = {role: _chosen(names, wanted[role], role, file) for role in wanted}
    _refuse_one_column_twice(names, found, file)
    for role in READ:
        if role not in found:
            places = [place for place, name in enumerate(names) if plain(name) in ALIASES[role]]
            places = [place for place in places if place not in found.values()]
            if role == "description":  # nothing hangs on it: of two, the one with the better name
                places.sort(key=lambda place: ALIASES[role].index(plain(names[place])))
            elif len(places) > 1:
                raise DataError(_two_columns(role, names, places, file))
            if places:
                found[role] = places[0]
    for role in NEEDED:
        if role not in found:
            raise DataError(_missing(role, names, file))
    return {role: found[role] for role in READ if role in found}


def listed(names: Sequence[str]) -> str:
    """Return names quoted and joined for a message, at most 20 of them."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(shown(name, 40) for name in names[:_LISTED]) + more


def offered(role: str) -> str:
    """Return the first few names by which a column is recognised."""
    return ", ".join(ALIASES[role][:_OFFERED])


def _chosen(names: Sequence[str], name: str | int, role: str, file: str) -> int:
    if isinstance(name, int):
        if not 1 <= name <= len(names):
            raise DataError(
                f"{file}: the setting columns says that {role} is column {name}, "
                f"but the file has {len(names)} columns: expected a number from 1 to {len(names)}"
            )
        return name - 1
    places = [place for place, other in enumerate(names) if other.strip() == name.strip()]
    places = places or [place for place, other in enumerate(names) if plain(other) == plain(name)]
    if not places:
        raise DataError(
            f"{file} has the columns {listed(names)}: the setting columns says that {role} is {shown(name)}, "
            f"which is none of them{nearest(name, names)}"
        )
    if len(places) > 1:
        raise DataError(_two_columns(role, names, places, file))
    return places[0]


def _refuse_one_column_twice(names: Sequence[str], found: Mapping[str, int], file: str) -> None:
    roles: dict[int, str] = {}
    for role, place in found.items():
        if place in roles:
            raise DataError(
                f"{file}: the setting columns gives column {place + 1} ({shown(names[place])}) to both "
                f"{roles[place]} and {role}: give each its own column"
            )
        roles[place] = role


def _two_columns(role: str, names: Sequence[str], places: Sequence[int], file: str) -> str:
    matching = [names[place] for place in places]
    # Where the names are the same, only the number tells the columns apart.
    example = f'"{matching[0]}"' if len(set(matching)) == len(matching) else str(places[0] + 1)
    return (
        f"{file}: the columns {' and '.join(map(shown, matching))} could each be the {role}. "
        f'Say which in the setting columns, for example {{"{role}": {example}}}'
    )


def _missing(role: str, names: Sequence[str], file: str) -> str:
    return (
        f"{file}: there is no column for {role}. Recognised are {offered(role)} and the like (case, spaces, _ and - "
        f'make no difference); or say in the setting columns, {{"{role}": "..."}}, which one it is of {listed(names)}'
    )


# ---- The table of items ---------------------------------------------------------------------------------------------

MOST_GIVEN: Final = MOST_COLUMNS - 1
"""Columns beside the id: the sales files may add the description."""
_OWN_ID: Final = "id"
"""In a table of items, and of nothing else, this is the item's id."""
_BARE: Final = ("item", "product", "article")
"""Beside an id these are names: `product` next to `product_id`."""
_ITEM_IDS: Final = frozenset({*ALIASES["item"], _OWN_ID})


def item_id_places(names: Sequence[str], wanted: str | int | None) -> list[int]:
    """Return the places (from 0) of the columns of a table of items that could each be the item's id.

    `wanted` is what the setting `columns` says of the item in sales files: a name counts where the table has it.
    """
    if isinstance(wanted, str):
        places = [place for place, name in enumerate(names) if plain(name) == plain(wanted)]
        if places:
            return places
    places = [place for place, name in enumerate(names) if plain(name) in ALIASES["item"]]
    places = [place for place in places if plain(names[place]) not in _BARE] or places
    return places or [place for place, name in enumerate(names) if plain(name) == _OWN_ID]


def is_items_header(names: Sequence[str], wanted: str | int | None) -> bool:
    """Return whether these can be the names of a table of items: an id and something else."""
    return len(names) > 1 and bool(item_id_places(names, wanted))


def is_later_items_header(cells: Sequence[str], names: Sequence[str], wanted: str | int | None) -> bool:
    """Return whether a row below a header is one too, and another: of all its names, or with a name for an id."""
    if len(cells) < 2 or not _has_item_id(cells, wanted):
        return False
    place = item_id_places(names, wanted)[0]
    return _has_item_id(cells[place : place + 1], wanted) or set(map(plain, names)) <= set(map(plain, cells))


def _has_item_id(cells: Sequence[str], wanted: str | int | None) -> bool:
    """Return whether one of these could by itself be the name of the item's id, as `item_id_places` has it."""
    known = {plain(cell) for cell in cells}
    return not known.isdisjoint(_ITEM_IDS) or (isinstance(wanted, str) and plain(wanted) in known)


def find_item_id(names: Sequence[str], wanted: str | int | None, file: str) -> int:
    """Return the place of the id's column, having checked the names of all.

    Raises:
        DataError: there is no such column or more than one, there is nothing beside it or too much, or a name is
            missing, too long, or there twice.
    """
    places = item_id_places(names, wanted)
    if not places:
        raise DataError(
            f"{file}: there is no column for the item's id. Recognised are {offered('item')}, id and the like (case, "
            f"spaces, _ and - make no difference); rename one of {listed(names)}"
        )
    if len(places) > 1:
        matching = " and ".join(shown(names[place], 40) for place in places)
        raise DataError(f"{file}: the columns {matching} could each be the item's id: rename all but one")
    _check_attribute_names(names, file)
    return places[0]


def _check_attribute_names(names: Sequence[str], file: str) -> None:
    if not 2 <= len(names) <= MOST_GIVEN + 1:
        raise DataError(
            f"{file} has {len(names)} column(s): expected the item's id and 1 to {MOST_GIVEN} others, "
            "such as description, department or price"
        )
    seen: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        if not 1 <= len(name) <= MOST_NAME_CHARACTERS:
            told = f"a name of {len(name)} characters, {shown(name, 40)}" if name else "no name"
            raise DataError(
                f"{file}: column {number} has {told}: expected 1 to {MOST_NAME_CHARACTERS} characters, "
                "rename the column or leave it out"
            )
        if name.casefold() in seen:
            raise DataError(
                f"{file}: the columns {shown(seen[name.casefold()])} and {shown(name)} have one name: rename one"
            )
        seen[name.casefold()] = name
