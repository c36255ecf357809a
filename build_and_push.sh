#!/usr/bin/env bash
# Builds the image and pushes it to Amazon ECR, in the form that SageMaker takes: see build_and_push.sh --help.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=build_and_push
# shellcheck source=local_test/shared.bash
source "$root/local_test/shared.bash"

platform=linux/amd64                                                # SageMaker's machines
manifest_type=application/vnd.docker.distribution.manifest.v2+json # SageMaker refuses OCI manifests, and lists of them
export AWS_PAGER=                                                   # version 2 of the AWS CLI would wait for a key

usage() {
  cat <<'END'
usage: build_and_push.sh [--dry-run] [--immutable] [image-name] [tag] [-- options of docker build]

Builds the image for linux/amd64 and pushes it to Amazon ECR as a Docker v2 manifest, which is what SageMaker takes. The
repository is made if it is missing, with a scan on every push. Prints the pushed image's name, and nothing else, to stdout.

  image-name    the repository in ECR; default: alsriaz
  tag           default: the package's version, so that a model made from it never comes to mean another image
  --immutable   if the repository has to be made, let no tag in it be pushed twice
  --dry-run     print what would be done, and change nothing; reads the account, the region and the repository
  -- OPTIONS    go to docker build as they are, for example: -- --network host

The account is that of your AWS credentials; the region is AWS_REGION, AWS_DEFAULT_REGION or that of your AWS profile.
Exit status: 0 done, 1 it could not be done and a line says why, 64 wrong usage.
END
}

main() {
  read_arguments "$@"
  check_name
  check_tag
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  need_docker_client
  command -v aws >/dev/null || give_up "there is no aws on PATH: install the AWS CLI, so that 'aws --version' runs"
  find_region
  find_account
  [[ $dry_run == yes ]] || need_docker_daemon
  find_repository || make_repository
  registry=${uri%%/*} ref=$uri:$tag
  tag_may_be_pushed
  log_in
  if has_buildx; then build_and_push_by_buildx; else build_and_push_by_classic_builder; fi
  verify
}

# ---- what is asked for ----------------------------------------------------------------------------------------------

read_arguments() {
  local -a words=()
  dry_run=no mutability_wanted=MUTABLE build_options=()
  while (($#)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --dry-run) dry_run=yes ;;
      --immutable) mutability_wanted=IMMUTABLE ;;
      --) shift && build_options=("$@") && break ;;
      -*) wrong_usage "unknown option '$1'; options of docker build come after --" ;;
      *) words+=("$1") ;;
    esac
    shift
  done
  ((${#words[@]} <= 2)) || wrong_usage "at most an image name and a tag are expected, and '${words[2]}' is one more"
  name=${words[0]-alsriaz} tag=${words[1]-$(package_version)}
  refuse_other_forms ${build_options[@]+"${build_options[@]}"}
}

package_version() { sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/container/alsriaz/__init__.py"; }

# What would change the image's name or its form is this script's own business.
refuse_other_forms() {
  local option
  for option in "$@"; do
    case $option in
      --platform | --platform=*) wrong_usage "'$option' can't be given: the image is always for $platform" ;;
      -t* | --tag | --tag=* | -o* | --output | --output=* | --push | --load | --provenance* | --sbom* | --attest*)
        wrong_usage "'$option' can't be given: the name, the output and attestations are what this script decides"
        ;;
    esac
  done
}

# ECR's own rule, which is stricter than Docker's. AWS: CreateRepository, repositoryName.
check_name() {
  local LC_ALL=C part='[a-z0-9]+([._-][a-z0-9]+)*'
  [[ $name =~ ^($part/)*$part$ ]] && ((${#name} >= 2 && ${#name} <= 256)) && return
  wrong_usage "'$name' is no name for a repository: expected 2 to 256 small letters and digits, with single . _ - or / between" \
    "them; the tag is an argument of its own, and the registry's address comes from AWS"
}

check_tag() {
  local LC_ALL=C
  [[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$ ]] && return
  wrong_usage "'$tag' is no tag: expected 1 to 128 letters, digits, _ . or -, the first of them neither . nor -"
}

# ---- AWS ------------------------------------------------------------------------------------------------------------

# Run the AWS CLI; what it complains about is kept for `said` and `refused`. The region is named because version 1 of the
# CLI doesn't read AWS_REGION.
ask() { aws --region "$region" "$@" 2>"$scratch/aws"; }

said() { grep -Eq "$1" "$scratch/aws"; }

# End with 1, saying in one sentence why AWS refused action $1, and what to do. $2 is a remedy for want of permission.
refused() {
  local words
  words=$(last_line <"$scratch/aws") || words="nothing"
  if said 'Unable to locate credentials|Partial credentials'; then
    give_up "there are no AWS credentials: run 'aws configure' or 'aws sso login', or set AWS_PROFILE"
  elif said 'ExpiredToken|InvalidClientTokenId|UnrecognizedClient|InvalidSignature|InvalidAccessKeyId|[Tt]oken.* expired'; then
    give_up "AWS takes these credentials no longer: it says \"$words\"; log in anew, for example with 'aws sso login'"
  elif said 'AccessDenied|not authorized'; then
    give_up "these AWS credentials don't permit $1: AWS says \"$words\"; ${2:-ask whoever manages the account for that permission}"
  elif said 'Could not connect|[Tt]imeout|timed out'; then
    give_up "AWS can't be reached for $1: the AWS CLI says \"$words\"; check the network and the region $region"
  fi
  give_up "AWS refuses $1: the AWS CLI says \"$words\""
}

find_region() {
  local LC_ALL=C
  region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
  [[ -n $region ]] || region=$(aws configure get region 2>/dev/null) || true
  [[ -n $region ]] || give_up "there is no AWS region: set AWS_REGION, for example to eu-west-1, or run 'aws configure'"
  [[ $region =~ ^[a-z]+(-[a-z]+)+-[0-9]+$ ]] || give_up "'$region' is no AWS region: expected a name like eu-west-1; set AWS_REGION"
}

find_account() {
  local found
  found=$(ask sts get-caller-identity --query '[Account,Arn]' --output text) || refused sts:GetCallerIdentity
  read -r account arn <<<"$found"
  say "account $account, region $region"
}

# Set uri and mutability to the repository's; false where there is none.
find_repository() {
  local found
  if ! found=$(ask ecr describe-repositories --repository-names "$name" \
    --query 'repositories[0].[repositoryUri,imageTagMutability]' --output text); then
    said RepositoryNotFoundException || refused ecr:DescribeRepositories
    return 1
  fi
  read -r uri mutability <<<"$found"
  [[ $mutability_wanted == MUTABLE || $mutability == IMMUTABLE* ]] \
    || say "the repository '$name' is there already, and a tag in it can be pushed twice: --immutable doesn't change that"
}

make_repository() {
  local -a create=(ecr create-repository --repository-name "$name"
    --image-scanning-configuration scanOnPush=true --image-tag-mutability "$mutability_wanted")
  mutability=$mutability_wanted
  if [[ $dry_run == yes ]]; then
    uri=$account.dkr.ecr.$region.$(domain)/$name
    show aws --region "$region" "${create[@]}"
    echo "# the repository's own answer then decides the address, of which $uri is the usual form"
    return
  fi
  # Where somebody else has just made it, it is as good as ours.
  if ask "${create[@]}" >/dev/null; then
    say "made the repository '$name'"
  elif ! said RepositoryAlreadyExistsException; then
    refused ecr:CreateRepository "ask for that permission, or have somebody make the repository '$name'"
  fi
  find_repository || give_up "the repository '$name' was made, and yet AWS doesn't find it: run this again"
}

# Print the registries' domain in the caller's partition, for a dry run; there are more, but none of them public.
domain() { [[ $arn == arn:aws-cn:* ]] && echo amazonaws.com.cn || echo amazonaws.com; }

# What ECR would refuse after the build is better known before it. Where this can't be known, the push tells.
tag_may_be_pushed() {
  [[ $mutability == IMMUTABLE ]] || return 0
  ! ask ecr describe-images --repository-name "$name" --image-ids "imageTag=$tag" >/dev/null || tag_is_taken
}

tag_is_taken() {
  give_up "the repository '$name' has an image tagged '$tag' already, and its tags are immutable: give another tag"
}

# The password goes through a pipe: on a command line, every process here could read it.
log_in() {
  local -a password=(aws --region "$region" ecr get-login-password) login=(docker login --username AWS --password-stdin "$registry")
  local -a status=()
  if [[ $dry_run == yes ]]; then
    echo "$(show "${password[@]}") | $(show "${login[@]}")"
    return
  fi
  "${password[@]}" 2>"$scratch/aws" | "${login[@]}" >"$scratch/log" 2>&1 || status=("${PIPESTATUS[@]}")
  ((${#status[@]})) || return 0
  ((status[0] == 0)) || refused ecr:GetAuthorizationToken
  give_up "the registry $registry refuses the login: docker says \"$(docker_words)\"; check that it can be reached from here"
}

# ---- Docker ---------------------------------------------------------------------------------------------------------

has_buildx() { docker buildx version >/dev/null 2>&1; }

# Attestations would turn the image into a list of manifests, and exist in OCI's form only. One command builds and pushes:
# an image that went through a local store may come out of it in OCI's form.
build_and_push_by_buildx() {
  local -a plain=()
  # Before 0.10 there were no attestations, nor a way to say no to them.
  [[ $(docker buildx build --help) != *--provenance* ]] || plain=(--provenance=false --sbom=false)
  if ! carry_out "building $ref and pushing it" docker buildx build --platform "$platform" ${plain[@]+"${plain[@]}"} --tag "$ref" \
    --output "type=image,push=true,oci-mediatypes=false" ${build_options[@]+"${build_options[@]}"} "$root"; then
    ! grep -Eq "failed to push|[0-9] pushing " "$scratch/log" || push_was_refused
    build_failed
  fi
  # Not all of buildx's builders leave the image in Docker's own store.
  if [[ $dry_run == yes ]] || docker image inspect "$ref" >/dev/null 2>&1; then
    carry_out "naming it $name:$tag here" docker tag "$ref" "$name:$tag"
  fi
}

build_and_push_by_classic_builder() {
  carry_out "building $name:$tag" env DOCKER_BUILDKIT=0 docker build --platform "$platform" --tag "$name:$tag" \
    ${build_options[@]+"${build_options[@]}"} "$root" || build_failed
  carry_out "naming it $ref" docker tag "$name:$tag" "$ref"
  carry_out "pushing $ref" docker push "$ref" || push_was_refused
}

build_failed() { give_up "the image can't be built: docker says \"$(docker_words)\"; its lines above tell more"; }

push_was_refused() {
  ! grep -q immutable "$scratch/log" || tag_is_taken
  give_up "the registry $registry refuses the image: docker says \"$(docker_words)\"; where that names a" \
    "permission, ask for those of pushing to the repository '$name'"
}

# Say what is being done ($1) and run the command that does it, its output on stderr and in the log; in a dry run print the
# command instead.
carry_out() {
  if [[ $dry_run == yes ]]; then
    show "${@:2}"
  else
    say "$1 ..."
    "${@:2}" 2>&1 | tee "$scratch/log" >&2
  fi
}

# Print docker's own reason: the line it marks as an error, else its last one.
docker_words() { grep '^ERROR' "$scratch/log" | tail -n 1 | grep . || last_line <"$scratch/log"; }

# Read back what the registry holds, which is what SageMaker will see.
verify() {
  local -a look=(docker manifest inspect --verbose "$ref")
  local found type digest built_for
  # To a registry on this very machine Docker speaks plain HTTP, but here it wants to be told.
  [[ ! $registry =~ ^(127\.|localhost(:|$)) ]] || look=(docker manifest inspect --insecure --verbose "$ref")
  if [[ $dry_run == yes ]]; then
    show "${look[@]}"
    echo "# expected: a \"mediaType\" of $manifest_type, for $platform"
    return
  fi
  found=$("${look[@]}" 2>"$scratch/log") \
    || give_up "$ref was pushed, but can't be read back: docker says \"$(docker_words)\"; whether SageMaker takes it is not known"
  type=$(first mediaType) digest=$(first digest) built_for=$(first os)/$(first architecture)
  [[ $found != \[* ]] || type="a list of several manifests"
  [[ $type == "$manifest_type" ]] \
    || give_up "$ref was pushed, but as $type, where SageMaker takes only $manifest_type: run this again with another" \
      "builder, for example after 'docker buildx use default'"
  [[ $built_for == "$platform" ]] \
    || give_up "$ref was pushed, but for $built_for, where SageMaker takes only $platform: check what the Dockerfile starts from"
  say "pushed $ref, $digest"
  echo "$ref"
}

# Print the first value of field $1 in the JSON of docker manifest inspect: the descriptor's, which comes before all else.
first() { sed -n "s/^[[:space:]]*\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" <<<"$found" | head -n 1; }

# Print a command so that it can be pasted into a shell.
show() {
  local word line=
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
    line+=" $word"
  done
  echo "${line# }"
}

main "$@"
