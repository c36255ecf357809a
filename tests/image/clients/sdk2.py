"""Uses an image as people do by SageMaker's SDK 2 in local mode. Runs where the SDK is, and nothing of ours.

    python -P sdk2.py WHAT REQUEST RESULT

WHAT is a function of `DOES`, REQUEST a JSON file with what it is given, RESULT the JSON file for what it returns.
Standard output is what a user of the SDK sees. `wait=False` everywhere: a local endpoint and a local job are ready when
the SDK returns, and waiting means that it sleeps for 30 s before it asks whether they are.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagemaker.deserializers import CSVDeserializer, JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer, JSONSerializer

Request = Mapping[str, Any]

ROLE = "arn:aws:iam::000000000000:role/none"


def fail(request: Request) -> dict[str, Any]:
    """Train, and return what the SDK raises."""
    try:
        fitted(request)
    except RuntimeError as error:
        return {"raised": str(error)}
    return {"raised": None}


def train_and_answer(request: Request) -> dict[str, Any]:
    """Train; ask the endpoint of the model one question after the other; then transform files with it."""
    estimator = fitted(request)
    return {
        "model_data": estimator.model_data,
        "answers": answers(estimator.deploy(1, "local", endpoint_name="shop", wait=False), request),
        "transforms": [transformed(estimator, transform) for transform in request["transforms"]],
    }


def answer(request: Request) -> dict[str, Any]:
    """Ask an endpoint of a folder, with variables of its own."""
    model = Model(
        image_uri=request["image"],
        model_data=request["model_data"],
        role=ROLE,
        env=request["environ"],
        predictor_cls=Predictor,
        sagemaker_session=session(request),
    )
    return {"answers": answers(model.deploy(1, "local", endpoint_name="shops", wait=False), request)}


def fitted(request: Request) -> Estimator:
    """Return an estimator after `fit`."""
    estimator = Estimator(
        image_uri=request["image"],
        role=ROLE,
        instance_count=1,
        instance_type="local",
        output_path=f"file://{request['output']}",
        hyperparameters=request["hyperparameters"],
        sagemaker_session=session(request),
    )
    estimator.fit({name: f"file://{folder}" for name, folder in request["channels"].items()}, job_name="shop")
    return estimator


def answers(predictor: Predictor, request: Request) -> list[Any]:
    """Return what the SDK makes of each answer, then delete the endpoint."""
    kinds = {"json": (JSONSerializer(), JSONDeserializer()), "csv": (CSVSerializer(), CSVDeserializer())}
    told = []
    try:
        for question in request["questions"]:
            predictor.serializer, predictor.deserializer = kinds[question["kind"]]
            told.append(predictor.predict(question["data"], target_model=question.get("target_model")))
    finally:
        predictor.delete_endpoint()
    return told


def transformed(estimator: Estimator, transform: Mapping[str, Any]) -> str:
    """Transform one file, and return what came out."""
    transformer = estimator.transformer(
        1,
        "local",
        strategy=transform["strategy"],
        assemble_with=transform["assemble_with"],
        accept=transform["accept"],
        max_payload=transform["max_payload"],
        output_path=f"file://{transform['output']}",
    )
    transformer.transform(
        f"file://{transform['input']}",
        content_type=transform["content_type"],
        split_type=transform["split_type"],
        job_name=transform["name"],
        wait=False,
        logs=False,
    )
    return Path(transform["output"], Path(transform["input"]).name + ".out").read_text(encoding="utf-8")


def session(request: Request) -> LocalSession:
    """Return a session whose containers answer on a port of their own, and whose files lie below the request's."""
    local = LocalSession()
    local.config = {"local": {"serving_port": request["port"], "container_root": request["containers"]}}
    return local


DOES = {"fail": fail, "train_and_answer": train_and_answer, "answer": answer}


if __name__ == "__main__":
    what, asked, result = sys.argv[1:]
    told = DOES[what](json.loads(Path(asked).read_text(encoding="utf-8")))
    Path(result).write_text(json.dumps(told), encoding="utf-8")
