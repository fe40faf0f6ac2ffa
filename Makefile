# Thin: one call of cargo or of scripts/ each.
.PHONY: demo test check crash fuzz bench bench-export bench-append bench-ledger bench-poll bench-sftp bench-scale soak-poll deny build install

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
crash: ## kill exports at N random moments, into a folder, over SFTP and FTPS; SEED=… repeats a run
	cargo build --workspace --locked --bins
	EW_CRASH_ROUNDS=$(N) $(if $(SEED),EW_CRASH_SEED=$(SEED)) cargo test --locked -p ew-export --test crash -- --nocapture at_random

# One command for all of them, so that nothing is built twice.
BENCH_BUILD = cargo build --release --locked --workspace --bins --examples

bench: bench-export bench-append bench-ledger bench-poll bench-sftp bench-scale ## all of them

bench-export: ## exports of 10 M rows, and of 15 minutes, beside sqlite3, DuckDB, quick-xml, Python; RUNS=5 ROWS=10000000
	scripts/install-packages.sh test
	scripts/bench-venv.sh
	$(BENCH_BUILD)
	$(if $(filter formats,$(or $(ONLY),formats)),cargo build --release --locked -p ew-export --features parquet --target-dir target/bench-features)
	scripts/bench-export.py

bench-append: ## ew-log append beside sqlite3, Python and a bare loop
	scripts/install-packages.sh test
	$(BENCH_BUILD)
	scripts/bench-append.py

bench-ledger: ## what provable delivery costs beside rendering alone, and a run with nothing due
	$(BENCH_BUILD)
	scripts/bench-ledger.py

bench-poll: ## a poll of 1,000 switches beside net-snmp's clients and the snmp2 crate, then soak-poll
	scripts/install-packages.sh test
	$(BENCH_BUILD)
	scripts/bench-poll.py

bench-sftp: ## 200 MB, 20 MB on a line of 20 ms and small slices beside OpenSSH's sftp
	scripts/install-packages.sh test
	$(BENCH_BUILD)
	scripts/bench-sftp.py

bench-scale: ## what a sample, a slice and a switch cost, from 10^4 to 10^8 samples; MAX=100000000
	$(BENCH_BUILD)
	scripts/bench-scale.py

soak-poll: ## a poll of 1,000 switches, 100 of them dead, on a slow net that loses 5 %
	$(BENCH_BUILD)
	scripts/bench-poll.py --soak

fuzz: ## every decoder of SNMP, C-Bus and SFTP against what libFuzzer thinks of, FUZZ_SECONDS=60 each
	scripts/fuzz.sh

deny: ## licences, sources and bans of the dependencies (needs cargo-deny)
	cargo deny check bans licenses sources

FEATURES ?=
export FEATURES
build: ## release programs, man pages and completions; FEATURES=parquet,s3 also with what is left out else
	cargo build --release --locked --workspace --bins $(if $(FEATURES),--features $(FEATURES))
	scripts/generate-docs.sh target/docs --release

install: ## install them; ARGS="--systemd --dry-run" goes to scripts/install.sh
	scripts/install.sh $(ARGS)
