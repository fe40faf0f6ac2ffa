# Thin: one call of cargo or of scripts/ each.
.PHONY: demo test check crash bench-ledger deny build install

demo: ## install what it needs, build, poll simulated switches, export CSV and XML
	scripts/install-packages.sh build
	scripts/demo.sh

test: ## install what the tests need; format, lints, all tests
	scripts/install-packages.sh test
	scripts/test.sh

check: ## format and lints only
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

N ?= 200
SEED ?=
crash: ## kill exports at N random moments, into a folder and over SFTP; SEED=… repeats a run
	cargo build --workspace --locked --bins
	EW_CRASH_ROUNDS=$(N) $(if $(SEED),EW_CRASH_SEED=$(SEED)) cargo test --locked -p ew-export --test crash -- --nocapture at_random

bench-ledger: ## what provable delivery costs beside rendering alone, and a run with nothing due
	cargo build --release --locked --workspace --bins
	cargo build --release --locked -p ew-export --example render-only
	scripts/bench-ledger.py

deny: ## licences, sources and bans of the dependencies (needs cargo-deny)
	cargo deny check bans licenses sources

build: ## release programs, man pages and completions
	cargo build --release --locked --workspace --bins
	scripts/generate-docs.sh target/docs --release

install: ## install them; ARGS="--systemd --dry-run" goes to scripts/install.sh
	scripts/install.sh $(ARGS)
