#!/usr/bin/env bash
# Lint, types and every test, with all set-up. Arguments go to pytest; paths among them are seen from the repository's root.
#
#   tests/run.sh                                                 everything but the tests on Online Retail
#   ALSRIAZ_ONLINE_RETAIL=DIR tests/run.sh                       those too; DIR holds online_retail.csv.gz
#   tests/run.sh tests/scoring -k ties -x                        some of them
#   tests/run.sh -n 0 --pdb                                      in one process, as debugging needs it
set -euo pipefail

# shellcheck source=local_test/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../local_test/setup.sh"
[[ -z ${ALSRIAZ_ONLINE_RETAIL:-} ]] || ALSRIAZ_ONLINE_RETAIL=$(realpath -m "$ALSRIAZ_ONLINE_RETAIL")
cd "$root"
set_up dev

lint_and_types() {
  ruff check . && ruff format --check . || return
  local -a modules
  mapfile -t modules < <(find . \( -name '.?*' -o -path ./build -o -path ./local_test/work \) -prune -o -name '*.py' -print)
  mypy "${modules[@]}" container/alsriaz/train container/alsriaz/serve
}

# Spark's classes, made ready as the image has them: training then starts in half the time. Made where no newer one is
# there; a test that comes too early for it, or after it has failed, trains without.
archive=$venv/share/alsriaz/spark-classes.jsa
[[ $archive -nt $venv/alsriaz-setup ]] \
  || python -m alsriaz.training.engines.class_data >/dev/null 2>&1 &

# Beside the tests, and said as one piece.
(
  status=0
  said=$(lint_and_types 2>&1) || status=$?
  printf '%s\n' "$said"
  exit "$status"
) &
checks=$!
trap 'kill "$checks" 2>/dev/null || true' EXIT

status=0
pytest -n 2 "$@" || status=$?
wait "$checks" || { echo "run.sh: lint or types fail, see above" >&2 && status=1; }
exit "$status"
