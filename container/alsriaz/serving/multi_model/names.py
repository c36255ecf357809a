"""Names of models, which are the caller's own, and the tokens that lead from one page of them to the next."""

import base64
import binascii
from urllib.parse import quote

from alsriaz.errors import RequestError
from alsriaz.platform.values import shown

MOST_CHARACTERS = 1024
_MOST_ENCODED = 7000  # a request's first line may have 8 KB


def check_name(name: str) -> None:
    """Raise RequestError where no path could lead to a model of this name; otherwise any text will do."""
    expected = f"expected a name of 1 to {MOST_CHARACTERS} characters"
    if not 1 <= len(name) <= MOST_CHARACTERS:
        raise _bad(f"has {len(name):,} characters, {expected}")
    try:
        encoded = quote(name, safe="")
    except UnicodeEncodeError:
        raise _bad(f"is {shown(name)}, {expected}, in Unicode text without lone surrogates") from None
    if len(encoded) > _MOST_ENCODED:
        raise _bad(f"has {len(encoded):,} bytes when it is encoded for a path, expected at most {_MOST_ENCODED:,}")
    if "\0" in name or ".." in name.split("/"):
        raise _bad(f"is {shown(name)}, {expected}, without NUL, and without '..' between slashes")


def token_after(name: str) -> str:
    """Return the token of the page that begins after `name`."""
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def name_after(token: str) -> str:
    """Return the name that `token_after` was given; RequestError where the token is none of ours."""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        message = f"next_page_token is {shown(token)}, expected the nextPageToken of an earlier answer."
        raise RequestError("bad_value", message, "next_page_token") from None


def _bad(fault: str) -> RequestError:
    return RequestError("bad_value", f"model_name {fault}.", "model_name")
