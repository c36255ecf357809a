"""The application that gunicorn loads, once, before it forks its workers: they share the mapped model."""

import os

from flask import Flask

from alsriaz.core.artifact import open_model
from alsriaz.core.layout import Layout
from alsriaz.predictor import create_app
from alsriaz.serving.recommender import Limits, Recommender
from alsriaz.serving.settings import read_settings


def build_app() -> Flask:
    """Return the application for the model folder and the settings of this process's environment.

    Raises:
        ModelError: there is no usable model.
        SpecError: a setting can't be used.
    """
    settings = read_settings(os.environ)
    limits = Limits(settings.max_k, settings.max_rule_ids, settings.max_history)
    recommender = Recommender(open_model(Layout.from_environment().model), limits)
    return create_app(recommender, settings.max_body_bytes, settings.default_accept)


app = build_app()
