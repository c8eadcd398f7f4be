#!/usr/bin/env bash
# Builds the image for each platform, checks what was built, and loads or pushes it. `./buildx.sh --help` tells how.
# Runs on Linux and on macOS, whose bash is 3.2: no associative arrays, no mapfile, no expansion of empty arrays.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly dockerfile=docker/Dockerfile.arm64
# SageMaker takes Docker's formats; CreateModel refuses the OCI ones, which today's builders write unless told not to.
readonly manifest_format=application/vnd.docker.distribution.manifest.v2+json
readonly list_format=application/vnd.docker.distribution.manifest.list.v2+json

# The variant whose images' names do not name it.
readonly default_variant=full

# An instance pulls the image before it can serve, so its size is start-up time. Measured at 80 MB, 406 MB and 217 MB; a build
# of more than this has something in it that does not belong there.
size_limit_mb() {
  case $1 in
    onnx) echo 160 ;;
    full) echo 450 ;;
    pytorch) echo 260 ;;
  esac
}

# image_name [ARCHITECTURE]: one platform's image, or the name that both share. The only place that knows how names are
# made.
image_name() {
  local part=-$variant
  [[ $variant != "$default_variant" ]] || part=''
  printf '%s:%s%s%s\n' "$repository" "$tag" "$part" "${1:+-$1}"
}

usage() {
  cat <<USAGE
Usage: ./buildx.sh [--platform LIST] [--load | --push] [--repository REPO] [--tag TAG] [--variant NAME] [--dry-run]

Builds the graviton-serving image for each platform, checks it, and loads it into Docker or pushes it to a registry.
Images are named REPO:TAG-arm64 and REPO:TAG-amd64, those of another variant than the default one REPO:TAG-VARIANT-arm64
and so on. --push with both platforms also makes REPO:TAG (REPO:TAG-VARIANT), a manifest list that is the right one of the
two for each instance.

  --platform LIST    linux/arm64 (Graviton), linux/amd64 (x86), or both with a comma between (default: both)
  --load             put the images into the local Docker (the default)
  --push             put the images into the registry that REPO names; log in to it first
  --repository REPO  default: graviton-serving. To push, with the registry, like
                     123456789012.dkr.ecr.eu-west-1.amazonaws.com/graviton-serving
  --tag TAG          default: the version of the project ($(version))
  --variant NAME     the locked requirement set in container/ that goes in: $(variants) (default: $default_variant)
  --dry-run          print the commands and run none
  -h, --help         this text

Environment:
  BASE_IMAGE         what the image is built on, for both platforms under one name (default: debian:trixie-slim)
  CA_BUNDLE          a file of certificates to trust while packages download, on a network whose proxy needs one; it does
                     not get into the image
  TORCH_INDEX        for the variant pytorch on linux/amd64: the address of PyTorch's own index of builds for CPUs, which
                     PyTorch's page "Get Started" tells; PyPI has it for linux/arm64 alone
  BUILDX_BUILDER     Docker's own: which builder to use

Needs Docker with buildx, and on an x86 machine QEMU for the one step of the arm64 build that runs arm64 programs:
  docker run --privileged --rm tonistiigi/binfmt --install arm64
USAGE
}

fail() {
  printf 'buildx.sh: %s\n' "$*" >&2
  exit 1
}

say() { printf '==> %s\n' "$*" >&2; }

# run COMMAND…: prints the command, as it could be typed, and runs it unless this is a dry run.
run() {
  local word line=+
  for word; do
    [[ $word =~ ^[A-Za-z0-9_./:=,@+-]+$ ]] || word=$(printf '%q' "$word")
    line="$line $word"
  done
  printf '%s\n' "$line" >&2
  ((dry_run)) || "$@"
}

version() {
  local found
  found=$(sed -n 's/^version = "\([^"]*\)"$/\1/p' pyproject.toml)
  [[ -n $found ]] || found=$(sed -n 's/^__version__ = "\([^"]*\)"$/\1/p' serving/__init__.py)
  [[ -n $found ]] || fail "found no version: expected version = \"…\" in pyproject.toml or __version__ = \"…\" in" \
    "serving/__init__.py"
  printf '%s\n' "$found"
}

# The requirement sets there are; requirements-build.txt is what the build itself needs.
variants() {
  local file names=
  for file in container/requirements-*.txt; do
    file=${file#container/requirements-}
    [[ $file == build.txt ]] || names="$names${names:+, }${file%.txt}"
  done
  printf '%s\n' "$names"
}

revision() {
  local head
  head=$(git rev-parse HEAD 2>/dev/null) || { echo unknown && return; }
  [[ -z $(git status --porcelain 2>/dev/null) ]] || head=$head-dirty
  printf '%s\n' "$head"
}

parse() {
  platforms=linux/arm64,linux/amd64 action='' repository=graviton-serving tag='' variant=$default_variant dry_run=0
  local option value
  while (($#)); do
    option=$1
    case $option in
      -h | --help) usage && exit ;;
      --dry-run) dry_run=1 && shift && continue ;;
      --load | --push)
        [[ -z $action || $action == "$option" ]] || fail "got both --load and --push: expected one; run it twice for both"
        action=$option && shift && continue
        ;;
      --*=*) value=${option#*=} option=${option%%=*} && shift ;;
      --platform | --repository | --tag | --variant)
        (($# > 1)) || fail "$option is the last word: expected a value after it; see --help"
        value=$2 && shift 2
        ;;
      *) fail "does not know '$option'; see --help" ;;
    esac
    [[ -n $value ]] || fail "$option is empty: expected a value; leave the option out for its default"
    case $option in
      --platform) platforms=$value ;;
      --repository) repository=$value ;;
      --tag) tag=$value ;;
      --variant) variant=$value ;;
      *) fail "does not know '$option'; see --help" ;;
    esac
  done
  action=${action:---load}
  # Asked once: both platforms are the same commit's, whatever happens to the tree meanwhile.
  project_version=$(version)
  commit=$(revision)
  tag=${tag:-$project_version}
  base_image=${BASE_IMAGE:-}
  ca_bundle=${CA_BUNDLE:-}
  torch_index=${TORCH_INDEX:-}
}

validate() {
  case $platforms in
    linux/arm64 | linux/amd64 | linux/arm64,linux/amd64 | linux/amd64,linux/arm64) ;;
    *) fail "--platform is '$platforms': expected linux/arm64, linux/amd64, or both with a comma between" ;;
  esac
  [[ $variant != build && -f container/requirements-$variant.txt ]] ||
    fail "--variant is '$variant': expected one of: $(variants)"
  [[ $repository =~ ^[a-z0-9][a-z0-9._:/-]*$ ]] ||
    fail "--repository is '$repository': expected [REGISTRY/]NAME in lower case"
  # The longest name that is made of it must be a tag too: 128 characters at most.
  [[ $tag-$variant-arm64 =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] ||
    fail "--tag is '$tag': expected letters, digits, '_', '.' and '-', not beginning with '.' or '-'"
  if [[ $action == --push && $repository != */* ]]; then
    fail "--repository is '$repository', which names no registry to push to: expected one like" \
      "123456789012.dkr.ecr.eu-west-1.amazonaws.com/graviton-serving"
  fi
  if [[ $variant == pytorch && $platforms == *amd64* && -z $torch_index ]]; then
    fail "TORCH_INDEX is empty: expected the address of PyTorch's own index of builds for CPUs, from which linux/amd64" \
      "takes PyTorch; or build --platform linux/arm64 alone, for which PyPI has it"
  fi
  [[ -z $ca_bundle || -r $ca_bundle ]] ||
    fail "CA_BUNDLE is '$ca_bundle': expected a file of certificates that can be read; unset it if none is needed"
  if ((!dry_run)); then
    command -v docker >/dev/null || fail "found no docker: install Docker with buildx"
    docker buildx version >/dev/null 2>&1 || fail "'docker buildx' does not work: install Docker's buildx plugin"
    docker version --format '{{.Server.Version}}' >/dev/null 2>&1 ||
      fail "no Docker engine answers: start Docker, or point DOCKER_HOST at one"
  fi
}

# Attestations make a manifest an index, which SageMaker refuses. A buildx that does not know the flags makes none.
attestation_flags() {
  local known='--provenance --sbom' flag
  ((dry_run)) || known=$(docker buildx build --help)
  for flag in --provenance --sbom; do
    [[ $known != *"$flag"* ]] || printf '%s=false\n' "$flag"
  done
}

# build PLATFORM
build() {
  local command=(docker buildx build --file "$dockerfile" --platform "$1" --tag "$(image_name "${1#linux/}")") flag
  for flag in $(attestation_flags); do
    command+=("$flag")
  done
  # The builder's kind decides what a plain --load or --push would write, so the format is spelled out.
  case $action in
    --load) command+=(--output 'type=docker,oci-mediatypes=false') ;;
    --push) command+=(--output 'type=image,push=true,oci-mediatypes=false') ;;
  esac
  command+=(--build-arg "VARIANT=$variant" --build-arg "VERSION=$project_version" --build-arg "REVISION=$commit")
  # BuildKit's own name for the time that it stamps on what it makes: the commit's, so that a commit gives one image.
  [[ $commit == unknown ]] || command+=(--build-arg "SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "${commit%-dirty}")")
  [[ -z $base_image ]] || command+=(--build-arg "BASE_IMAGE=$base_image")
  [[ -z $torch_index ]] || command+=(--build-arg "TORCH_INDEX=$torch_index")
  [[ -z $ca_bundle ]] || command+=(--secret "id=ca,src=$ca_bundle")
  run "${command[@]}" . || fail "the build for $1 failed: the cause is above. 'exec format error' means that this machine" \
    "cannot run that platform's programs: see the end of --help"
}

manifest() { docker buildx imagetools inspect --raw "$1" || fail "cannot read $1 back from the registry"; }

# squeeze: JSON without blanks and in lower case, the one form that Docker's and the registry's descriptions of an image
# have in common.
squeeze() { tr -d ' \t\r\n' | tr '[:upper:]' '[:lower:]'; }

# expect NAME JSON PATTERN WHAT: refuses an image whose description lacks something.
expect() {
  [[ $2 == *"$3"* ]] || fail "$1 is not what SageMaker needs: expected $4 ($3); see its description:" $'\n'"$2"
}

# check NAME PLATFORM: of what was built and of nothing that was meant.
check() {
  local description raw label
  case $action in
    --load)
      description=$(docker image inspect "$1" | squeeze)
      # Only an engine with containerd's image store tells the format, and only there can it be another.
      [[ $description != *'"mediatype":'* ]] || expect "$1" "$description" "\"$manifest_format\"" "Docker's manifest format"
      ;;
    --push)
      raw=$(manifest "$1" | squeeze)
      expect "$1" "$raw" "\"mediatype\":\"$manifest_format\"" "Docker's manifest format"
      description=$(docker buildx imagetools inspect --format '{{json .Image}}' "$1" | squeeze)
      ;;
  esac
  expect "$1" "$description" "\"os\":\"${2%/*}\"" "the operating system"
  expect "$1" "$description" "\"architecture\":\"${2#*/}\"" "the architecture"
  expect "$1" "$description" '"entrypoint":["/usr/local/bin/graviton-serving"]' "the entry point"
  for label in '"com.amazonaws.sagemaker.capabilities.accept-bind-to-port":"true"' \
    "\"org.opencontainers.image.version\":\"$(squeeze <<<"$project_version")\""; do
    expect "$1" "$description" "$label" "a label"
  done
}

# compressed_bytes NAME: what an instance downloads. A registry tells it; Docker keeps its images uncompressed, so there
# they are compressed as a push would.
compressed_bytes() {
  case $action in
    --load) docker save "$1" | gzip | wc -c ;;
    --push) manifest "$1" | grep -o '"size": *[0-9]*' | awk -F : '{ sum += $2 } END { print sum }' ;;
  esac
}

identity() {
  case $action in
    --load) docker image inspect --format '{{.Id}}' "$1" ;;
    --push) docker buildx imagetools inspect --format '{{json .Manifest.Digest}}' "$1" | tr -d '"' ;;
  esac
}

# report NAME PLATFORM: one line of the summary; refuses an image that is too large.
report() {
  local bytes limit
  bytes=$(compressed_bytes "$1")
  limit=$(size_limit_mb "$variant")
  printf '%s  %s  %s  %d.%d MB compressed\n' "$1" "$2" "$(identity "$1")" \
    $((bytes / 1000000)) $((bytes / 100000 % 10))
  if [[ -n $limit ]] && ((bytes > limit * 1000000)); then
    fail "$1 is too large: expected at most $limit MB compressed; 'docker history $1' shows what grew"
  fi
}

# join: the name that both platforms share. A Docker manifest list, as the two manifests in it are Docker's.
join() {
  local raw platform name
  name=$(image_name)
  say "joining both platforms under $name"
  run docker buildx imagetools create --tag "$name" "$(image_name arm64)" "$(image_name amd64)"
  ((!dry_run)) || return 0
  raw=$(manifest "$name" | squeeze)
  expect "$name" "$raw" "\"mediatype\":\"$list_format\"" "Docker's manifest list format"
  for platform in arm64 amd64; do
    expect "$name" "$raw" "\"architecture\":\"$platform\"" "an image for it"
  done
}

main() {
  local platform lines=''
  parse "$@"
  validate
  for platform in ${platforms//,/ }; do
    say "building $(image_name "${platform#linux/}")"
    build "$platform"
    ((!dry_run)) || continue
    say "checking $(image_name "${platform#linux/}")"
    check "$(image_name "${platform#linux/}")" "$platform"
    lines=$lines$(report "$(image_name "${platform#linux/}")" "$platform")$'\n'
  done
  if [[ $action == --push ]]; then
    # One platform alone must not take the place of a list that has both.
    if [[ $platforms == *,* ]]; then
      join
      ((dry_run)) || lines=$lines"$(image_name)  $platforms  $(identity "$(image_name)")"$'\n'
    else
      say "left $(image_name) as it is: it is made when both platforms are pushed together"
    fi
  fi
  printf '%s' "$lines"
}

main "$@"
