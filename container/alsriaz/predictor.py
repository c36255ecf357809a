"""The HTTP application: the one module that knows Flask.

POST /invocations goes straight from WSGI to the model and back: Flask's request, routing and response would take as
long as the answer does. All else is Flask's, the errors that it alone can meet included.
"""

import contextlib
import functools
import io
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from flask import Flask, Response, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.routing import BaseConverter
from werkzeug.wsgi import ClosingIterator, get_content_length, get_input_stream

from alsriaz.errors import CallerError, RequestError
from alsriaz.platform.values import shown
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.tally import OTHER, Record
from alsriaz.questions.tasks import label_of
from alsriaz.serving import wire
from alsriaz.serving.metrics import CONTENT_TYPE, Metrics
from alsriaz.serving.multi_model.interface import entry_body, load_request, model_in_path, page_body
from alsriaz.serving.multi_model.models import Models
from alsriaz.serving.settings import CSV, JSON, Settings
from alsriaz.serving.watch import Application, Environ, Exchange, exchange_of, watched

MOST_MB_AT_ONCE = 100
"""The platform's limit on a transform job's concurrent requests x megabytes of each."""

_log = logging.getLogger("alsriaz")

_SENT_WHOLE = 1 << 20  # bytes; an answer that is longer is sent while it is worked out
_PIECES_AT_ONCE = 64
_PAYLOAD_MB = 1  # 150,000 ids: seconds or minutes, far from the 600 s that the platform waits; it has 6
_THREADS_USED = 2  # of a worker: one computes while the other one reads or writes

Leased = tuple[Recommender, Callable[[], None]]
"""What answers one request, and what to call when it is done."""


def create_app(recommender: Recommender, settings: Settings, metrics: Metrics | None = None) -> Flask:
    """Return the application that answers from `recommender`; nothing is loaded on the first request."""
    metrics = metrics or Metrics()
    metrics.tell_model(recommender.model_hash, recommender.n_customers, recommender.n_items)
    app = base_app(settings, metrics, lambda environ: (recommender, lambda: None))

    @app.get("/execution-parameters", provide_automatic_options=False)
    def parameters() -> Response:
        return _json_response(execution_parameters(settings))

    return app


def execution_parameters(settings: Settings) -> dict[str, int | str]:
    """Return how many requests at a time, of what kind and size, keep all workers of a batch transform job busy.

    Source: SageMaker Developer Guide, "Use Your Own Inference Code with Batch Transform". A transform job's own
    settings stand above these.
    """
    payload = settings.max_payload_mb or _PAYLOAD_MB
    if settings.max_body_mb is not None:
        payload = min(payload, settings.max_body_mb)
    at_once = settings.max_concurrent_transforms or settings.workers * min(settings.threads, _THREADS_USED)
    at_once = min(at_once, MOST_MB_AT_ONCE)
    return {
        "MaxConcurrentTransforms": at_once,
        "BatchStrategy": settings.batch_strategy,
        "MaxPayloadInMB": max(1, min(payload, MOST_MB_AT_ONCE // at_once)),
    }


def base_app(settings: Settings, metrics: Metrics, lease: Callable[[Environ], Leased]) -> Flask:
    """Return an application with all but a model: `lease` gives what POST /invocations is answered by, or raises."""
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
        return _error_response(error, exchange_of(request.environ), settings)

    def invocations(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            media, pieces = respond(lease(environ), environ, app.config["MAX_CONTENT_LENGTH"], settings)
        except Exception as error:  # noqa: BLE001 - as Flask does for the other paths: what is unforeseen is logged
            return _error_response(error, exchange_of(environ), settings)(environ, start_response)
        headers = [("Content-Type", media)]
        if isinstance(pieces, list):
            headers.append(("Content-Length", str(len(pieces[0]))))
        start_response("200 OK", headers)
        return pieces

    @app.post("/invocations", provide_automatic_options=False)
    def path() -> Application:
        return invocations  # known to Flask for the sake of other methods; the right one doesn't get here

    def straight(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == "/invocations" and environ["REQUEST_METHOD"] == "POST":
            return invocations(environ, start_response)
        return flask(environ, start_response)

    flask = app.wsgi_app
    app.wsgi_app = watched(straight, _route_of(app), metrics)  # type: ignore[method-assign,assignment]
    return app


def _route_of(app: Flask) -> Callable[[str], str | None]:
    """Return what gives the pattern of a path, whatever the method; None where nothing is at that path."""

    @functools.lru_cache(maxsize=64)  # one model has four paths, and nginx lets none through that is longer than 8 KB
    def route_of(path: str) -> str | None:
        adapter = app.url_map.bind("localhost")
        try:
            return adapter.match(path, method="GET", return_rule=True)[0].rule
        except MethodNotAllowed as error:
            method = next(iter(error.valid_methods or ()))
            return adapter.match(path, method=method, return_rule=True)[0].rule
        except HTTPException:
            return None

    return route_of


# ---- Multi-model mode -----------------------------------------------------------------------------------------------


def create_models_app(models: Models, settings: Settings, metrics: Metrics) -> Flask:
    """Return the application for multi-model mode, in which `models` come and go; there is none at first."""

    def lease(environ: Environ) -> Leased:
        target = environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_MODEL", "").strip()
        if not target:
            raise models.explain_no_target()
        leased = models.lease_target(_utf8(target))
        return leased.recommender, leased.release

    app = base_app(settings, metrics, lease)
    app.url_map.converters["model"] = _ModelName
    app.url_map.merge_slashes = False  # a model's name may have several in a row
    _add_models_routes(app, models, settings)

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
        leased = models.lease(model_in_path(request.environ["RAW_URI"], "/invoke"))
        lease = leased.recommender, leased.release
        media, pieces = respond(lease, request.environ, app.config["MAX_CONTENT_LENGTH"], settings)
        return Response(pieces, content_type=media)


def _json_response(value: Any) -> Response:
    return Response(wire.json_bytes(value), content_type=JSON)


def _utf8(header: str) -> str:
    """Return a header as the client meant it: bytes beyond ASCII come as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except ValueError:
        return header


# ---- Answers --------------------------------------------------------------------------------------------------------


def respond(
    lease: Leased, environ: Environ, most_bytes: int | None, settings: Settings
) -> tuple[str, list[bytes] | ClosingIterator]:
    """Return the media type and the body of the answer to a request that asks questions.

    A short answer is one piece, and the lease has ended; a long one is worked out as it is sent, and the lease ends
    when it is closed. CallerError and HTTPException where the request as a whole can't be answered.
    """
    recommender, release = lease
    with contextlib.ExitStack() as held:
        held.callback(release)
        exchange = exchange_of(environ)
        exchange.model = recommender.model_hash
        encoding = environ.get("HTTP_CONTENT_ENCODING")
        if encoding and encoding.strip().lower() != "identity":
            message = f"Content-Encoding is {shown(encoding)}, expected a body that is not compressed."
            raise RequestError("unsupported_media_type", message)
        kind = wire.request_type(environ.get("CONTENT_TYPE"))
        wanted = wire.answer_type(environ.get("HTTP_ACCEPT"), settings.default_accept or kind)
        body = held.enter_context(_received(environ, most_bytes))
        pieces = _answers(recommender, body, kind, wanted, exchange, in_place=settings.batch_transform)
        begun = bytearray()
        for piece in pieces:
            begun += piece
            if len(begun) >= _SENT_WHOLE:
                rest = itertools.chain([bytes(begun)], _parcels(pieces))
                return wanted, ClosingIterator(rest, held.pop_all().close)
        return wanted, [bytes(begun)]


def _received(environ: Environ, most_bytes: int | None) -> IO[bytes]:
    """Return the body of a request; the caller closes it. A short one is read at once, without a stream in between."""
    length = get_content_length(environ)
    if length is None or length > wire.IN_MEMORY or (most_bytes is not None and length >= most_bytes):
        return wire.receive(get_input_stream(environ, max_content_length=most_bytes))
    try:
        return io.BytesIO(environ["wsgi.input"].read(length))
    except (OSError, ValueError):
        raise ClientDisconnected from None


def _answers(
    recommender: Recommender, body: IO[bytes], kind: str, wanted: str, exchange: Exchange, *, in_place: bool
) -> Iterator[bytes]:
    """Return the answer to a body of type `kind`, of type `wanted`, in pieces.

    A single question's error is the response's, and is raised; with `in_place` none is.
    """
    asked = wire.decode_in_place(body, kind) if in_place else wire.decode(body, kind)
    records = asked.records
    if wanted == CSV:
        records = map(_or_no_csv, records) if in_place else _all_for_csv(records)
    answers = recommender.answers(records, exchange.tally)
    if not asked.batch and not in_place:
        ((record, answer),) = answers
        if isinstance(answer, CallerError):
            raise answer
        answers = iter([(record, answer)])
    return wire.encode(answers, asked, wanted)


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


def _parcels(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield pieces together, so that each takes many to the socket."""
    while parcel := b"".join(itertools.islice(pieces, _PIECES_AT_ONCE)):
        yield parcel


def _error_response(error: Exception, exchange: Exchange, settings: Settings) -> Response:
    """Turn any error into a response: what was foreseen is the caller's, all else is ours, opaque and logged."""
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
                "method_not_allowed", f"{exchange.method} is not for this path: use {headers['Allow']}."
            )
        case NotFound():  # Flask's alone, which has the path decoded
            known = RequestError("not_found", f"There is nothing at {shown(request.path)}: use /ping or /invocations.")
        case HTTPException() if (error.code or 500) < 500:
            known = RequestError("bad_value", f"The request can't be read: {error.name}.")
        case _:
            _log.exception("unforeseen error while answering %s %s", exchange.method, exchange.route)
            known = RequestError("internal", "The server failed to answer; its log says why.")
    exchange.error = wire.error_code(known)
    body = wire.json_bytes(wire.error_body(known))
    return Response(body, status=wire.STATUS[exchange.error], content_type=JSON, headers=headers)
