"""The poller: a process of its own, one in a container, whatever the number of workers; the supervisor starts it.

It keeps boto3 out of the workers, and nothing that it meets can hold up an answer. SIGTERM ends it at once.
"""

import os
import random
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from alsriaz.errors import CallerError, SpecError
from alsriaz.platform.layout import Layout
from alsriaz.questions.question import Limits
from alsriaz.questions.shop import open_shop
from alsriaz.serving.live_rules.file_source import FileSource
from alsriaz.serving.live_rules.folder import FOLDER, RulesFolder
from alsriaz.serving.live_rules.location import FileLocation, Location
from alsriaz.serving.live_rules.poller import Check, Poller
from alsriaz.serving.live_rules.source import Source
from alsriaz.serving.log import configure_log
from alsriaz.serving.settings import Settings, read_settings

_JITTER = 0.1  # of the interval, either way: the containers of an endpoint don't ask all at once


def open_source(location: Location, most_bytes: int, environ: Mapping[str, str]) -> Source:
    """Return the source at a location; `environ` may name a region in AWS_REGION, which boto3 itself overlooks."""
    if isinstance(location, FileLocation):
        return FileSource(location.path, most_bytes)
    from alsriaz.serving.live_rules.s3_source import S3Source  # boto3 takes 60 MB and a second: not for a file

    return S3Source(location, most_bytes, region=environ.get("AWS_REGION") or None)


def check_for(settings: Settings, layout: Layout) -> Check:
    """Return what rules must pass beyond being rules: that this container's model can keep them.

    It tells what of them has no effect, without what the model's standing rules would have told. In multi-model mode
    models come and go, so that each takes or refuses the rules itself.
    """
    if settings.multi_model:
        return lambda rules: ()
    return open_shop(layout.model, Limits(settings.max_k)).check_live


def main() -> int:
    """Look for rules until this process is ended; return 1 where it can't even begin."""
    try:
        settings = read_settings(os.environ)
        configure_log(settings.log_level)
        if settings.rules is None:
            raise SpecError("ALSRIAZ_RULES_URI is not set: there are no live rules to look for.")
        source = open_source(settings.rules, settings.rules_max_bytes, os.environ)
        check = check_for(settings, Layout.from_environment())
    except CallerError as error:
        print(f"live rules: {error}", file=sys.stderr)
        return 1
    poller = Poller(source, settings.rules.uri, RulesFolder(Path(os.environ[FOLDER])), check)
    while True:
        poller.poll()
        seconds = settings.rules_poll_seconds
        time.sleep(seconds * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - no secret


if __name__ == "__main__":
    sys.exit(main())
