#!/bin/sh
# Install the named Debian packages that are missing, when that is allowed without a question.
# Otherwise it says so and succeeds: the tests that need them are then skipped by name, and with
# CI=true they fail (tests/conftest.py).
set -eu

missing=""
for package in "$@"; do
    status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    as_root="sudo --non-interactive"
fi
if ! command -v apt-get >/dev/null || ! $as_root true 2>/dev/null; then
    echo "not installed, their tests will be skipped:$missing"
    exit 0
fi

echo "installing Debian packages for the tests:$missing"
export DEBIAN_FRONTEND=noninteractive
# unquoted on purpose: a list of names
# shellcheck disable=SC2086
$as_root apt-get update -qq &&
    $as_root apt-get install -qq --yes --no-install-recommends $missing >/dev/null ||
    echo "could not be installed, their tests will be skipped:$missing"
