#!/bin/sh
# Prepares a machine for the integration tests: installs by apt what is missing, and puts the pinned Python and
# Node peers under target/peers. Run it as often as you like; it does nothing twice.
#
# Usage: tests/setup.sh [target directory]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
peers=${1:-${CARGO_TARGET_DIR:-$here/../target}}/peers
mkdir -p "$peers"
peers=$(cd "$peers" && pwd)

say() { echo "setup: $*"; }

# needs PROGRAM WHY PACKAGE.. : by program, because python3 and node often come from elsewhere than apt.
needs() {
    program=$1 why=$2
    shift 2
    command -v "$program" >/dev/null 2>&1 || "$here/../scripts/apt-missing.sh" "$why" "$@"
}

needs redis-server "for the tests: the shared session store" redis-server
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || needs initdb "for the tests: the shared directory" postgresql
needs xmlsec1 "for the tests: signs and encrypts what we read, and checks what we sign" xmlsec1
needs xmllint "for the tests: reads the XML that we write" libxml2-utils
needs chromium "for the tests: a whole login in a real browser" chromium
needs chromedriver "for the tests: drives that browser" chromium-driver
[ -x /usr/sbin/slapd ] || needs slapd "for the tests: a directory of people" slapd
needs ldapmodify "for the tests: fills that directory" ldap-utils
needs python3 "for the tests: runs pysaml2 and authlib" python3 python3-venv
python3 -c 'import ensurepip, venv' 2>/dev/null ||
    "$here/../scripts/apt-missing.sh" "for the tests: keeps the Python peers away from the system" python3-venv
needs node "for the tests: runs the Node peers" nodejs
needs npm "for the tests: installs the Node peers" npm

node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    say "the Node peers want Node 20.19 or later, this is $(node --version): expect their tests to fail; see https://nodejs.org"

# A copy of what was installed, written last, says that it is complete.
if ! cmp -s "$here/peers/requirements.txt" "$peers/venv/installed.txt"; then
    say "installing the Python peers into $peers/venv"
    rm -rf "$peers/venv"
    python3 -m venv "$peers/venv"
    "$peers/venv/bin/pip" install -q --disable-pip-version-check -r "$here/peers/requirements.txt"
    cp "$here/peers/requirements.txt" "$peers/venv/installed.txt"
fi

if ! cmp -s "$here/peers/node/package-lock.json" "$peers/node/installed.json"; then
    say "installing the Node peers into $peers/node"
    rm -rf "$peers/node"
    mkdir -p "$peers/node"
    cp "$here/peers/node/package.json" "$here/peers/node/package-lock.json" "$peers/node/"
    (cd "$peers/node" && npm ci --ignore-scripts --no-audit --no-fund --silent)
    cp "$here/peers/node/package-lock.json" "$peers/node/installed.json"
fi

say "ready"
