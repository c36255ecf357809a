#!/usr/bin/env bash
# Runs the image's `serve` on the model that train_local.sh made: see serve_local.sh --help.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=serve_local
# shellcheck source=local_test/shared.bash
source "$here/shared.bash"
tree=${TEST_DIR:-$here/test_dir}

usage() {
  cat <<'END'
usage: local_test/serve_local.sh IMAGE

Serves the model in local_test/test_dir/model, mounted read-only at /opt/ml/model, on port 8080 of this machine alone until
Ctrl-C. Ask it with local_test/predict.sh.

The variable PORT names another port, TEST_DIR another tree than local_test/test_dir. The exit status is serve's: 0 stopped, 1 its
last line says what to mend; 64 means wrong usage.
END
}

main() {
  read_arguments "$@"
  local port
  port=$(chosen_port)
  need_docker_daemon
  need_image "$image"
  [[ -f $tree/model/manifest.json ]] \
    || give_up "there is no model in '$tree/model' yet: make one with local_test/train_local.sh $image"
  tree=$(cd "$tree" && pwd)
  ! is_taken "$port" || give_up "port $port is taken: stop what listens there, or choose another: PORT=8081 local_test/serve_local.sh $image"
  local -a user=()
  while read -r word; do user+=("$word"); done < <(as_caller)
  say "serving on http://127.0.0.1:$port until Ctrl-C; ask it, for example, with: local_test/predict.sh local_test/payloads/recommend.json"
  # docker run hands signals on, and serve ends in good order on them.
  exec docker run --rm ${user[@]+"${user[@]}"} --publish "127.0.0.1:$port:8080" \
    --mount "$(bind "$tree/model" /opt/ml/model readonly)" "$image" serve
}

read_arguments() {
  image=''
  for word in "$@"; do
    case $word in
      -h | --help) usage && exit 0 ;;
      -*) wrong_usage "unknown option '$word'" ;;
      *) [[ -z $image ]] || wrong_usage "one image is expected, and '$word' is one more; the port is the variable PORT" ;;
    esac
    image=$word
  done
  [[ -n $image ]] || wrong_usage "the image's name is missing"
}

is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

main "$@"
