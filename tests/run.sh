#!/usr/bin/env bash
# Lint, types and every test, with all set-up. Arguments go to pytest; paths among them are seen from the repository's root.
#
#   tests/run.sh                                                 everything but the tests on Online Retail
#   ALSRIAZ_ONLINE_RETAIL=DIR tests/run.sh                       those too; DIR holds online_retail.csv.gz
#   tests/run.sh tests/core -k ties -x                           some of them
set -euo pipefail

# shellcheck source=local_test/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../local_test/setup.sh"
[[ -z ${ALSRIAZ_ONLINE_RETAIL:-} ]] || ALSRIAZ_ONLINE_RETAIL=$(realpath -m "$ALSRIAZ_ONLINE_RETAIL")
cd "$root"
set_up dev

ruff check .
ruff format --check .
mapfile -t modules < <(find . \( -name '.?*' -o -path ./build -o -path ./local_test/work \) -prune -o -name '*.py' -print)
mypy "${modules[@]}" container/alsriaz/train container/alsriaz/serve
exec pytest "$@"
