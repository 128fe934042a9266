#!/bin/sh
# Build the container image with docker, podman or buildah, whichever works here. Arguments go to
# its `build` command. BUILDER names one of them where several are installed.
set -eu
cd "$(dirname "$0")/.."

# docker's client alone is no builder: its engine has to answer
find_builder() {
    docker info >/dev/null 2>&1 && echo docker && return
    for program in podman buildah; do
        command -v "$program" >/dev/null && echo "$program" && return
    done
    echo "an image needs a builder: install docker, podman or buildah" >&2
    return 1
}

# what setuptools-scm would say, which needs git and a history; empty where there is none
version_of_checkout() {
    tagged=$(git describe --tags --long --match 'v[0-9]*' 2>/dev/null || true)
    case "$tagged" in
    v*-0-g*) echo "$tagged" | sed 's/^v//; s/-0-g.*//' ;;
    v*) echo "$tagged" | sed 's/^v//; s/-\([0-9]*\)-\(g.*\)/.post\1+\2/' ;;
    *) git log -1 --format="0.1.1.dev$(git rev-list --count HEAD)+g%h" 2>/dev/null || true ;;
    esac
}

builder=${BUILDER:-$(find_builder)}
version=${VERSION:-$(version_of_checkout)}
revision=$(git rev-parse HEAD 2>/dev/null || true)
format=""
if [ "$builder" != docker ]; then
    format="--format docker" # the other format has no health check
fi

# shellcheck disable=SC2086  # empty, or two words
exec "$builder" build $format --file deploy/Dockerfile --tag qwell:latest \
    --build-arg "VERSION=$version" --build-arg "REVISION=$revision" "$@" .
