"""The platform's words for models: what a load request says, and what is answered. Knows no transport."""

from io import BytesIO
from typing import Any
from urllib.parse import unquote

from alsriaz.errors import CallerError, RequestError
from alsriaz.platform.values import shown
from alsriaz.serving.media import JSON
from alsriaz.serving.multi_model.entry import Entry
from alsriaz.serving.wire import decode

_EXPECTED = 'expected {"model_name": "...", "url": "/opt/ml/models/..."}'


def load_request(body: bytes) -> tuple[str, str]:
    """Return the name and the url in the body of a request to load a model; fields that we don't know are let through.

    Raises:
        RequestError: it is no JSON object, or lacks one of them.
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
    """Return the name of the model that ``/models/{name}`` or ``/models/{name}/invoke`` is about.

    Args:
        raw_uri: as the client sent it. A name may hold slashes of its own, which look like the path's once decoded.
        action: what follows the name, such as ``/invoke``.

    Raises:
        RequestError: `not_found`, where the path is not of that form.
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
