#!/usr/bin/env bash
# Asks a server on this machine and prints the answer: see predict.sh --help.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=predict
# shellcheck source=local_test/shared.bash
source "$here/shared.bash"

usage() {
  cat <<'END'
usage: local_test/predict.sh PAYLOAD [content-type]

Sends the file PAYLOAD to /invocations on this machine's port 8080, or the port that the variable PORT names, and prints the
answer; JSON is laid out where a terminal shows it. The content type follows from the file's name: .json, .jsonl or .csv.

Exit status: 0 answered, 1 the server's error or another is on stderr, 64 wrong usage.
END
}

main() {
  local port
  read_arguments "$@"
  port=$(chosen_port)
  [[ -f $payload ]] || give_up "there is no file '$payload'; local_test/payloads/ has some to start from"
  [[ -r $payload ]] || give_up "the file '$payload' may not be read by this account"
  [[ -n $type ]] || type=$(type_by_name)
  command -v curl >/dev/null || give_up "there is no curl on PATH: install it, for example with: sudo apt-get install curl"
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  send "http://127.0.0.1:$port/invocations" "$port"
}

read_arguments() {
  local -a words=()
  local word
  for word in "$@"; do
    case $word in
      -h | --help) usage && exit 0 ;;
      -*) wrong_usage "unknown option '$word'" ;;
      *) words+=("$word") ;;
    esac
  done
  ((${#words[@]} >= 1)) || wrong_usage "the payload's file name is missing"
  ((${#words[@]} <= 2)) || wrong_usage "a payload and a content type are expected, and '${words[2]}' is one more"
  payload=${words[0]} type=${words[1]-}
}

type_by_name() {
  case $payload in
    *.json) echo application/json ;;
    *.jsonl) echo application/jsonlines ;;
    *.csv) echo text/csv ;;
    *) wrong_usage "the name '$payload' doesn't tell the content type: expected .json, .jsonl or .csv; or say it: predict.sh $payload application/json" ;;
  esac
}

# The file goes through stdin, so that no character in its name means anything to curl; this machine is behind no proxy.
send() {
  local answer status=0
  answer=$(curl --silent --show-error --noproxy '*' --header "Content-Type: $type" --header 'Expect:' --data-binary @- \
    --output "$scratch/body" --write-out '%{http_code} %{content_type}' "$1" <"$payload" 2>"$scratch/error") || status=$?
  case $status in
    0) ;;
    7) give_up "nothing answers on port $2: start the server with local_test/serve_local.sh IMAGE, or name its port: PORT=8081 local_test/predict.sh ..." ;;
    *) give_up "the request failed: \"$(last_line <"$scratch/error")\"" ;;
  esac
  if [[ $answer != 2?? && $answer != 2??\ * ]]; then
    print_as_it_came >&2
    give_up "the server answered ${answer%% *}"
  fi
  print_body "${answer#* }"
}

# Print the answer; as it came where it isn't JSON or goes to a file or a pipe.
print_body() {
  if [[ $1 == application/json* && -t 1 ]] && python3 -m json.tool --no-ensure-ascii "$scratch/body" 2>/dev/null; then
    return
  fi
  print_as_it_came
}

# Print the body, and end its last line where it does not end itself.
print_as_it_came() {
  cat "$scratch/body"
  [[ ! -s $scratch/body || -z $(tail -c 1 "$scratch/body") ]] || echo
}

main "$@"
