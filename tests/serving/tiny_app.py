"""A WSGI application as small as the tests of the processes need; TINY_FOLDER is where it and a test meet."""

import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Environ = dict[str, Any]
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    route = environ["PATH_INFO"].strip("/")
    status, answer = ROUTES[route](environ) if route in ROUTES else ("404 Not Found", {"app": "no such path"})
    body = json.dumps(answer).encode() if answer else b""
    headers = [("Content-Length", str(len(body))), ("Content-Type", "application/json")]
    if "HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES" in environ:
        headers.append((CUSTOM_ATTRIBUTES, environ["HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES"] + ", seen"))
    start_response(status, headers)
    return [body]


def ping(environ: Environ) -> tuple[str, Any]:
    return ("503 Service Unavailable" if met("not-ready") else "200 OK"), None


def length(environ: Environ) -> tuple[str, Any]:
    """Answer with the body's length, the worker, and what stands in its environment."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "ALSRIAZ_ML_ROOT")
    return "200 OK", {"length": len(body), "worker": os.getpid(), "uid": os.getuid()} | {
        n: os.environ[n] for n in names
    }


def wait(environ: Environ) -> tuple[str, Any]:
    """Say that a request runs here, then answer after as many seconds as the query says."""
    Path(os.environ["TINY_FOLDER"], f"running-{uuid.uuid4().hex}").write_text(str(os.getpid()))
    time.sleep(float(environ["QUERY_STRING"]))
    return "200 OK", {"worker": os.getpid()}


def die(environ: Environ) -> tuple[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return "200 OK", None


def refuse(environ: Environ) -> tuple[str, Any]:
    return "502 Bad Gateway", {"app": "its own 502"}


def met(name: str) -> bool:
    return Path(os.environ["TINY_FOLDER"], name).exists()


ROUTES = {"ping": ping, "length": length, "wait": wait, "die": die, "refuse": refuse}

if met("broken"):
    raise ValueError("the tiny application was told to be broken")
