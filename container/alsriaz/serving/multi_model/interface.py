"""The platform's words for models: names, load requests, pages, and what is answered. Knows no transport."""

import base64
import binascii
from io import BytesIO
from typing import Any
from urllib.parse import quote, unquote

from alsriaz.errors import CallerError, RequestError
from alsriaz.platform.values import shown
from alsriaz.serving.multi_model.registry import Entry
from alsriaz.serving.settings import JSON
from alsriaz.serving.wire import decode

MOST_CHARACTERS = 1024
_MOST_ENCODED = 7000  # a request's first line may have 8 KB
_EXPECTED = 'expected {"model_name": "...", "url": "/opt/ml/models/..."}'


def check_name(name: str) -> None:
    """Raise RequestError where no path could lead to a model of this name; otherwise any text will do."""
    expected = f"expected a name of 1 to {MOST_CHARACTERS} characters"
    if not 1 <= len(name) <= MOST_CHARACTERS:
        raise _bad_name(f"has {len(name):,} characters, {expected}")
    try:
        encoded = quote(name, safe="")
    except UnicodeEncodeError:
        raise _bad_name(f"is {shown(name)}, {expected}, in Unicode text without lone surrogates") from None
    if len(encoded) > _MOST_ENCODED:
        raise _bad_name(f"has {len(encoded):,} bytes when it is encoded for a path, expected at most {_MOST_ENCODED:,}")
    if "\0" in name or ".." in name.split("/"):
        raise _bad_name(f"is {shown(name)}, {expected}, without NUL, and without '..' between slashes")


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


def load_request(body: bytes) -> tuple[str, str]:
    """Return the name and the url in the body of a request to load a model; fields that we don't know are let through.

    RequestError where it is not a JSON object, or lacks one of them.
    """
    asked = decode(BytesIO(body), JSON)
    (record,) = [{}] if asked.batch else asked.records
    if isinstance(record, CallerError):
        raise record
    values = []
    for field in ("model_name", "url"):
        if field not in record:
            raise RequestError("missing_field", f"The body has no {field}, {_EXPECTED}.", field)
        if not isinstance(record[field], str):
            raise RequestError("bad_value", f"{field} is {shown(record[field])}, expected text.", field)
        values.append(record[field])
    return values[0], values[1]


def model_in_path(raw_uri: str, action: str = "") -> str:
    """Return the name of the model that ``/models/{name}``, or that with ``/invoke`` as `action`, is about.

    It is taken from the path as it was sent: a name may hold slashes of its own, which look like the path's once
    decoded. RequestError `not_found` where the path is not of that form.
    """
    path = raw_uri.partition("?")[0]
    name = path.removeprefix("/models/").removesuffix(action)
    if not name or path != f"/models/{name}{action}":
        raise RequestError("not_found", "There is nothing at this path: expected /models/{name} or that and /invoke.")
    try:
        return unquote(name, errors="strict")
    except UnicodeDecodeError:
        message = "The model's name in the path is not UTF-8 when it is decoded: expected %C3%A9 for é."
        raise RequestError("bad_value", message, "model_name") from None


def entry_body(entry: Entry) -> dict[str, Any]:
    """Return what the platform is told of a model."""
    return {"modelName": entry.name, "modelUrl": entry.url}


def page_body(entries: list[Entry], next_token: str | None) -> dict[str, Any]:
    """Return what the platform is told of the models on one page."""
    more = {} if next_token is None else {"nextPageToken": next_token}
    return {"models": [entry_body(entry) for entry in entries], **more}


def _bad_name(fault: str) -> RequestError:
    return RequestError("bad_value", f"model_name {fault}.", "model_name")
