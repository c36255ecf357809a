"""serve, but with the tiny application, and with no model to verify."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT / "container")

from alsriaz.errors import ModelError  # noqa: E402
from alsriaz.serving.settings import Settings  # noqa: E402
from alsriaz.serving.supervisor import main  # noqa: E402


def verify(_settings: Settings) -> None:
    if Path(os.environ["TINY_FOLDER"], "no-model").exists():
        raise ModelError("The model was told not to be there.")


if __name__ == "__main__":
    sys.exit(main("tests.serving.tiny_app:app", verify))
