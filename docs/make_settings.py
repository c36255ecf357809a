"""Writes docs/settings.md from the rows in the code; run it after a setting was changed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "container"))

from alsriaz.platform.setting import markdown_table
from alsriaz.platform.spec import SETTINGS
from alsriaz.serving.settings import ROWS

PAGE = Path(__file__).with_name("settings.md")


def page() -> str:
    """Return what docs/settings.md should be."""
    return f"""# Settings

## train: als_spec.json and hyperparameters.json
Precedence: default, then als_spec.json, then SageMaker's hyperparameters, whose values are strings;
`null`, `None`, `none` or nothing there means not given. als_spec.json is looked for in input/config/, in channel `spec`
and at the top of the training channel. An unknown name is refused; names that SageMaker adds by itself
(`sagemaker_...`, `_tuning_objective_metric`) are ignored.

{markdown_table(SETTINGS)}
Rows are cleaned first, then the window is applied, then the holdout. "Now" is the window's last day, never the clock.

## serve: environment variables
An empty variable counts as not set. An unknown one that begins with `ALSRIAZ_` is refused.

{markdown_table(ROWS.values())}
## Both
| name | default | meaning |
|---|---|---|
| `ALSRIAZ_ML_ROOT` | `/opt/ml` | The folder that holds input/, model/ and output/. |
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
