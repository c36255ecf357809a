"""build_and_push.sh against a moto server and a real registry: the AWS CLI, Docker and what they say are real."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import moto.ecr.models
import pytest
from moto.ecr.exceptions import RepositoryNotFoundException

from alsriaz import __version__
from tests.aws import ACCOUNT, MANIFESTS, PASSWORD, Aws, Registry, copy_buildx, started_aws, started_registry
from tests.image.built import built_image
from tests.image.docker import PATIENCE, docker
from tests.moto_server import REGION

pytestmark = pytest.mark.image

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "build_and_push.sh"
NAME = "alsriaz-test/pushed"
TINY = ("--", "-f", "tiny.Dockerfile")  # the script's own image, where a test asks nothing of what is in it
TOOLS = "aws bash basename cat date dirname docker env grep head id ls mktemp rm sed sh tail tee tr uname".split()


@dataclass(frozen=True)
class Machine:
    """Where the script runs: an environment, a home and a working folder of its own."""

    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str, without: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
        """Run the script; on a PATH that lacks one program, and with changes to the environment; "" takes one away."""
        environment = self.environment | changes
        if without:
            environment["PATH"] = str(self.path_without(without))
        return subprocess.run(
            [SCRIPT, *arguments],
            cwd=self.folder,
            env={name: value for name, value in environment.items() if value},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
        )

    def path_without(self, missing: str) -> Path:
        """Return a folder of all programs that the script calls, but one."""
        folder = self.folder / f"without-{missing}"
        folder.mkdir()
        for tool in TOOLS:
            if tool != missing and (found := shutil.which(tool, path=self.environment["PATH"])):
                (folder / tool).symlink_to(found)
        return folder

    def put_before_docker(self, *lines: str) -> None:
        """Let these lines of shell see each call of docker before docker itself does."""
        folder = self.folder / "first"
        folder.mkdir()
        real = shutil.which("docker", path=self.environment["PATH"])
        (folder / "docker").write_text("\n".join(["#!/bin/sh", *lines, f'exec {real} "$@"', ""]))
        (folder / "docker").chmod(0o755)
        self.environment["PATH"] = f"{folder}:{self.environment['PATH']}"


def said(result: subprocess.CompletedProcess[str]) -> str:
    """Return the script's last line, which tells why it ended."""
    assert "Traceback" not in result.stderr
    assert PASSWORD not in result.stdout + result.stderr
    return result.stderr.strip().splitlines()[-1].removeprefix("build_and_push: ")


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with started_registry() as registry:
        yield registry


@pytest.fixture(scope="module")
def server(registry: Registry) -> Iterator[Aws]:
    with started_aws(registry) as server:
        yield server


@pytest.fixture
def aws(server: Aws) -> Aws:
    server.forget()
    return server


@pytest.fixture
def machine(aws: Aws, tmp_path: Path) -> Iterator[Machine]:
    """A machine without buildx, wherever the tests run."""
    plugins = tmp_path / "docker" / "cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-buildx").write_text("#!/bin/sh\nexit 1\n")  # one that doesn't work hides any other
    (plugins / "docker-buildx").chmod(0o755)
    (tmp_path / "tiny.Dockerfile").write_text("FROM scratch\nCOPY pyproject.toml /\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DOCKER_BUILD"))}
    environment |= aws.environment() | {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    yield Machine(tmp_path, environment)
    pushed = [name for name in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split() if NAME in name]
    if pushed:
        docker("image", "rm", "--force", *pushed)


@pytest.fixture(scope="module")
def buildx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("buildx")
    copy_buildx(folder)
    return folder / "docker-buildx"


@pytest.fixture(params=["buildx", "classic builder"])
def either(request: pytest.FixtureRequest, machine: Machine, buildx: Path) -> Machine:
    """The machine, once with buildx and once without."""
    if request.param == "buildx":
        plugin = machine.folder / "docker" / "cli-plugins" / "docker-buildx"
        plugin.unlink()
        plugin.symlink_to(buildx)
    return machine


# ---- what is pushed -------------------------------------------------------------------------------------------------


def test_sagemaker_gets_a_docker_manifest_for_its_machines(either: Machine, aws: Aws, registry: Registry) -> None:
    result = either.run(NAME, "1.0", *TINY)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{registry.address}/{NAME}:1.0\n"
    assert said(result).startswith(f"pushed {registry.address}/{NAME}:1.0, sha256:")

    media_type, manifest = registry.manifest(NAME, "1.0")
    assert (media_type, manifest["mediaType"]) == (MANIFESTS["docker"], MANIFESTS["docker"])
    config = registry.image_config(NAME, "1.0")
    assert (config["os"], config["architecture"]) == ("linux", "amd64")

    [repository] = aws.repositories()
    assert repository["repositoryName"] == NAME
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["imageTagMutability"] == "MUTABLE"
    docker("image", "inspect", f"{NAME}:1.0")  # and it can be run here, by its short name

    again = either.run(NAME, "1.1", *TINY)
    assert again.returncode == 0, again.stderr
    assert "made the repository" in result.stderr
    assert "made the repository" not in again.stderr
    assert aws.repositories() == [repository]
    assert registry.tags(NAME) == ["1.0", "1.1"]


def test_the_real_image_as_it_is(machine: Machine, registry: Registry) -> None:
    """By the builder that this machine has, so that what was built for other tests is not built again."""
    shutil.rmtree(machine.folder / "docker" / "cli-plugins")
    own = Path.home() / ".docker" / "cli-plugins"
    if own.is_dir():
        (machine.folder / "docker" / "cli-plugins").symlink_to(own)
    built = built_image()
    result = machine.run(NAME, "real", "--", "--network", "host")
    assert result.returncode == 0, result.stderr
    assert registry.manifest(NAME, "real")[0] == MANIFESTS["docker"]
    pushed = registry.image_config(NAME, "real")
    own_labels = docker("image", "inspect", "--format", "{{json .Config.Labels}}", built)
    assert pushed["config"]["Labels"] == json.loads(own_labels)
    # A layer may have been built anew since: equal steps, not equal bytes.
    steps = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", built).strip().splitlines()
    asked = [step["created_by"] for step in reversed(pushed["history"]) if step.get("created_by")]
    assert [re.sub("[0-9a-f]{64}", "", step).strip() for step in asked] == [
        re.sub("[0-9a-f]{64}", "", step).strip() for step in steps
    ]


# ---- dry run --------------------------------------------------------------------------------------------------------

BUILD = {
    "buildx": [
        f"docker buildx build --platform linux/amd64 --provenance=false --sbom=false --tag URI:{__version__} "
        f"--output type=image,push=true,oci-mediatypes=false --label 'a=b c' {ROOT}",
        f"docker tag URI:{__version__} alsriaz:{__version__}",
    ],
    "classic builder": [
        f"env DOCKER_BUILDKIT=0 docker build --platform linux/amd64 --tag alsriaz:{__version__} --label 'a=b c' {ROOT}",
        f"docker tag alsriaz:{__version__} URI:{__version__}",
        f"docker push URI:{__version__}",
    ],
}


def test_a_dry_run_prints_the_commands_and_changes_nothing(
    either: Machine, aws: Aws, registry: Registry, request: pytest.FixtureRequest
) -> None:
    """It needs no daemon, so there is none that could have built anything."""
    result = either.run("--dry-run", "--immutable", "--", "--label", "a=b c", DOCKER_HOST="unix:///no/daemon.sock")
    assert result.returncode == 0, result.stderr
    host = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
    build = next(lines for builder, lines in BUILD.items() if builder in request.node.name)
    assert result.stdout.splitlines() == [
        f"aws --region {REGION} ecr create-repository --repository-name alsriaz "
        "--image-scanning-configuration scanOnPush=true --image-tag-mutability IMMUTABLE",
        f"# the repository's own answer then decides the address, of which {host}/alsriaz is the usual form",
        f"aws --region {REGION} ecr get-login-password | docker login --username AWS --password-stdin {host}",
        *(line.replace("URI", f"{host}/alsriaz") for line in build),
        f"docker manifest inspect --verbose {host}/alsriaz:{__version__}",
        f'# expected: a "mediaType" of {MANIFESTS["docker"]}, for linux/amd64',
    ]
    assert aws.repositories() == []
    assert registry.tags("alsriaz") == []
    assert not (either.folder / "docker" / "config.json").exists()


def test_a_dry_run_takes_the_address_from_the_repository(machine: Machine, aws: Aws, registry: Registry) -> None:
    aws.create_repository(NAME)
    lines = machine.run("--dry-run", NAME, "2").stdout.splitlines()
    assert lines[0].endswith(f"--password-stdin {registry.address}")
    assert f"docker push {registry.address}/{NAME}:2" in lines
    assert "2" not in registry.tags(NAME)


def test_in_china_the_address_ends_otherwise(machine: Machine) -> None:
    result = machine.run("--dry-run", AWS_REGION="cn-north-1")
    assert f"docker push {ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/alsriaz:{__version__}" in result.stdout


# ---- where the region comes from ------------------------------------------------------------------------------------

REGIONS = [
    # AWS_REGION  AWS_DEFAULT_REGION  the profile's  taken          why
    (
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "eu-west-1",
        "AWS_REGION comes first, which version 1 of the CLI overlooks",
    ),
    ("", "eu-west-2", "eu-west-3", "eu-west-2", "then AWS_DEFAULT_REGION"),
    ("", "", "eu-west-3", "eu-west-3", "then the profile's"),
]


@pytest.mark.parametrize(("first", "second", "profile", "taken", "why"), REGIONS, ids=[row[-1] for row in REGIONS])
def test_region(first: str, second: str, profile: str, taken: str, why: str, machine: Machine) -> None:
    (machine.folder / ".aws").mkdir()
    (machine.folder / ".aws" / "config").write_text(f"[default]\nregion = {profile}\n")
    result = machine.run("--dry-run", AWS_REGION=first, AWS_DEFAULT_REGION=second)
    assert f"aws --region {taken} ecr get-login-password" in result.stdout


# ---- wrong usage ----------------------------------------------------------------------------------------------------

OWN = "the name, the output and attestations are what this script decides"
USAGE = [
    # arguments                   says                                                                 why
    (["a", "b", "c"], "at most an image name and a tag are expected, and 'c' is one more", "a third word"),
    (["--dryrun"], "unknown option '--dryrun'; options of docker build come after --", "an unknown option"),
    (["Alsriaz"], "'Alsriaz' is no name for a repository: expected 2 to 256 small letters", "a capital letter"),
    (["\u00e9t\u00e9"], "'\u00e9t\u00e9' is no name for a repository", "a letter that is not ASCII"),
    (["a"], "'a' is no name for a repository", "too short"),
    (["a" * 257], "is no name for a repository", "too long"),
    ([""], "'' is no name for a repository", "an empty name is not the default"),
    (["shop--als"], "'shop--als' is no name for a repository", "two hyphens: Docker allows them, ECR does not"),
    (["/als"], "'/als' is no name for a repository", "an empty part"),
    (["als:1"], "the tag is an argument of its own", "a tag in the name"),
    (["als", ""], "'' is no tag: expected 1 to 128 letters", "an empty tag is not the default"),
    (["als", "-1"], "unknown option '-1'", "a tag that looks like an option"),
    (["als", ".1"], "'.1' is no tag: expected 1 to 128 letters, digits, _ . or -", "a tag that begins with a dot"),
    (["als", "1/2"], "'1/2' is no tag", "a tag with a slash"),
    (["als", "1" * 129], "is no tag", "a tag that is too long"),
    (
        ["--", "--platform", "linux/arm64"],
        "'--platform' can't be given: the image is always for linux/amd64",
        "platform",
    ),
    (["--", "--provenance=true"], f"'--provenance=true' can't be given: {OWN}", "attestations"),
    (["--", "-o", "type=oci"], f"'-o' can't be given: {OWN}", "another output"),
    (["--", "--tag=x"], f"'--tag=x' can't be given: {OWN}", "another name"),
]


@pytest.mark.parametrize(("arguments", "says", "why"), USAGE, ids=[row[-1] for row in USAGE])
def test_wrong_usage_is_told_first(arguments: list[str], says: str, why: str) -> None:
    result = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert (result.returncode, result.stdout) == (64, "")
    assert says in said(result)
    assert said(result).endswith("(see --help)")
    assert result.stderr.count("\n") == 1


def test_help() -> None:
    result = subprocess.run([SCRIPT, "als", "--help"], capture_output=True, text=True, timeout=PATIENCE)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("usage: build_and_push.sh [--dry-run] [--immutable] [image-name] [tag] [-- ")


# ---- what this machine or the account lacks -------------------------------------------------------------------------

LACKS: list[tuple[dict[str, str], str, str]] = [
    # what is changed                       says                                                       why
    ({"without": "docker"}, "there is no docker on PATH: install Docker Engine or Docker Desktop", "no docker"),
    ({"without": "aws"}, "there is no aws on PATH: install the AWS CLI", "no AWS CLI"),
    ({"DOCKER_HOST": "unix:///no/daemon.sock"}, 'the Docker daemon is not running: docker says "', "no daemon"),
    ({"DOCKER_HOST": "unix:///no/daemon.sock"}, "start it, for example with: sudo systemctl start docker", "remedy"),
    ({"AWS_REGION": ""}, "there is no AWS region: set AWS_REGION, for example to eu-west-1", "no region"),
    ({"AWS_REGION": "Ireland"}, "'Ireland' is no AWS region: expected a name like eu-west-1", "a bad region"),
    (
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        "there are no AWS credentials: run 'aws configure'",
        "none",
    ),
    ({"AWS_SECRET_ACCESS_KEY": ""}, "there are no AWS credentials: run 'aws configure'", "half of the credentials"),
    ({"AWS_PROFILE": "nobody"}, 'AWS refuses sts:GetCallerIdentity: the AWS CLI says "', "an unknown profile"),
    (
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        "AWS can't be reached for sts:GetCallerIdentity: the AWS CLI",
        "offline",
    ),
]


@pytest.mark.parametrize(("changes", "says", "why"), LACKS, ids=[row[-1] for row in LACKS])
def test_what_is_missing_is_told_in_a_sentence(changes: dict[str, str], says: str, why: str, machine: Machine) -> None:
    result = machine.run(NAME, "1", *TINY, **{"AWS_MAX_ATTEMPTS": "1", **changes})
    assert (result.returncode, result.stdout) == (1, "")
    assert says in said(result)


PERMISSIONS = [
    # the account may                                   says                                              why
    (["ecr:GetAuthorizationToken"], "don't permit ecr:DescribeRepositories: AWS says \"", "look"),
    (["ecr:DescribeRepositories"], "have somebody make the repository 'alsriaz-test/pushed'", "make"),
    (["ecr:DescribeRepositories"], "don't permit ecr:CreateRepository: AWS says \"", "make it, by its name"),
    (["ecr:DescribeRepositories", "ecr:CreateRepository"], "don't permit ecr:GetAuthorizationToken: AWS", "log in"),
]


@pytest.mark.parametrize(("may", "says", "why"), PERMISSIONS, ids=[row[-1] for row in PERMISSIONS])
def test_what_the_account_may_not_do(may: list[str], says: str, why: str, machine: Machine, aws: Aws) -> None:
    environment = aws.user("sts:GetCallerIdentity", *may)
    with aws.permissions_checked():
        result = machine.run(NAME, "1", *TINY, **environment)
    assert result.returncode == 1
    assert says in said(result)


def test_credentials_that_aws_takes_no_longer(machine: Machine, aws: Aws) -> None:
    with aws.permissions_checked():
        result = machine.run(NAME, "1", *TINY, AWS_ACCESS_KEY_ID="AKIAGONE")
    assert result.returncode == 1
    assert said(result).startswith('AWS takes these credentials no longer: it says "')
    assert said(result).endswith("log in anew, for example with 'aws sso login'")


# ---- the repository -------------------------------------------------------------------------------------------------


def test_a_repository_that_somebody_else_makes_at_the_same_time_is_taken(
    machine: Machine, aws: Aws, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe = moto.ecr.models.ECRBackend.describe_repositories

    def too_early(backend: Any, *arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(moto.ecr.models.ECRBackend, "describe_repositories", describe)
        aws.create_repository(NAME)
        raise RepositoryNotFoundException(NAME, ACCOUNT)

    monkeypatch.setattr(moto.ecr.models.ECRBackend, "describe_repositories", too_early)
    result = machine.run(NAME, "raced", *TINY)
    assert result.returncode == 0, result.stderr
    assert "made the repository" not in result.stderr
    assert "raced" in registry.tags(NAME)


def test_a_tag_that_exists_in_an_immutable_repository_is_told_before_the_build(machine: Machine, aws: Aws) -> None:
    aws.create_repository(NAME, "IMMUTABLE")
    aws.put_image(NAME, "1")
    result = machine.run(NAME, "1", *TINY)
    assert result.returncode == 1
    assert said(result) == (
        f"the repository '{NAME}' has an image tagged '1' already, and its tags are immutable: give another tag"
    )
    assert "building" not in result.stderr
    assert machine.run(NAME, "2", *TINY).returncode == 0


def test_immutable_holds_for_a_repository_that_is_made(machine: Machine, aws: Aws) -> None:
    assert machine.run("--immutable", NAME, "1", *TINY).returncode == 0
    assert [repository["imageTagMutability"] for repository in aws.repositories()] == ["IMMUTABLE"]


def test_immutable_says_where_it_changes_nothing(machine: Machine, aws: Aws) -> None:
    aws.create_repository(NAME)
    result = machine.run("--immutable", "--dry-run", NAME, "1")
    assert result.returncode == 0
    assert f"the repository '{NAME}' is there already, and a tag in it can be pushed twice" in result.stderr


# ---- Docker and the registry ----------------------------------------------------------------------------------------


def test_a_login_that_the_registry_refuses(machine: Machine, aws: Aws, registry: Registry) -> None:
    result = machine.run(NAME, "1", *TINY, **aws.other_account())  # whose password the registry doesn't know
    assert result.returncode == 1
    assert said(result).startswith(f'the registry {registry.address} refuses the login: docker says "')
    assert "401 Unauthorized" in said(result)


def test_an_image_that_cannot_be_built(either: Machine, registry: Registry) -> None:
    (either.folder / "tiny.Dockerfile").write_text("FROM scratch\nCOPY no-such-file /\n")
    result = either.run(NAME, "broken", *TINY)
    assert result.returncode == 1
    assert said(result).startswith("the image can't be built: docker says \"")
    assert "no-such-file" in said(result)
    assert "broken" not in registry.tags(NAME)


def test_a_push_that_the_registry_refuses(either: Machine, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with started_registry("--env", "REGISTRY_STORAGE_MAINTENANCE={readonly: {enabled: true}}") as readonly:
        aws.create_repository(NAME)
        [repository] = (b for b in moto.ecr.models.ecr_backends[ACCOUNT][REGION].repositories.values())
        monkeypatch.setattr(repository, "uri", f"{readonly.address}/{NAME}")
        result = either.run(NAME, "1", *TINY)
    assert result.returncode == 1
    assert said(result).startswith(f'the registry {readonly.address} refuses the image: docker says "')
    assert f"pushing to the repository '{NAME}'" in said(result)


def test_a_push_onto_an_immutable_tag(machine: Machine) -> None:
    """What ECR answers where only its push can tell."""
    words = (
        f"tag invalid: The image tag '1' already exists in the '{NAME}' repository and cannot be overwritten because"
    )
    machine.put_before_docker(f"""[ "$1" != push ] || {{ echo "{words} the repository is immutable." >&2; exit 1; }}""")
    result = machine.run(NAME, "1", *TINY)
    assert result.returncode == 1
    assert said(result).endswith("has an image tagged '1' already, and its tags are immutable: give another tag")


# ---- what the registry holds in the end -----------------------------------------------------------------------------


def put_image(registry: Registry, form: str, architecture: str = "amd64") -> dict[str, Any]:
    """Put an image without layers into the registry, tagged `other`."""
    config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    kind = {
        "docker": "application/vnd.docker.container.image.v1+json",
        "oci": "application/vnd.oci.image.config.v1+json",
    }
    described = {"mediaType": kind[form], **registry.put_blob(NAME, json.dumps(config).encode())}
    manifest = {"schemaVersion": 2, "mediaType": MANIFESTS[form], "config": described, "layers": []}
    return registry.put_manifest(NAME, "other", manifest) | {"platform": {"architecture": architecture, "os": "linux"}}


def oci(registry: Registry) -> None:
    put_image(registry, "oci")


def one_in_a_list(registry: Registry) -> None:
    children = [put_image(registry, "docker")]
    manifest = {"schemaVersion": 2, "mediaType": MANIFESTS["docker list"], "manifests": children}
    registry.put_manifest(NAME, "other", manifest)


def for_arm(registry: Registry) -> None:
    put_image(registry, "docker", "arm64")


OTHER_FORMS = [
    # what is pushed in fact  says                                                                           why
    (oci, f"was pushed, but as {MANIFESTS['oci']}, where SageMaker takes only {MANIFESTS['docker']}", "OCI"),
    (
        one_in_a_list,
        "was pushed, but as a list of several manifests, where SageMaker takes only",
        "a list of manifests",
    ),
    (for_arm, "was pushed, but for linux/arm64, where SageMaker takes only linux/amd64", "another machine"),
]


@pytest.mark.parametrize(("form", "says", "why"), OTHER_FORMS, ids=[row[-1] for row in OTHER_FORMS])
def test_a_manifest_that_sagemaker_refuses(
    form: Callable[[Registry], None], says: str, why: str, machine: Machine, registry: Registry
) -> None:
    """A builder or a store may keep images in another form: here, the push finds such an image there already."""
    form(registry)
    machine.put_before_docker('[ "$1" != push ] || exit 0')
    result = machine.run(NAME, "other", *TINY)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{registry.address}/{NAME}:other {says}" in said(result)


def test_a_manifest_that_cannot_be_read_back(machine: Machine) -> None:
    machine.put_before_docker('[ "$1" != push ] || exit 0')
    result = machine.run(NAME, "nowhere", *TINY)
    assert (result.returncode, result.stdout) == (1, "")
    assert ":nowhere was pushed, but can't be read back: docker says \"no such manifest" in said(result)
