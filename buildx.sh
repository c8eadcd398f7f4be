#!/usr/bin/env bash
# Builds the image for each platform, checks what was built, and loads or pushes it. `./buildx.sh --help` tells how.
# Runs on Linux and on macOS, whose bash is 3.2: no associative arrays, no mapfile, no expansion of empty arrays.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=docker/image.sh
. docker/image.sh
# shellcheck source=docker/push.sh
. docker/push.sh
# shellcheck source=docker/evidence.sh
. docker/evidence.sh

readonly dockerfile=docker/Dockerfile.arm64

# The variant whose images' names do not name it.
readonly default_variant=full

# image_tag [ARCHITECTURE]: one platform's tag, or the one that both share. The only place that knows how tags are made.
image_tag() {
  local part=-$variant
  [[ $variant != "$default_variant" ]] || part=''
  printf '%s%s%s\n' "$tag" "$part" "${1:+-$1}"
}

# image_name ARCHITECTURE: in the local engine.
image_name() { printf '%s:%s\n' "$repository" "$(image_tag "$1")"; }

usage() {
  cat <<USAGE
Usage: ./buildx.sh [--platform LIST] [--load | --push] [--repository REPO] [--tag TAG] [--variant NAME]
                   [--create-repository] [--immutable-tags] [--sbom DIR] [--sign-key FILE] [--no-cache] [--dry-run]

Builds the graviton-serving image for each platform, checks it, and loads it into Docker or pushes it to a registry.
Images are named REPO:TAG-arm64 and REPO:TAG-amd64, those of another variant than the default one REPO:TAG-VARIANT-arm64
and so on. --push with both platforms also makes REPO:TAG (REPO:TAG-VARIANT), a manifest list that is the right one of the
two for each instance.

  --platform LIST    linux/arm64 (Graviton), linux/amd64 (x86), or both with a comma between (default: both)
  --load             put the images into the local Docker (the default)
  --push             put them there, start each on the sample model, under emulation where that is needed, and only if all
                     answer rightly push them to the registry that REPO names, and print the Image for create_model.
                     Into ECR it logs in by itself, with the credentials of the AWS configuration (AWS_PROFILE chooses);
                     into another registry log in first
  --repository REPO  default: graviton-serving. To push, with the registry, like
                     123456789012.dkr.ecr.eu-west-1.amazonaws.com/graviton-serving
  --create-repository  make REPO in ECR if it is not there; its images are scanned when they are pushed
  --immutable-tags   REPO in ECR must have immutable tags, or is made with them
  --sbom DIR         write what is in each image there, as CycloneDX (default: build/ with --push, else nowhere); with
                     --push the digests of all that was pushed, too
  --sign-key FILE    with --push: sign the digests with this RSA or EC key in PEM; the signature is a file beside them
  --tag TAG          default: the version of the project ($(version))
  --variant NAME     the locked requirement set in container/ that goes in: $(variants) (default: $default_variant)
  --no-cache         build every step anew, with the Debian packages of today
  --dry-run          print the commands and run none
  -h, --help         this text

Environment:
  BASE_IMAGE         what the image is built on, for both platforms under one name (default: debian:trixie-slim)
  CA_BUNDLE          a file of certificates to trust while packages download, on a network whose proxy needs one; it does
                     not get into the image
  TORCH_INDEX        for the variant pytorch on linux/amd64: the address of PyTorch's own index of builds for CPUs, which
                     PyTorch's page "Get Started" tells; PyPI has it for linux/arm64 alone
  BUILDX_BUILDER     Docker's own: which builder to use, of any kind
  PYTHON             Python 3.11 or newer, which asks ECR (default: .venv/bin/python, which has boto3 after 'make venv', or
                     python3; without boto3 the aws command is used)

Needs Docker with buildx, and on an x86 machine QEMU for the steps of the arm64 build that run arm64 programs:
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
  platforms=linux/arm64,linux/amd64 action='' repository=graviton-serving tag='' variant=$default_variant
  dry_run=0 no_cache=0 create_repository=0 immutable_tags=0 sbom_dir='' sign_key=''
  local option value
  while (($#)); do
    option=$1
    case $option in
      -h | --help) usage && exit ;;
      --dry-run) dry_run=1 && shift && continue ;;
      --no-cache) no_cache=1 && shift && continue ;;
      --create-repository) create_repository=1 && shift && continue ;;
      --immutable-tags) immutable_tags=1 && shift && continue ;;
      --load | --push)
        [[ -z $action || $action == "$option" ]] || fail "got both --load and --push: expected one; run it twice for both"
        action=$option && shift && continue
        ;;
      --*=*) value=${option#*=} option=${option%%=*} && shift ;;
      --platform | --repository | --tag | --variant | --sbom | --sign-key)
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
      --sbom) sbom_dir=$value ;;
      --sign-key) sign_key=$value ;;
      *) fail "does not know '$option'; see --help" ;;
    esac
  done
  action=${action:---load}
  [[ $action == --load ]] || sbom_dir=${sbom_dir:-build}
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
    fail "--tag is '$tag': expected letters, digits, '_', '.' and '-', not beginning with '.' or '-', and at most" \
      "$((128 - ${#variant} - 7)) characters, as -$variant-arm64 is added"
  if [[ $action == --push && $repository != */* ]]; then
    fail "--repository is '$repository', which names no registry to push to: expected one like" \
      "123456789012.dkr.ecr.eu-west-1.amazonaws.com/graviton-serving"
  fi
  if ((create_repository || immutable_tags)) && ! { [[ $action == --push ]] && is_ecr; }; then
    fail "--create-repository and --immutable-tags are for --push to ECR: expected a --repository like" \
      "123456789012.dkr.ecr.eu-west-1.amazonaws.com/graviton-serving"
  fi
  [[ -z $sign_key || $action == --push ]] || fail "--sign-key is for --push: what is signed are the digests in the registry"
  [[ -z $sign_key ]] || try_key
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

# plain_builder: whether the builder is Docker's own, on its own image store, which has no format but Docker's. Any other
# can write OCI's.
plain_builder() {
  local kind store
  kind=$(docker buildx inspect | sed -n 's/^Driver: *//p')
  store=$(docker info --format '{{json .DriverStatus}}')
  [[ $kind == docker && $store != *io.containerd.snapshotter* ]]
}

# build PLATFORM: into the local engine, in Docker's format whatever the builder's kind.
build() {
  local name flag archive=''
  name=$(image_name "${1#linux/}")
  local command=(docker buildx build --file "$dockerfile" --platform "$1" --tag "$name")
  for flag in $(attestation_flags); do
    command+=("$flag")
  done
  ((!no_cache)) || command+=(--no-cache)
  if ((dry_run)) || plain_builder; then
    command+=(--output 'type=docker,oci-mediatypes=false')
  else
    archive=build/${name##*/}.tar
    archive=${archive/:/-}
    mkdir -p build
    command+=(--output "type=docker,oci-mediatypes=false,dest=$archive")
  fi
  command+=(--build-arg "VARIANT=$variant" --build-arg "VERSION=$project_version" --build-arg "REVISION=$commit")
  # BuildKit's own name for the time that it stamps on what it makes: the commit's, so that a commit gives one image.
  [[ $commit == unknown ]] || command+=(--build-arg "SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "${commit%-dirty}")")
  [[ -z $base_image ]] || command+=(--build-arg "BASE_IMAGE=$base_image")
  [[ -z $torch_index ]] || command+=(--build-arg "TORCH_INDEX=$torch_index")
  [[ -z $ca_bundle ]] || command+=(--secret "id=ca,src=$ca_bundle")
  run "${command[@]}" . || fail "the build for $1 failed: the cause is above. 'exec format error' means that this machine" \
    "cannot run that platform's programs: see the end of --help"
  [[ -z $archive ]] || { run docker load --input "$archive" >&2 && rm -f "$archive"; } || fail "cannot load $archive"
}

# examine PLATFORM: refuses what SageMaker would; what is to be pushed must serve, too.
examine() {
  local name bytes
  name=$(image_name "${1#linux/}")
  say "checking format, architecture, labels, entry point and size of $name"
  if ((!dry_run)); then
    check "$name" "$1"
    bytes=$(compressed_bytes "$name")
    weigh "$name" "$bytes"
  fi
  if [[ $action == --push ]]; then
    say "serving the sample model from $name (under emulation: up to a minute)"
    ((dry_run)) || serves "$name" "$1"
  fi
  [[ -z $sbom_dir ]] || write_sbom "$name" "$1"
  if [[ $action == --load ]] && ((!dry_run)); then
    lines=$lines"$name  $1  $(docker image inspect --format '{{.Id}}' "$name")  $(megabytes "$bytes") compressed"$'\n'
  fi
}

# deliver: only when everything has been built and examined; the shared name last.
deliver() {
  local platform arch
  make_repository
  for platform in ${platforms//,/ }; do
    arch=${platform#linux/}
    push "$(image_name "$arch")" "$(image_tag "$arch")"
    ((dry_run)) || lines=$lines"$(landed "$(image_tag "$arch")" "$platform")"$'\n'
  done
  # One platform alone must not take the place of a list that has both.
  if [[ $platforms == *,* ]]; then
    join
    ((dry_run)) || lines=$lines"$(landed "$(image_tag)" "$platforms")"$'\n'"$(addresses "$(image_tag)")"$'\n'
  else
    say "left $destination:$(image_tag) as it is: it is made when both platforms are pushed together"
    ((dry_run)) || lines=$lines"$(addresses "$(image_tag "$arch")")"$'\n'
  fi
  write_digests
}

# leave: on the way out, however that comes.
# shellcheck disable=SC2317 # called by the trap
leave() {
  local status=$?
  tidy
  ((status == 0)) || name_what_landed
}

main() {
  local platform lines=''
  parse "$@"
  validate
  trap leave EXIT
  [[ $action == --load ]] || open_registry
  for platform in ${platforms//,/ }; do
    say "building $(image_name "${platform#linux/}")"
    build "$platform"
    examine "$platform"
  done
  [[ $action == --load ]] || deliver
  printf '%s' "$lines"
}

# In one piece: the file may change while it runs, and bash reads on as it goes.
{
  main "$@"
  exit
}
