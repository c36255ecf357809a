"""What `docker run IMAGE ...` runs, and what it says where it can't."""

import json
import signal
from pathlib import Path

import pytest

from tests.image.docker import docker, run, started_container
from tests.serving.serving_process import until
from tests.small_models import shop

pytestmark = pytest.mark.image

NO_SALES = "There is no folder input/data in /opt/ml"

COMMANDS = [
    # command                          status  standard output     why
    (["true"], 0, "", "a program"),
    (["false"], 1, "", "a program's own status"),
    (["bash", "-c", "echo $0 $1; exit 7", "a b", "c"], 7, "a b c\n", "arguments pass as they are"),
    (["bash", "-c", "cat /proc/1/comm; :"], 0, "bash\n", "the command is process 1, and gets the platform's signals"),
    (["chmod", "-R", "777", "/mnt"], 0, "", "what SDK 3 cleans up with"),
    (["python", "-c", "import alsriaz; print(alsriaz.__name__)"], 0, "alsriaz\n", "Python knows the package"),
    (["bash", "-c", "type -P train serve"], 0, "/opt/program/alsriaz/train\n/opt/program/alsriaz/serve\n", "on PATH"),
    (
        ["stat", "-c", "%a %U", "/opt/program/alsriaz/train"],
        0,
        "755 root\n",
        "all may execute it, root alone write it",
    ),
    (["stat", "-c", "%a %U", "/opt/program/alsriaz/serve"], 0, "755 root\n", "the same"),
]


@pytest.mark.parametrize(("command", "status", "says", "why"), COMMANDS, ids=[row[-1] for row in COMMANDS])
def test_a_command_is_executed_as_given(image: str, command: list[str], status: int, says: str, why: str) -> None:
    done = run(image, *command)
    assert (done.returncode, done.stdout, done.stderr) == (status, says, "")


def test_train_trains(image: str) -> None:
    done = run(image, "train")
    assert done.returncode == 1
    assert NO_SALES in done.stderr


def test_no_command_trains_where_the_platform_has_put_its_files(image: str, tmp_path: Path) -> None:
    (tmp_path / "input" / "config").mkdir(parents=True)
    done = run(image, options=("--volume", f"{tmp_path}:/opt/ml"))
    assert done.returncode == 1
    assert NO_SALES in done.stderr


def test_no_command_and_nothing_to_train_on_is_told_how_to_use_the_image(image: str) -> None:
    done = run(image)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("usage: docker run -v FOLDER:/opt/ml IMAGE train ")
    assert "Without a command it trains where FOLDER/input/config is there. It is not: " in done.stderr


UNKNOWN = [
    # command                why
    ("trian", "a slip"),
    ("/opt/nothing", "a path"),
    ("cd", "a word of the shell that is no program"),
    ("--help", "an option in place of a command"),
    ("", "an empty word"),
]


@pytest.mark.parametrize(("command", "why"), UNKNOWN, ids=[row[-1] for row in UNKNOWN])
def test_an_unknown_command_is_127_and_one_line(image: str, command: str, why: str) -> None:
    done = run(image, command)
    assert (done.returncode, done.stdout) == (127, "")
    expected = "expected train, serve, or a program of the image"
    assert done.stderr == f"alsriaz: there is no command '{command}': {expected}\n"


@pytest.mark.parametrize("program", ["train", "serve"])
def test_the_programs_are_found_without_our_entry_point(image: str, program: str) -> None:
    """The platform's ContainerEntrypoint replaces it."""
    done = run(image, options=("--entrypoint", program))
    assert done.returncode == 1
    assert "model" in done.stderr if program == "serve" else NO_SALES in done.stderr


# ---- what the image says of itself ----------------------------------------------------------------------------------


def test_labels(image: str) -> None:
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", image))
    for capability in ("multi-models", "accept-bind-to-port"):
        assert labels[f"com.amazonaws.sagemaker.capabilities.{capability}"] == "true"
    version = run(image, "python", "-c", "import alsriaz; print(alsriaz.__version__)").stdout.strip()
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.title"] == "alsriaz"
    assert labels["org.opencontainers.image.description"]
    assert labels["org.opencontainers.image.revision"] == "unknown"


def test_the_port_is_told(image: str) -> None:
    assert json.loads(docker("image", "inspect", "--format", "{{json .Config.ExposedPorts}}", image)) == {
        "8080/tcp": {}
    }


def test_serve_refuses_none_of_the_image_s_own_variables(image: str) -> None:
    """serve refuses unknown names that begin with ALSRIAZ_."""
    variables = json.loads(docker("image", "inspect", "--format", "{{json .Config.Env}}", image))
    assert not [variable for variable in variables if variable.startswith(("ALSRIAZ_", "SAGEMAKER_"))]


# ---- the health check -----------------------------------------------------------------------------------------------

STOP_NGINX = """
for name in /proc/[0-9]*/comm; do
  process=${name%/comm}
  [[ $(<"$name") != nginx ]] || kill -STOP "${process#/proc/}"
done
"""
OFTEN = ("--health-interval", "1s", "--health-start-period", "0s", "--health-retries", "1")


@pytest.mark.parametrize("port", ["8080", "8081"])
def test_a_serving_container_is_healthy_until_it_no_longer_answers(image: str, port: str, tmp_path: Path) -> None:
    shop().write(tmp_path / "model")
    options = (*OFTEN, "--volume", f"{tmp_path}:/opt/ml", "--env", f"SAGEMAKER_BIND_TO_PORT={port}")
    with started_container(image, "serve", options=options) as container:

        def health() -> str:
            return container.inspected("{{.State.Health.Status}}")

        until(lambda: health() == "healthy", container.log)
        docker("exec", container.name, "bash", "-c", STOP_NGINX)
        until(lambda: health() == "unhealthy", container.log)


def test_a_training_container_is_never_unhealthy(image: str) -> None:
    """It has no port; here, one that waits stands for it."""
    with started_container(image, "sleep", "60", options=OFTEN) as container:
        until(lambda: container.inspected("{{len .State.Health.Log}}") != "0", container.log)
        assert container.inspected("{{.State.Health.Status}}") == "healthy"
        assert docker("exec", container.name, "/opt/program/healthcheck") == ""
        docker("kill", "--signal", signal.SIGKILL.name, container.name)
