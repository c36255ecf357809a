#!/usr/bin/env bash
# Trains on real sales, serves the model, asks it over HTTP and shows the answers as tables: see demo.sh --help.
# Does all its own set-up; a second run starts at once.
set -euo pipefail

# shellcheck source=local_test/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

python=$(supported_python)
"$python" "$root/local_test/arguments.py" "$@" # a wrong option is told before anything is installed
for argument in "$@"; do
  [[ $argument != --help && $argument != -h ]] || exit 0
done

set_up demo
exec "$venv/bin/python" "$root/local_test/demo.py" "$@"
