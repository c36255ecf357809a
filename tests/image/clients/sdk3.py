"""Trains an image as people do by SageMaker's SDK 3 in a local container. Runs where the SDK is, and nothing of ours.

    python -P sdk3.py train REQUEST RESULT

REQUEST is a JSON file with what `train` is given, RESULT the JSON file for what it returns. Standard output is what a
user of the SDK sees.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData
from sagemaker.train.model_trainer import Mode


def train(request: Mapping[str, Any]) -> dict[str, Any]:
    """Train in a local container, and return what the SDK raises."""
    trainer = ModelTrainer(
        training_mode=Mode.LOCAL_CONTAINER,
        training_image=request["image"],
        local_container_root=request["output"],
        compute=Compute(instance_type="local_cpu", instance_count=1),
        hyperparameters=request["hyperparameters"],
        base_job_name="shop",
    )
    channels = [InputData(channel_name=name, data_source=folder) for name, folder in request["channels"].items()]
    try:
        trainer.train(input_data_config=channels, wait=True)
    except RuntimeError as error:
        return {"raised": str(error)}
    return {"raised": None}


DOES = {"train": train}


if __name__ == "__main__":
    what, asked, result = sys.argv[1:]
    told = DOES[what](json.loads(Path(asked).read_text(encoding="utf-8")))
    Path(result).write_text(json.dumps(told), encoding="utf-8")
