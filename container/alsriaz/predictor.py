"""The HTTP application: the one module that knows Flask."""

import json
import logging
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from alsriaz.core.errors import CallerError, RequestError
from alsriaz.core.setting import shown
from alsriaz.serving.media import CSV, JSON, answer_type, request_type
from alsriaz.serving.recommender import Recommender
from alsriaz.serving.wire import STATUS, decode, encode, error_body, error_code

_log = logging.getLogger("alsriaz")


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
        kind = request_type(request.content_type)
        wanted = answer_type(request.headers.get("Accept"), default_accept or kind)
        asked = decode(request.get_data(cache=False), kind)
        if wanted == CSV and any(
            isinstance(record, dict) and record.get("task", "recommend") != "recommend" for record in asked.records
        ):
            raise RequestError("not_acceptable", f"CSV can answer task recommend only: accept {JSON}.", "task")
        answers = recommender.answers(asked.records)
        if not asked.batch and isinstance(answers[0], CallerError):
            raise answers[0]
        return Response(encode(answers, asked, wanted), content_type=wanted)

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        return _error_response(error, most_bytes)

    return app


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
        case HTTPException():
            known = RequestError("bad_value", f"The request can't be read: {error.name}.")
        case _:
            _log.exception("unforeseen error while answering %s %s", request.method, request.path)
            known = RequestError("internal", "The server failed to answer; its log says why.")
    body = json.dumps(error_body(known), ensure_ascii=False)
    return Response(body, status=STATUS[error_code(known)], content_type=JSON, headers=headers)
