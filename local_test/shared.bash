# shellcheck shell=bash
# What the scripts that drive the image share; sourced by build_and_push.sh, train_local.sh, serve_local.sh and predict.sh.
# `program` is the script's name, as a person sees it before every message. Bash 3.2, which macOS has, is enough.

# shellcheck disable=SC2154 # the sourcing script sets `program`
say() { printf '%s: %s\n' "$program" "$*" >&2; }

give_up() {
  say "$@"
  exit 1
}

wrong_usage() {
  say "$* (see --help)"
  exit 64
}

# Print the port to serve on and to ask: PORT, by default 8080 as on SageMaker.
chosen_port() {
  local wanted=${PORT:-8080}
  [[ $wanted =~ ^[1-9][0-9]{0,4}$ ]] && ((wanted <= 65535)) && echo "$wanted" && return
  wrong_usage "PORT is '$wanted', which is no port: expected a whole number from 1 to 65535"
}

need_docker_client() {
  command -v docker >/dev/null \
    || give_up "there is no docker on PATH: install Docker Engine or Docker Desktop, so that 'docker version' runs"
}

# End with 1 where the daemon doesn't answer; docker's own last line tells its address.
need_docker_daemon() {
  need_docker_client
  local words
  words=$(docker version --format '{{.Server.Version}}' 2>&1 >/dev/null) && return
  words=$(last_line <<<"$words")
  case $words in
    *"permission denied"*)
      give_up "this account may not use the Docker daemon: docker says \"$words\"; run this as root, or join the group docker and log in anew"
      ;;
    *) give_up "the Docker daemon is not running: docker says \"$words\"; start it, for example with: sudo systemctl start docker" ;;
  esac
}

need_image() {
  docker image inspect "$1" >/dev/null 2>&1 \
    || give_up "there is no image '$1' here: build it with 'docker build -t $1 .' in the repository's folder, or 'docker pull' it"
}

# Print --user and the caller's ids, a word a line, so that what the container writes belongs to the caller. Rootless Docker
# makes the caller of the container's root; any other user there may not write into the caller's folders.
as_caller() {
  [[ $(docker info --format '{{.SecurityOptions}}' 2>/dev/null) == *rootless* ]] || printf '%s\n' --user "$(id -u):$(id -g)"
}

# Print the value of --mount that shows path $1 at $2 in the container, where $3 says so read-only. The value is a line of
# CSV, so a comma or a quote in a path does no harm, and neither does a colon.
bind() {
  printf 'type=bind,"source=%s","target=%s"%s' "${1//\"/\"\"}" "${2//\"/\"\"}" "${3:+,$3}"
}

last_line() { grep -v '^[[:space:]]*$' | tail -n 1; }
