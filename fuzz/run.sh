#!/usr/bin/env bash
# Runs one fuzz target for some seconds (60), with its seeds, its dictionary and the limits of all of them.
#
#   fuzz/run.sh target [seconds] [libFuzzer option..]
#
# Sanitizers and coverage are unstable flags of the compiler, but part of every toolchain; RUSTC_BOOTSTRAP lets the
# stable one take them, so that what is fuzzed is compiled by what compiles the release.
set -euo pipefail
cd "$(dirname "$0")"

target=$1
seconds=${2:-60}
shift $(($# < 2 ? $# : 2))

features=()
seeds=$target
length=65536
case $target in
    saml_response_xmlsec)
        features=(--features xmlsec)
        seeds=saml_response
        ;;
    c14n_libxml2)
        features=(--features xmlsec)
        length=4096
        ;;
    # Its inputs are programs of edits, not documents. libxmlsec1 loses a few bytes with some of what it refuses.
    signature_xmlsec)
        features=(--features xmlsec)
        length=384
        set -- "$@" -detect_leaks=0
        ;;
esac
dictionary=dictionaries/saml
case $target in authorization_request | token_request) dictionary=dictionaries/oidc ;; esac

mkdir -p "corpus/$target"
exec env RUSTC_BOOTSTRAP=1 cargo fuzz run "${features[@]}" "$target" "corpus/$target" "seeds/$seeds" -- \
    -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -max_len=$length -dict="$dictionary" -print_funcs=0 -print_final_stats=1 "$@"
