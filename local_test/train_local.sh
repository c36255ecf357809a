#!/usr/bin/env bash
# Runs the image's `train` on a tree mounted at /opt/ml, as SageMaker does: see train_local.sh --help.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=train_local
# shellcheck source=local_test/shared.bash
source "$here/shared.bash"
tree=${TEST_DIR:-$here/test_dir}

usage() {
  cat <<'END'
usage: local_test/train_local.sh IMAGE [--data FILE...]

Trains with the image on local_test/test_dir, mounted at /opt/ml. Settings are in its input/config/hyperparameters.json, sales
in input/data/training/; where there are none yet, a year of real grocery sales is put there. The model comes to stand in
model/, everything else in output/; what a former run left in these two is removed first.

  --data FILE...    train on these sales, .csv, .csv.gz or .parquet, instead of what lies in input/data/training/

The variable TEST_DIR names another tree than local_test/test_dir. The exit status is train's: 0 done, 1 its last line says what
to mend, 2 a defect; 64 means wrong usage.
END
}

main() {
  read_arguments "$@"
  need_docker_daemon
  need_image "$image"
  prepare_tree
  ((${#data[@]})) || fill_if_empty
  find_mounts
  local -a user=()
  while read -r word; do user+=("$word"); done < <(as_caller)
  docker run --rm ${user[@]+"${user[@]}"} "${mounts[@]}" "$image" train || exit
  say "the model is in $tree/model; serve it with: local_test/serve_local.sh $image"
}

read_arguments() {
  local in_data=no word
  image='' data=()
  for word in "$@"; do
    case $word in
      -h | --help) usage && exit 0 ;;
      --data) in_data=yes ;;
      -*) wrong_usage "unknown option '$word'" ;;
      *) if [[ $in_data == yes ]]; then add_data "$word"; else add_image "$word"; fi ;;
    esac
  done
  [[ -n $image ]] || wrong_usage "the image's name is missing"
  [[ $in_data == no ]] || ((${#data[@]})) || wrong_usage "--data needs at least one file"
}

add_image() {
  [[ -z $image ]] || wrong_usage "one image is expected, and '$1' is one more; sales files come after --data"
  image=$1
}

add_data() {
  [[ ! -d $1 ]] || wrong_usage "'$1' is a folder; name its files, for example ${1%/}/*.csv"
  [[ -f $1 ]] || wrong_usage "there is no file '$1'"
  case $1 in
    *.csv | *.csv.gz | *.parquet) data+=("$(cd "$(dirname "$1")" && pwd)/$(basename "$1")") ;;
    *) wrong_usage "'$1' is no sales file: expected a name ending in .csv, .csv.gz, .parquet" ;;
  esac
}

# Make the tree as SageMaker leaves it before a job: no model, no output.
prepare_tree() {
  local words
  [[ -d $tree/input/config ]] || give_up "there is no folder '$tree/input/config': TEST_DIR must name a tree like local_test/test_dir"
  tree=$(cd "$tree" && pwd)
  mkdir -p "$tree/model" "$tree/output" "$tree/input/data/training"
  words=$(find "$tree/model" "$tree/output" -mindepth 1 ! -name .gitignore -delete 2>&1) \
    || give_up "what a former run left can't be removed: \"$(last_line <<<"$words")\"; remove it as its owner, for example" \
      "with: sudo rm -r $tree/model $tree/output"
}

fill_if_empty() {
  local training=$tree/input/data/training
  [[ -z $(find "$training" -type f ! -name '.*' ! -name '_*' | head -n 1) ]] || return 0
  say "no sales in $training yet: a year of real grocery sales is put there"
  # In a shell of its own, since set-up has its own way to speak and changes PATH.
  (
    # shellcheck source=local_test/setup.sh
    source "$here/setup.sh"
    set_up sales
    exec "$venv/bin/python" "$here/fill.py" "$training"
  ) || exit
}

# Set mounts to what docker run is to mount. The caller's files are mounted where they lie, into an empty folder that hides
# the tree's own sales for as long as this run lasts.
find_mounts() {
  local file name number=0
  mounts=(--mount "$(bind "$tree" /opt/ml)")
  ((${#data[@]})) || return 0
  channel=$(mktemp -d)
  trap 'rm -rf "$channel"' EXIT
  chmod 755 "$channel"
  mounts+=(--mount "$(bind "$channel" /opt/ml/input/data/training)")
  for file in "${data[@]}"; do
    number=$((number + 1))
    name=$(basename "$file")
    # Two files may have one name, and train would overlook one that begins with a dot or an underscore.
    [[ ! -e $channel/$name && $name != [._]* ]] || name=$number$name
    touch "$channel/$name"
    mounts+=(--mount "$(bind "$file" "/opt/ml/input/data/training/$name" readonly)")
  done
}

main "$@"
