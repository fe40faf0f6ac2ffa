# Thin: one call of cargo or of scripts/ each.
.PHONY: demo test check deny build install

demo: ## install what it needs, build, poll simulated switches, export CSV and XML
	scripts/install-packages.sh build
	scripts/demo.sh

test: ## install what the tests need; format, lints, all tests
	scripts/install-packages.sh test
	scripts/test.sh

check: ## format and lints only
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

deny: ## licences, sources and bans of the dependencies (needs cargo-deny)
	cargo deny check bans licenses sources

build: ## release programs, man pages and completions
	cargo build --release --locked --workspace --bins
	scripts/generate-docs.sh target/docs --release

install: ## install them; ARGS="--systemd --dry-run" goes to scripts/install.sh
	scripts/install.sh $(ARGS)
