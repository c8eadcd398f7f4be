# shellcheck shell=bash
# shellcheck disable=SC2154 # buildx.sh sets what is used and not set here.
# Pushing checked images: to ECR, which is asked first, or to any registry; reading back what landed. For buildx.sh.

# Where the images go: what ECR answers for its repositories, else what the user named. Empty until it is known.
destination=''
# What is in the registry already, and a repository made for it: for the message where a later step fails.
pushed='' made=''

is_ecr() { [[ $repository == *.dkr.ecr.* ]]; }

# interpreter: for what is written in Python; the working tree's own has boto3.
interpreter() {
  local candidate
  ((!dry_run)) || { printf '%s\n' "${PYTHON:-python3}" && return; }
  for candidate in ${PYTHON:+"$PYTHON"} .venv/bin/python python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  fail "found no Python 3.11 or newer, with which ECR is asked: install it (on Debian: apt-get install python3), or" \
    "name one: PYTHON=/path/to/python ./buildx.sh …"
}

# tags: all that is to be pushed, in order.
tags() {
  local platform
  for platform in ${platforms//,/ }; do
    image_tag "${platform#linux/}"
  done
  [[ $platforms != *,* ]] || image_tag
}

# ask COMMAND: serving/cloud/repository.py's answer, which is where to push; nothing where there is no repository yet.
ask() {
  local command=("$(interpreter)" -m serving.cloud.repository "$1" "$repository") each
  ((!create_repository)) || command+=(--create-repository)
  ((!immutable_tags)) || command+=(--immutable-tags)
  command+=(--tags)
  for each in $(tags); do
    command+=("$each")
  done
  run "${command[@]}"
}

# open_registry: before anything is built, all that could stand in the way of pushing it.
open_registry() {
  destination=$repository
  is_ecr || return 0
  say "asking ECR for $repository, and logging in"
  destination=$(ask check) || exit 1
  # A dry run asks nobody; on AWS itself, the two are the same.
  ((!dry_run)) || destination=$repository
}

# make_repository: only when there is something fit to be pushed.
make_repository() {
  is_ecr && ((create_repository)) || return 0
  if [[ -z $destination ]] || ((dry_run)); then
    say "creating $repository in ECR if it is not there"
    destination=$(ask create) || exit 1
    made=$repository
    ((!dry_run)) || destination=$repository
  fi
}

manifest() { docker buildx imagetools inspect --raw "$1" || fail "cannot read $1 back from the registry"; }

digest() {
  docker buildx imagetools inspect --format '{{json .Manifest.Digest}}' "$1" | tr -d '"' ||
    fail "cannot read the digest of $1 from the registry"
}

# manifest_bytes JSON: the sum of the sizes in it, which is what an instance downloads.
manifest_bytes() { grep -o '"size": *[0-9]*' <<<"$1" | awk -F : '{ sum += $2 } END { print sum }'; }

# push LOCAL TAG: and sees that what landed is what was checked.
push() {
  local name=$destination:$2 identity raw
  say "pushing $name"
  [[ $1 == "$name" ]] || run docker tag "$1" "$name"
  run docker push "$name" >&2 || fail "the push of $name failed: the cause is above"
  ((!dry_run)) || return 0
  pushed="$pushed $name"
  raw=$(manifest "$name")
  expect "$name" "$(squeeze <<<"$raw")" "\"mediatype\":\"$manifest_format\"" "Docker's manifest format"
  # The engine's identity of an image is the digest of its configuration, or of its manifest in containerd's store.
  identity=$(docker image inspect --format '{{.Id}}' "$1")
  [[ $(digest "$name") == "$identity" ]] || expect "$name" "$raw" "$identity" "the image that was checked"
}

# join: the name that both platforms share. A Docker manifest list, as the two manifests in it are Docker's.
join() {
  local name raw platform
  name=$destination:$(image_tag)
  local command=(docker buildx imagetools create --tag "$name"
    "$destination:$(image_tag arm64)" "$destination:$(image_tag amd64)")
  say "joining both platforms under $name"
  if ((!dry_run)); then
    raw=$("${command[@]}" --dry-run | squeeze)
    expect "$name" "$raw" "\"mediatype\":\"$list_format\"" "Docker's manifest list format"
  fi
  run "${command[@]}" >&2 || fail "the push of $name failed: the cause is above"
  ((!dry_run)) || return 0
  pushed="$pushed $name"
  raw=$(manifest "$name" | squeeze)
  expect "$name" "$raw" "\"mediatype\":\"$list_format\"" "Docker's manifest list format"
  for platform in arm64 amd64; do
    expect "$name" "$raw" "\"architecture\":\"$platform\"" "an image for it"
    expect "$name" "$raw" "\"$(digest "$destination:$(image_tag "$platform")")\"" "the image that was checked"
  done
}

# landed TAG PLATFORMS: one line of the summary, as the registry tells it.
landed() {
  local name=$destination:$1 size=''
  [[ $2 == *,* ]] || size="  $(megabytes "$(manifest_bytes "$(manifest "$name")")") compressed"
  printf '%s  %s  %s%s\n' "$name" "$2" "$(digest "$name")" "$size"
}

# addresses TAG: what goes into CreateModel.
addresses() {
  printf 'Image for create_model: %s\nThe same by digest, which no push can change: %s\n' \
    "$destination:$1" "$destination@$(digest "$destination:$1")"
}

# name_what_landed: where a later step failed.
name_what_landed() {
  [[ -z $made ]] || printf 'buildx.sh: the repository that was made stays: %s\n' "$made" >&2
  [[ -n $pushed ]] || return 0
  printf 'buildx.sh: already in the registry:%s\n' "$pushed" >&2
  ! is_ecr || printf '%s\n' "buildx.sh: where tags are immutable, push again under another --tag, or remove these first" \
    "(aws ecr batch-delete-image)" >&2
}
