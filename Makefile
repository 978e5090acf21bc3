# Every target says what it does: `make help` prints the lines that begin with ##.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-once test bench check fuzz setup-build setup-test clean

# rustup puts cargo where a non-login shell may not look.
export PATH := $(PATH):$(HOME)/.cargo/bin

TARGET := $(or $(CARGO_TARGET_DIR),target)
# Seconds for each fuzz target.
FUZZ_SECONDS ?= 60

## help         this list
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

## demo         builds, then runs gateway, practice providers and practice applications on this machine
demo: setup-build
	cargo build --release --locked
	exec $(TARGET)/release/isthmus demo

## demo-once    whole logins over HTTP without a browser, by each practice provider at each application; prints claims, attributes and traces as JSON
demo-once: setup-build
	@# Everything but the JSON goes to standard error, so that the result can be piped.
	@cargo build --release --locked >&2
	@exec $(TARGET)/release/isthmus demo --once

## test         all tests: units, pages, layering, and whole logins against real peers, servers and a browser
test: setup-build setup-test
	@mkdir -p $(TARGET)
	@cargo test --locked --no-fail-fast 2>&1 | tee $(TARGET)/test.log || failed=1; \
	awk '/^test result:/ { passed += $$4; failures += $$6; ignored += $$8; suites++ } \
	     END { printf "\n==> %d passed, %d failed, %d ignored, in %d suites\n", passed, failures, ignored, suites }' $(TARGET)/test.log; \
	exit $${failed:-0}

## bench        whole logins against the release binary (CPU, logins per second, latencies, memory), the provider half, the parts, rules, searches, imports, the API, SAML toward applications, metadata
bench: setup-build
	cargo bench --locked --bench login
	cargo bench --locked --bench provider
	cargo bench --locked --bench parts
	cargo bench --locked --bench rules
	cargo bench --locked --bench search
	cargo bench --locked --bench import
	cargo bench --locked --bench api
	cargo bench --locked --bench saml_idp
	cargo bench --locked --bench metadata

## check        formatting, lints, and the rules for dependencies (needs cargo-deny)
check: setup-build
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --no-default-features -- -D warnings
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny --locked check

## fuzz         every fuzz target for FUZZ_SECONDS (60) each (needs cargo-fuzz)
fuzz: setup-build
	@command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install --locked cargo-fuzz" >&2; exit 1; }
	@for target in $$(cd fuzz && cargo fuzz list); do \
	    echo "==> $$target, $(FUZZ_SECONDS) s"; \
	    fuzz/run.sh $$target $(FUZZ_SECONDS); \
	done

## setup-build  installs what the build needs, if it is missing (apt, as root or with sudo)
setup-build:
	@command -v cargo >/dev/null || { echo "Rust is missing: install 1.95 or later from https://rustup.rs" >&2; exit 1; }
	@scripts/apt-missing.sh "to compile and link" build-essential pkg-config libssl-dev >&2
	@scripts/apt-missing.sh "for the second signature engine (libxmlsec1, and bindings made from its headers)" \
	    libxmlsec1-dev libxml2-dev clang libclang-dev >&2

## setup-test   installs what the tests need beside that: servers, peers, a browser
setup-test:
	@tests/setup.sh $(TARGET)

## clean        removes what was built
clean:
	cargo clean
