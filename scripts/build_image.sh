#!/bin/sh
# Build the container image with docker, podman or buildah, whichever works here. Arguments go to
# its `build` command. BUILDER names one of them where several are installed; QWELL_IMAGE
# is the name of what is built, as in deploy/compose.yaml.
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

builder=${BUILDER:-$(find_builder)}
# what setuptools-scm would say, which needs git and a history inside the build
version=${VERSION:-$(python3 src/qwell/checkout.py || true)}
revision=$(git rev-parse HEAD 2>/dev/null || true)
format=""
if [ "$builder" != docker ]; then
    format="--format docker" # the other format has no health check
fi

# shellcheck disable=SC2086  # empty, or two words
exec "$builder" build $format --file deploy/Dockerfile --tag "${QWELL_IMAGE:-qwell:latest}" \
    --build-arg "VERSION=$version" --build-arg "REVISION=$revision" "$@" .
