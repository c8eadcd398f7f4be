# Shared by the scripts in this folder, which source it after `set -euo pipefail`.
# shellcheck shell=bash

# What is slow to make is kept here, outside the tree, so that a fresh clone on the same machine finds it.
cache=${XDG_CACHE_HOME:-${HOME:-~}/.cache}/graviton-serving
mkdir -p "$cache"

# The local registry, from which `FROM` takes the base image. Docker speaks plain HTTP to loopback addresses.
# shellcheck disable=SC2034
registry=127.0.0.1:5000

# Standard output belongs to what a script answers (base-image prints a name), so progress goes to standard error.
say() { printf '[ci] %s\n' "$*" >&2; }

fail() {
  printf '[ci] FAILED: %s\n' "$*" >&2
  exit 1
}

# step NAME COMMAND…: runs the command and tells how long it took, whether it ended well or not.
step() {
  local name=$1 started=$SECONDS status=0
  shift
  say "$name ..."
  "$@" || status=$?
  if ((status)); then
    fail "$name: exit status $status after $((SECONDS - started)) s"
  fi
  say "$name: done in $((SECONDS - started)) s"
}

# quietly LOG COMMAND…: keeps a chatty command's output in a log and shows its end only when the command fails.
quietly() {
  local log=$cache/$1.log status=0
  shift
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status)); then
    say "'$*' ended with status $status; the end of $log:"
    tail -n 30 "$log" >&2
  fi
  return "$status"
}

# wait_until SECONDS COMMAND…: true as soon as the command succeeds, false when the time is up.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

# detach LOG COMMAND…: starts a daemon that outlives this script and holds none of its files open.
detach() {
  local log=$cache/$1.log
  shift
  setsid "$@" >"$log" 2>&1 </dev/null &
}

# install PACKAGE…: the ones of this machine's own release that are missing.
install() {
  local package missing=()
  for package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "installing ${missing[*]}"
  quietly apt-update apt-get -q update
  # The daemons among them are started here by hand, with our settings, so their start-up scripts must not run.
  quietly apt-install env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get -q install -y --no-install-recommends "${missing[@]}"
}

# Where this machine's own packages come from; nothing where apt's lists are empty or the system is not Debian.
archive() {
  # shellcheck disable=SC2016 # apt-get fills in $(REPO_URI)
  apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' 'Component: main' \
    "Codename: $(. /etc/os-release && echo "${VERSION_CODENAME:-}")"
}

# A mirror that has this machine's release has the next ones too.
debian_mirror() {
  local mirrors
  mirrors=$(archive)
  if [[ -z $mirrors ]]; then
    quietly apt-update apt-get -q update
    mirrors=$(archive)
  fi
  [[ -n $mirrors ]] || fail "apt knows no Debian archive for this machine's release: expected Debian, with its main" \
    "component in apt's sources; on another system start Docker yourself and set BASE_IMAGE"
  sed -n '1{s|/$||;p;}' <<<"$mirrors"
}

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# trixie PACKAGE: unpacks a Debian 13 package into the cache, not into the system, and prints where. For the programs
# of which this machine's release has too old a version or none.
trixie() {
  local package=$1 unpacked=$cache/trixie/$1 private=$cache/trixie/.apt deb
  if [[ ! -d $unpacked ]]; then
    # apt with a state of its own, so that the system's lists and preferences stay as they are.
    mkdir -p "$private"/{lists,archives}
    : >"$private/status"
    printf 'deb [signed-by=%s] %s trixie main\n' "$debian_keyring" "$(debian_mirror)" >"$private/sources.list"
    local apt=(apt-get -q
      -o "Dir::Etc::SourceList=$private/sources.list" -o Dir::Etc::SourceParts=/dev/null
      -o Dir::Etc::PreferencesParts=/dev/null -o Dir::Etc::Preferences=/dev/null
      -o "Dir::State::Lists=$private/lists" -o "Dir::State::Status=$private/status"
      -o "Dir::Cache::Archives=$private/archives" -o Dir::Cache::PkgCache= -o Dir::Cache::SrcPkgCache=)
    quietly "trixie-update" "${apt[@]}" update
    rm -f "$private/archives/$package"_*.deb
    (cd "$private/archives" && quietly "trixie-$package" "${apt[@]}" download "$package")
    deb=$(echo "$private/archives/$package"_*.deb)
    # Renamed when complete: an interrupted run leaves nothing that looks finished.
    rm -rf "$unpacked.part"
    dpkg-deb -x "$deb" "$unpacked.part"
    mv "$unpacked.part" "$unpacked"
    rm -f "$deb"
  fi
  printf '%s\n' "$unpacked"
}
