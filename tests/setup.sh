#!/bin/sh
# Prepares a machine for the integration tests: installs by apt what is missing, and puts the pinned Python and
# Node peers under target/peers. Run it as often as you like; it does nothing twice.
#
# Usage: tests/setup.sh [target directory]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
peers=${1:-$here/../target}/peers
mkdir -p "$peers"
peers=$(cd "$peers" && pwd)

say() { echo "setup: $*"; }

missing=
# needs PROGRAM PACKAGE WHY
needs() {
    if ! command -v "$1" >/dev/null 2>&1; then
        say "$1 is missing: $2, $3"
        missing="$missing $2"
    fi
}

needs openssl openssl "makes the keys and certificates of test identity providers"
needs redis-server redis-server "the shared session store"
if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    say "initdb is missing: postgresql, the shared directory"
    missing="$missing postgresql"
fi
needs xmlsec1 xmlsec1 "signs and encrypts what we read, and checks what we sign"
needs xmllint libxml2-utils "checks our metadata against the standard's grammar"
needs chromium chromium "a whole login in a real browser"
needs chromedriver chromium-driver "drives that browser"
needs python3 python3 "runs pysaml2 and authlib"
if command -v python3 >/dev/null 2>&1 && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    say "python3 has no venv: python3-venv, keeps the Python peers away from the system"
    missing="$missing python3-venv"
elif ! command -v python3 >/dev/null 2>&1; then
    missing="$missing python3-venv"
fi
needs node nodejs "runs openid-client"
needs npm npm "installs openid-client"

if [ -n "$missing" ]; then
    sudo=
    if [ "$(id -u)" != 0 ]; then sudo=sudo; fi
    say "installing:$missing"
    # Debian starts a redis and a postgres of its own after installing them; the tests need only the programs.
    $sudo apt-get update -q
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends $missing
fi

# A copy of what was installed, written last, says that it is complete.
if ! cmp -s "$here/peers/requirements.txt" "$peers/venv/installed.txt"; then
    say "installing pysaml2 and authlib into $peers/venv"
    rm -rf "$peers/venv"
    python3 -m venv "$peers/venv"
    "$peers/venv/bin/pip" install -q --disable-pip-version-check -r "$here/peers/requirements.txt"
    cp "$here/peers/requirements.txt" "$peers/venv/installed.txt"
fi

if ! cmp -s "$here/peers/node/package-lock.json" "$peers/node/installed.json"; then
    say "installing openid-client into $peers/node"
    rm -rf "$peers/node"
    mkdir -p "$peers/node"
    cp "$here/peers/node/package.json" "$here/peers/node/package-lock.json" "$peers/node/"
    (cd "$peers/node" && npm ci --ignore-scripts --no-audit --no-fund --silent)
    cp "$here/peers/node/package-lock.json" "$peers/node/installed.json"
fi

say "ready"
