# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # buildx.sh and push.sh set, and use, what is not set or used here.
# A built image, in the local engine: what it says of itself, whether it serves, how large it is. For buildx.sh.

# SageMaker takes Docker's formats; CreateModel refuses the OCI ones, which today's builders write unless told not to.
readonly manifest_format=application/vnd.docker.distribution.manifest.v2+json
readonly list_format=application/vnd.docker.distribution.manifest.list.v2+json

# How long a server may take to start: under emulation, on a busy machine; a native one takes less than a second.
readonly ready_seconds=240
# SageMaker's from SIGTERM to SIGKILL.
readonly stop_seconds=30

# An instance pulls the image before it can serve, so its size is start-up time. In the registry, for arm64 and amd64:
# onnx 87 and 89 MB, full 404 and 415 MB, pytorch 223 MB (arm64). A build of more than this has something in it that does
# not belong there.
size_limit_mb() {
  case $1 in
    onnx) echo 160 ;;
    full) echo 450 ;;
    pytorch) echo 260 ;;
  esac
}

# squeeze: JSON without blanks and in lower case, the one form that Docker's and the registry's descriptions of an image
# have in common.
squeeze() { tr -d ' \t\r\n' | tr '[:upper:]' '[:lower:]'; }

# expect NAME JSON PATTERN WHAT: refuses an image whose description lacks something.
expect() {
  [[ $2 == *"$3"* ]] || fail "$1 is not what SageMaker needs: expected $4 ($3); see its description:" $'\n'"$2"
}

# check NAME PLATFORM: of what was built and of nothing that was meant.
check() {
  local description label
  description=$(docker image inspect "$1" | squeeze)
  # Only an engine with containerd's image store tells the format, and only there can it be another.
  [[ $description != *'"mediatype":'* ]] || expect "$1" "$description" "\"$manifest_format\"" "Docker's manifest format"
  expect "$1" "$description" "\"os\":\"${2%/*}\"" "the operating system"
  expect "$1" "$description" "\"architecture\":\"${2#*/}\"" "the architecture"
  expect "$1" "$description" '"entrypoint":["/usr/local/bin/graviton-serving"]' "the entry point"
  for label in '"com.amazonaws.sagemaker.capabilities.accept-bind-to-port":"true"' \
    "\"org.opencontainers.image.version\":\"$(squeeze <<<"$project_version")\""; do
    expect "$1" "$description" "$label" "a label"
  done
}

# compressed_bytes NAME: what an instance downloads. Docker keeps its images uncompressed, so they are compressed as a
# push would: gzip does it some 3 % better. That takes a minute for the largest, so what an image weighs, whose content
# its id tells, is kept beside the build's other leavings.
compressed_bytes() {
  local kept compress bytes
  kept=build/compressed/$(docker image inspect --format '{{.Id}}' "$1") || return
  if [[ ! -s $kept ]]; then
    compress=$(command -v pigz || echo gzip) # the former gives the same to some 0.1 %, by all cores
    bytes=$(docker save "$1" | "$compress" | wc -c) || return
    mkdir -p "${kept%/*}"
    echo "$bytes" >"$kept"
  fi
  cat "$kept"
}

# megabytes BYTES
megabytes() { printf '%d.%d MB\n' $(($1 / 1000000)) $(($1 / 100000 % 10)); }

# weigh NAME BYTES: refuses an image that is too large.
weigh() {
  local limit
  limit=$(size_limit_mb "$variant")
  if [[ -n $limit ]] && (($2 > limit * 1000000)); then
    fail "$1 is too large: $(megabytes "$2") compressed, expected at most $limit MB; 'docker history $1' shows what grew"
  fi
}

# serves NAME PLATFORM: starts the image as SageMaker does, asks for the bundled sample, stops it. Everything goes through
# Docker, no port and no folder is shared: the engine may be another machine's.
serves() {
  local status
  scratch=$(mktemp -d)
  mkdir -p "$scratch/opt/ml" "$scratch/opt/try"
  cp -R examples/digits/model "$scratch/opt/ml/model"
  cp examples/digits/sample.json examples/digits/sample.label docker/probe.py "$scratch/opt/try/"
  chmod -R a+rX "$scratch"
  container=$(docker create --platform "$2" "$1" serve) || fail "cannot make a container of $1"
  docker cp "$scratch/opt" "$container:/" >/dev/null || fail "cannot copy the sample model into a container of $1"
  docker start "$container" >/dev/null ||
    fail "cannot start $1: the cause is above. 'exec format error' means that this machine cannot run $2: see --help"
  if ! docker exec "$container" python3 /opt/try/probe.py "$ready_seconds" /opt/try/sample.json \
    "$(cat examples/digits/sample.label)" >&2; then
    docker logs --tail 30 "$container" >&2 || true
    fail "$1 does not serve the sample model: the cause and the end of its log are above"
  fi
  docker stop -t "$stop_seconds" "$container" >/dev/null
  status=$(docker inspect --format '{{.State.ExitCode}}' "$container")
  [[ $status == 0 ]] || fail "$1 ended with status $status when it was stopped: expected 0, as SageMaker stops it"
  tidy
}

# tidy: removes the container and the folder that a trial has left, if any.
tidy() {
  [[ -z ${container:-} ]] || docker rm --force --volumes "$container" >/dev/null 2>&1 || true
  [[ -z ${scratch:-} ]] || rm -rf "$scratch"
  container='' scratch=''
}
