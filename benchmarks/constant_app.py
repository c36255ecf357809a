"""The least that a Flask application can do, on the stack of serve: it reads the body and answers a constant.

    CONSTANT_ANSWER='{"a": 1}' PYTHONPATH=container:. python benchmarks/constant_app.py

serves it with serve's own supervisor: nginx in front of gunicorn, with the same settings. `over_http.py` does so.
"""

import os
import sys

from flask import Flask, Response, request


def build_app() -> Flask:
    """Return the application; the environment variable CONSTANT_ANSWER is what it answers."""
    answer = os.environ["CONSTANT_ANSWER"].encode()
    app = Flask("constant", static_folder=None)

    @app.get("/ping")
    def ping() -> Response:
        return Response(status=200)

    @app.post("/invocations")
    def invocations() -> Response:
        request.get_data(cache=False)
        return Response(answer, content_type="application/json")

    return app


if __name__ == "__main__":
    from alsriaz.serving.supervisor import main  # not at the top: gunicorn loads this file too

    sys.exit(main("benchmarks.constant_app:build_app()", verify=lambda settings: None))
