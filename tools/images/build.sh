#!/usr/bin/env bash
# Builds every image from docker/Dockerfile without a Docker engine, builds them once more to see that they are the same,
# starts them, migrates with them and asks them for something: so the Dockerfile is proven and not believed.
#
#   bash tools/images/build.sh            what earlier runs have built is kept in .keyturn/images, so a second run is quick
#   bash tools/images/build.sh --clean    removes it
#
# Needs root, and of Debian: buildah, debootstrap. The base is a Debian made by debootstrap plus this machine's Node.js; a
# release is built by an engine on the base that the Dockerfile names.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
apps='api-gateway data-service webhook-service dispatcher cli'

[ "$(id -u)" = 0 ] || { echo 'images: run this as root: debootstrap and chroot need it' >&2; exit 1; }
for program in buildah debootstrap; do
  command -v "$program" >/dev/null || { echo "images: $program is missing: apt-get install buildah debootstrap" >&2; exit 1; }
done

work=${KEYTURN_HOME:-$root/.keyturn}/images
case "${1:-}" in
  '') ;;
  --clean) rm -rf "$work"; exit ;;
  *) echo 'usage: bash tools/images/build.sh [--clean]' >&2; exit 1 ;;
esac
mkdir -p "$work"
exec 9>"$work/lock"
flock --nonblock 9 || { echo "images: another run works in $work" >&2; exit 1; }
say() { printf '── %s (after %d s)\n' "$1" "$SECONDS"; }

# What the last step runs with, in a fresh clone too: said now, and not when all images are built.
node tools/bootstrap.mjs

# Storage of its own, so that nothing of the machine's is touched, and all of it can be removed. vfs asks nothing of the
# kernel and copies everything at every step; STORAGE_DRIVER=overlay is quicker where the kernel allows it.
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=${STORAGE_DRIVER:-vfs} TMPDIR="$work/tmp"
mkdir -p "$TMPDIR"
# Said aloud: buildah does not mind the variable when it is given a root.
buildah() { command buildah --root "$work/storage" --runroot "$work/runtime" --storage-driver "$STORAGE_DRIVER" "$@"; }
tidy() {
  buildah rm --all >/dev/null 2>&1 || true
  rm -rf "$work/again" "$work/context" "$work/debian" "$TMPDIR"
}
trap tidy EXIT

node=$(readlink -f "$(command -v node)")
npm=$(readlink -f "$(command -v npm)")
version=$(node --version)
base=localhost/keyturn-node:${version#v}

if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
  say "Base: Debian and Node.js $version"
  rm -rf "$work/debian"
  debootstrap --variant=minbase --include=libstdc++6,ca-certificates bookworm "$work/debian" >"$work/debootstrap.log" ||
    { tail -n 30 "$work/debootstrap.log" >&2; exit 1; }
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

# How this machine reaches its registry is the machine's business: the build stage may read it, no image has it.
volumes=()
{
  [ ! -f "$HOME/.npmrc" ] || cat "$HOME/.npmrc"
  [ -z "${NODE_EXTRA_CA_CERTS:-}" ] || printf '\ncafile=/run/authority.crt\n'
} >"$TMPDIR/npmrc"
volumes+=(--volume "$TMPDIR/npmrc:/root/.npmrc:ro")
[ -z "${NODE_EXTRA_CA_CERTS:-}" ] || volumes+=(--volume "$NODE_EXTRA_CA_CERTS:/run/authority.crt:ro")

revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
# build <context> <log> <argument> …; the moment of creation is fixed too, so the same commit gives the same image.
build() {
  local context=$1 log=$2
  shift 2
  buildah build --timestamp 0 --ignorefile "$context/.dockerignore" "${volumes[@]}" \
    --build-arg "NODE_IMAGE=$base" --build-arg "REVISION=$revision" --file "$context/docker/Dockerfile" "$@" "$context" \
    >"$log" 2>&1 || { tail -n 30 "$log" >&2; exit 1; }
}

# A copy, so that whoever goes on working meanwhile changes nothing.
rm -rf "$work/context"
mkdir "$work/context"
tar --exclude=node_modules -c package.json package-lock.json tsconfig.base.json .dockerignore docker tools libs apps |
  tar -x -C "$work/context"
say 'Build stage: npm ci, bundles'
# Their names keep the stages from being swept away as nobody's, so that they serve the next run.
for stage in build collected; do
  build "$work/context" "$work/stage-$stage.log" --layers --target "$stage" --tag "localhost/keyturn/$stage"
done
for app in $apps; do
  say "Image keyturn/$app"
  build "$work/context" "$work/image-$app.log" --layers --build-arg "APP=$app" --tag "localhost/keyturn/$app"
done
buildah rmi --prune >/dev/null

# Stage "collected" is one layer with all that the images are made of.
layer() { buildah inspect --type image --format '{{index .OCIv1.RootFS.DiffIDs 0}}' "$1"; }
collected=$(layer localhost/keyturn/collected)
if [ "$collected" != "$(cat "$work/built-twice" 2>/dev/null)" ]; then
  say 'Once more, from nothing, in another folder'
  # Without the times of the files: in a clone they are the hour of the clone.
  cp -r "$work/context" "$work/again"
  build "$work/again" "$work/again.log" --no-cache --target collected --tag localhost/keyturn/again
  again=$(layer localhost/keyturn/again)
  buildah rmi localhost/keyturn/again >/dev/null
  [ "$collected" = "$again" ] || { echo "images: two builds of the same files differ: $collected, $again" >&2; exit 1; }
  echo "$collected" >"$work/built-twice"
fi

say 'Run'
node dist/tools/images.js "$work" "$base" $apps
say 'Done'
