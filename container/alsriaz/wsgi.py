"""The application that gunicorn loads, once, before it forks its workers: they share the mapped model."""

import os
from pathlib import Path

from flask import Flask

from alsriaz.platform.freed_memory import share_one_arena
from alsriaz.platform.layout import Layout
from alsriaz.predictor import create_app, create_models_app
from alsriaz.questions.question import Limits
from alsriaz.questions.shop import open_shop
from alsriaz.serving.live_rules.following import LiveRules, RulesFolder, follow
from alsriaz.serving.log import configure_log
from alsriaz.serving.metrics import Metrics
from alsriaz.serving.multi_model.models import Models
from alsriaz.serving.settings import MODELS_FOLDER, RULES_FOLDER, read_settings


def build_app() -> Flask:
    """Return the application for the settings of this process's environment: of one model, or in multi-model mode.

    Raises:
        ModelError: there is no usable model.
        SpecError: a setting can't be used.
    """
    settings = read_settings(os.environ)
    configure_log(settings.log_level)
    layout = Layout.from_environment()
    metrics = Metrics()
    folder = os.environ.get(RULES_FOLDER)
    live = LiveRules(RulesFolder(Path(folder)) if folder else None, metrics.count_kept_in_part)
    if settings.multi_model:
        share_one_arena()
        models = Models(Path(os.environ[MODELS_FOLDER]), layout, settings, live, metrics.count_model)
        os.register_at_fork(after_in_child=models.watch)
        return create_models_app(models, settings, metrics)
    limits = Limits(settings.max_k, settings.max_rule_ids, settings.max_history)
    return create_app(follow(open_shop(layout.model, limits), live), settings, metrics)


app = build_app()
