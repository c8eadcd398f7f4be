# shellcheck shell=bash
# shellcheck disable=SC2154 # buildx.sh sets what is used and not set here.
# Files beside the images: what is in them, the digests, a signature. Never attached to an image, which would make it an
# index that SageMaker refuses. For buildx.sh.

# evidence_file SUFFIX [ARCHITECTURE]
evidence_file() { printf '%s/%s-%s.%s\n' "$sbom_dir" "${repository##*/}" "$(image_tag "${2:-}")" "$1"; }

# try_key: before a build that takes minutes.
try_key() {
  [[ -r $sign_key ]] || fail "--sign-key is '$sign_key': expected a file with a private key that can be read"
  command -v openssl >/dev/null || fail "found no openssl, which signs: install it, or leave --sign-key out"
  openssl dgst -sha256 -sign "$sign_key" </dev/null >/dev/null 2>&1 ||
    fail "--sign-key is '$sign_key', with which openssl cannot sign: expected an RSA or EC private key in PEM, as" \
      "'openssl ecparam -name prime256v1 -genkey -noout' makes one"
}

# write_sbom NAME PLATFORM: by a script that runs in the image, under emulation where that is needed.
write_sbom() {
  local file
  file=$(evidence_file cdx.json "${2#linux/}")
  say "listing what is in $1: $file"
  ((!dry_run)) || return 0
  mkdir -p "$sbom_dir"
  # Moved when complete: an interrupted run leaves nothing that looks finished.
  docker run --rm --interactive --platform "$2" --network none --entrypoint python3 "$1" - \
    "${repository##*/}" "$(image_tag "${2#linux/}")" <docker/sbom.py >"$file.part" || fail "cannot list what is in $1"
  mv "$file.part" "$file"
}

sha256() { openssl dgst -sha256 "$1" | sed 's/.*= *//'; }

# write_digests: of every image in the registry and of the lists of their contents; signed as one.
write_digests() {
  local file each platform
  file=$(evidence_file digests)
  say "writing the digests: $file"
  if ((!dry_run)); then
    {
      for each in $(tags); do
        printf '%s  %s\n' "$(digest "$destination:$each")" "$destination:$each"
      done
      for platform in ${platforms//,/ }; do
        each=$(evidence_file cdx.json "${platform#linux/}")
        printf 'sha256:%s  %s\n' "$(sha256 "$each")" "${each##*/}"
      done
    } >"$file.part"
    mv "$file.part" "$file"
  fi
  [[ -n $sign_key ]] || return 0
  run openssl dgst -sha256 -sign "$sign_key" -out "$file.sig" "$file" || fail "cannot sign $file with $sign_key"
}
