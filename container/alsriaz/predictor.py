"""The HTTP application: the one module that knows Flask."""

import itertools
import logging
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from alsriaz.errors import CallerError, RequestError
from alsriaz.platform.values import shown
from alsriaz.questions.question import Record
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.tally import OTHER, Tally
from alsriaz.questions.tasks import label_of
from alsriaz.serving.body import receive
from alsriaz.serving.decoding import decode, decode_in_place
from alsriaz.serving.media import CSV, JSON, answer_type, request_type
from alsriaz.serving.metrics import CONTENT_TYPE, Metrics
from alsriaz.serving.multi_model.models import Models
from alsriaz.serving.multi_model.pool import Lease
from alsriaz.serving.multi_model.wire import entry_body, load_request, model_in_path, page_body
from alsriaz.serving.settings import Settings
from alsriaz.serving.transform import execution_parameters
from alsriaz.serving.watch import exchange_of, watched
from alsriaz.serving.wire import STATUS, Request, encode, error_code, error_text, json_bytes

TARGET_MODEL = "X-Amzn-SageMaker-Target-Model"

_log = logging.getLogger("alsriaz")

_SENT_WHOLE = 1 << 20
_PIECES_AT_ONCE = 64


def create_app(recommender: Recommender, settings: Settings, metrics: Metrics | None = None) -> Flask:
    """Return the application that answers from `recommender`; nothing is loaded on the first request.

    Args:
        recommender: of the model.
        settings: of the server.
        metrics: what it counts in; counts of its own without.
    """
    metrics = metrics or Metrics()
    metrics.tell_model(recommender.model_hash, recommender.n_customers, recommender.n_items)
    app = base_app(settings, metrics)

    @app.post("/invocations", provide_automatic_options=False)
    def invocations() -> Response:
        return respond(recommender, settings)

    @app.get("/execution-parameters", provide_automatic_options=False)
    def parameters() -> Response:
        return Response(json_bytes(execution_parameters(settings)), content_type=JSON)

    return app


def base_app(settings: Settings, metrics: Metrics) -> Flask:
    """Return an application without a model: /ping, /metrics, errors, the access log, and what all answers have."""
    app = Flask("alsriaz", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes

    @app.get("/ping", provide_automatic_options=False)
    def ping() -> Response:
        return Response(status=200)  # this process runs only with a verified model: the fact that is asked for

    @app.get("/metrics", provide_automatic_options=False)
    def show_metrics() -> Response:
        return Response(metrics.text(), content_type=CONTENT_TYPE)

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        return _error_response(error, settings)

    app.wsgi_app = watched(app.wsgi_app, _RouteOf(app), metrics)  # type: ignore[method-assign,assignment]
    return app


def create_models_app(models: Models, settings: Settings, metrics: Metrics) -> Flask:
    """Return the application for multi-model mode, in which `models` come and go; there is none at first."""
    app = base_app(settings, metrics)
    app.url_map.converters["model"] = _ModelName
    app.url_map.merge_slashes = False  # a model's name may have several in a row
    _add_models_routes(app, models, settings)

    @app.post("/invocations", provide_automatic_options=False)
    def invocations() -> Response:
        target = request.headers.get(TARGET_MODEL, "").strip()
        if not target:
            raise models.explain_no_target()
        return _respond_with(models.lease_target(_utf8(target)), settings)

    @app.before_request
    def tell() -> None:
        if request.path == "/metrics":
            metrics.tell_models(*models.totals())

    return app


class _ModelName(BaseConverter):
    """What stands for a model's name in a path: anything. Names are taken from the path as it was sent."""

    regex = r"[\s\S]+"
    part_isolating = False


def _add_models_routes(app: Flask, models: Models, settings: Settings) -> None:
    """Add the platform's interface for models."""

    @app.post("/models", provide_automatic_options=False)
    def load() -> Response:
        return _json_response(entry_body(models.load(*load_request(request.get_data(cache=False)))))

    @app.get("/models", provide_automatic_options=False)
    def page() -> Response:
        return _json_response(page_body(*models.page(request.args.get("next_page_token"))))

    @app.get("/models/<model:name>", provide_automatic_options=False)
    def get(name: str) -> Response:
        return _json_response(entry_body(models.get(model_in_path(request.environ["RAW_URI"]))))

    @app.delete("/models/<model:name>", provide_automatic_options=False)
    def unload(name: str) -> Response:
        return _json_response(entry_body(models.unload(model_in_path(request.environ["RAW_URI"]))))

    @app.post("/models/<model:name>/invoke", provide_automatic_options=False)
    def invoke(name: str) -> Response:
        return _respond_with(models.lease(model_in_path(request.environ["RAW_URI"], "/invoke")), settings)


def _respond_with(lease: Lease, settings: Settings) -> Response:
    """Answer the current request by a model, which stays mapped until the answer has been sent."""
    try:
        response = respond(lease.recommender, settings)
    except BaseException:
        lease.release()
        raise
    response.call_on_close(lease.release)
    return response


def _json_response(value: Any) -> Response:
    return Response(json_bytes(value), content_type=JSON)


def _utf8(header: str) -> str:
    """Return a header as the client meant it: bytes beyond ASCII come as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except ValueError:
        return header


def respond(recommender: Recommender, settings: Settings) -> Response:
    """Return the answer of `recommender` to the body of the current request.

    It may read the body and `recommender` until the response is closed; ``response.call_on_close`` tells when that is.

    Raises:
        CallerError: the request as a whole can't be answered; a record's error stands in its place.
        HTTPException: the body is too large.
    """
    exchange = exchange_of(request.environ)
    exchange.model = recommender.model_hash
    _refuse_encodings(request.headers.get("Content-Encoding"))
    kind = request_type(request.content_type)
    wanted = answer_type(request.headers.get("Accept"), settings.default_accept or kind)
    body = receive(request.stream)
    try:
        asked = decode_in_place(body, kind) if settings.batch_transform else decode(body, kind)
        response = _answer(recommender, asked, wanted, exchange.tally, in_place=settings.batch_transform)
    except BaseException:
        body.close()
        raise
    response.call_on_close(body.close)
    return response


def _answer(recommender: Recommender, asked: Request, wanted: str, tally: Tally, *, in_place: bool) -> Response:
    """Answer `asked` by a body of type `wanted`; with `in_place` no record's error is the response's."""
    records = asked.records
    if wanted == CSV:
        records = map(_or_no_csv, records) if in_place else _all_for_csv(records)
    answers = recommender.answers(records, tally)
    if not asked.batch and not in_place:
        ((record, answer),) = answers
        if isinstance(answer, CallerError):
            raise answer
        answers = iter([(record, answer)])
    return _response(encode(answers, asked, wanted), wanted)


def _refuse_encodings(encoding: str | None) -> None:
    if encoding and encoding.strip().lower() != "identity":
        message = f"Content-Encoding is {shown(encoding)}, expected a body that is not compressed."
        raise RequestError("unsupported_media_type", message)


def _all_for_csv(records: Iterable[Record | CallerError]) -> Iterable[Record | CallerError]:
    """Return `records`, all of which CSV can answer; RequestError where there is another one."""
    for record in records:
        if not isinstance(record, CallerError) and isinstance(refusal := _or_no_csv(record), CallerError):
            raise refusal
    return records


def _or_no_csv(record: Record | CallerError) -> Record | CallerError:
    """Return a record that CSV can answer as it is, any other one as an error."""
    if isinstance(record, CallerError) or label_of(record) in ("recommend", OTHER):
        return record
    return RequestError("not_acceptable", f"CSV can answer task recommend only: accept {JSON}.", "task")


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


class _RouteOf:
    """Gives the pattern of a path, whatever the method; None where nothing is at that path."""

    def __init__(self, app: Flask) -> None:
        """Look at the routes that `app` has when it is asked: they are added later."""
        self._app = app

    @cached_property
    def _plain(self) -> frozenset[str]:
        return frozenset(rule.rule for rule in self._app.url_map.iter_rules() if not rule.arguments)

    def __call__(self, path: str) -> str | None:
        if path in self._plain:
            return path
        adapter = self._app.url_map.bind("localhost")
        try:
            return adapter.match(path, method="GET", return_rule=True)[0].rule
        except MethodNotAllowed as error:
            method = next(iter(error.valid_methods or ()))
            return adapter.match(path, method=method, return_rule=True)[0].rule
        except HTTPException:
            return None


def _error_response(error: Exception, settings: Settings) -> Response:
    """Turn any error into a response: what was foreseen is the caller's, all else is ours, opaque and logged."""
    exchange = exchange_of(request.environ)
    headers: dict[str, Any] = {}
    match error:
        case CallerError():
            known = error
        case RequestEntityTooLarge():
            message = f"The body is larger than the {settings.max_body_bytes:,} bytes that are accepted."
            known = RequestError("too_large", message)
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
            _log.exception("unforeseen error while answering %s %s", exchange.method, exchange.route)
            known = RequestError("internal", "The server failed to answer; its log says why.")
    exchange.error = error_code(known)
    return Response(error_text(known), status=STATUS[error_code(known)], content_type=JSON, headers=headers)
