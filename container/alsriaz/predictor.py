"""The HTTP application: the one module that knows Flask."""

import itertools
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from alsriaz.core.errors import CallerError, RequestError
from alsriaz.core.setting import shown
from alsriaz.serving.media import CSV, JSON, answer_type, request_type
from alsriaz.serving.recommender import TASKS, Recommender, task_of
from alsriaz.serving.wire import STATUS, Record, decode, encode, error_code, error_text

_log = logging.getLogger("alsriaz")

_SENT_WHOLE = 1 << 20
_PIECES_AT_ONCE = 64


def create_app(recommender: Recommender, most_bytes: int, default_accept: str | None = None) -> Flask:
    """Return the application that answers from `recommender`.

    Args:
        recommender: ready to answer; nothing is loaded on the first request.
        most_bytes: how large a request's body may be.
        default_accept: the type of answers to requests that leave it open; None for the request's own type.
    """
    app = Flask("alsriaz", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = most_bytes

    @app.get("/ping", provide_automatic_options=False)
    def ping() -> Response:
        return Response(status=200)  # this process runs only with a verified model: the fact that is asked for

    @app.post("/invocations", provide_automatic_options=False)
    def invocations() -> Response:
        _refuse_encodings(request.headers.get("Content-Encoding"))
        kind = request_type(request.content_type)
        wanted = answer_type(request.headers.get("Accept"), default_accept or kind)
        asked = decode(request.get_data(cache=False), kind)
        if wanted == CSV:
            _refuse_other_tasks(asked.records)
        answers = recommender.answers(asked.records)
        if not asked.batch:
            ((record, answer),) = answers
            if isinstance(answer, CallerError):
                raise answer
            answers = iter([(record, answer)])
        return _response(encode(answers, asked, wanted), wanted)

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        return _error_response(error, most_bytes)

    return app


def _refuse_encodings(encoding: str | None) -> None:
    if encoding and encoding.strip().lower() != "identity":
        message = f"Content-Encoding is {shown(encoding)}, expected a body that is not compressed."
        raise RequestError("unsupported_media_type", message)


def _refuse_other_tasks(records: Iterable[Record | RequestError]) -> None:
    for record in records:
        if not isinstance(record, RequestError) and task_of(record) in TASKS and task_of(record) != "recommend":
            raise RequestError("not_acceptable", f"CSV can answer task recommend only: accept {JSON}.", "task")


def _response(pieces: Iterator[bytes], media: str) -> Response:
    """Return a response that is whole where the answer is short, and sent as it is worked out where it is long."""
    begun = bytearray()
    for piece in pieces:
        begun += piece
        if len(begun) >= _SENT_WHOLE:
            return Response(itertools.chain([bytes(begun)], _parcels(pieces)), content_type=media)
    return Response(bytes(begun), content_type=media)


def _parcels(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield pieces together, so that each takes many to the socket."""
    while parcel := b"".join(itertools.islice(pieces, _PIECES_AT_ONCE)):
        yield parcel


def _error_response(error: Exception, most_bytes: int) -> Response:
    """Turn any error into a response: what was foreseen is the caller's, all else is ours, opaque and logged."""
    headers: dict[str, Any] = {}
    match error:
        case CallerError():
            known = error
        case RequestEntityTooLarge():
            known = RequestError("too_large", f"The body is larger than the {most_bytes:,} bytes that are accepted.")
        case MethodNotAllowed():
            headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
            known = RequestError(
                "method_not_allowed", f"{request.method} is not for this path: use {headers['Allow']}."
            )
        case NotFound():
            known = RequestError("not_found", f"There is nothing at {shown(request.path)}: use /ping or /invocations.")
        case HTTPException() if (error.code or 500) < 500:
            known = RequestError("bad_value", f"The request can't be read: {error.name}.")
        case _:
            _log.exception("unforeseen error while answering %s %s", request.method, request.path)
            known = RequestError("internal", "The server failed to answer; its log says why.")
    return Response(error_text(known), status=STATUS[error_code(known)], content_type=JSON, headers=headers)
