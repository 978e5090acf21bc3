#!/usr/bin/env bash
# Installs the named Debian packages that are not there yet, and says which and why.
#
#   scripts/apt-missing.sh "what they are for" package..
#
# Works as root or with sudo, asks no questions, and touches nothing when nothing is missing.
# Where there is no apt it names the packages and goes on: the build will say what it lacks.
set -euo pipefail

purpose=$1
shift

missing=()
if command -v dpkg-query >/dev/null; then
    for package in "$@"; do
        state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || missing+=("$package")
    done
else
    missing=("$@")
fi
[ ${#missing[@]} -gt 0 ] || exit 0

echo "==> needed $purpose: ${missing[*]}"
if ! command -v apt-get >/dev/null; then
    echo "    There is no apt-get here. Install what your system calls these, if it is not there yet." >&2
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "    Installing needs root, and there is no sudo. As root, run:" >&2
        echo "    apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

apt() {
    # Another apt (unattended upgrades) may hold the lock for a while.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null
}
apt update
apt install --yes --no-install-recommends "${missing[@]}"
