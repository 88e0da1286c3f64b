#!/usr/bin/env bash
# Builds every image from docker/Dockerfile without a Docker engine, starts them, migrates with them and asks them for
# something, so that the Dockerfile is proven and not believed.
#
#   bash tools/images/build.sh            builds, runs, removes what it made
#   bash tools/images/build.sh --keep     leaves images and base in .keyturn/images for the next run
#
# Needs root, and of Debian: buildah, debootstrap. The base is a Debian made by debootstrap plus this machine's Node.js; a
# release is built by an engine on the base that the Dockerfile names.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD

keep=
[ "${1:-}" = --keep ] && keep=yes
apps='api-gateway data-service webhook-service dispatcher cli'

[ "$(id -u)" = 0 ] || { echo 'images: run this as root: debootstrap and chroot need it' >&2; exit 1; }
for program in buildah debootstrap; do
  command -v "$program" >/dev/null || { echo "images: $program is missing: apt-get install buildah debootstrap" >&2; exit 1; }
done

work=${KEYTURN_HOME:-$root/.keyturn}/images
mkdir -p "$work"
say() { printf '── %s (after %d s)\n' "$1" "$SECONDS"; }
# Storage of its own, so that nothing of the machine's is touched, and all of it can be removed.
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
buildah() { command buildah --root "$work/storage" --runroot "$work/runtime" --storage-driver vfs "$@"; }
tidy() {
  buildah rm --all >/dev/null 2>&1 || true
  [ -n "$keep" ] || rm -rf "$work"
}
trap tidy EXIT

node=$(readlink -f "$(command -v node)")
npm=$(readlink -f "$(command -v npm)")
version=$(node --version)
base=localhost/keyturn-node:${version#v}

if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
  say "Base: Debian and Node.js $version"
  rm -rf "$work/debian"
  debootstrap --variant=minbase --include=libstdc++6,ca-certificates bookworm "$work/debian" >"$work/debootstrap.log"
  rm -rf "$work/debian"/var/cache/apt/archives/*.deb "$work/debian"/var/lib/apt/lists/*
  install -D "$node" "$work/debian/usr/local/bin/node"
  mkdir -p "$work/debian/usr/local/lib/node_modules"
  cp -a "$(dirname "$npm")/.." "$work/debian/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/debian/usr/local/bin/npm"
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$work/debian" / >/dev/null
  buildah config --cmd node "$container"
  buildah commit --quiet --rm "$container" "$base" >/dev/null
  rm -rf "$work/debian"
fi

# A registry behind an authority of its own: npm in the build stage has to know it, the image has not.
volumes=()
if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then
  printf 'cafile=/run/authority.crt\n' >"$work/npmrc"
  volumes=(--volume "$NODE_EXTRA_CA_CERTS:/run/authority.crt:ro" --volume "$work/npmrc:/root/.npmrc:ro")
fi

revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
for app in $apps; do
  say "Image keyturn/$app"
  # The moment of creation is fixed too, so the same commit gives the same image.
  buildah build --layers --timestamp 0 --ignorefile .dockerignore "${volumes[@]}" \
    --build-arg "NODE_IMAGE=$base" --build-arg "APP=$app" --build-arg "REVISION=$revision" \
    --file docker/Dockerfile --tag "localhost/keyturn/$app" . >"$work/build-$app.log" 2>&1 ||
    { tail -n 30 "$work/build-$app.log" >&2; exit 1; }
done

say 'Run'
node tools/build.mjs tools
node dist/tools/images.js "$work" $apps
say 'Done'
