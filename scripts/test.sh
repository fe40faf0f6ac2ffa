#!/usr/bin/env bash
# Format, lints and all tests. Ends with `N passed, N failed, N skipped`; a skipped test is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/test-venv.sh
scripts/test-proftpd.sh
scripts/test-postfix.sh
# The interpreter itself: where a version manager stands before it, each of some hundred calls waits for that.
PATH=$PWD/target/test-venv/bin:$PATH
# Nothing is built a second time there.
[ -z "${CI:-}" ] || export CARGO_INCREMENTAL=0
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
# Tests run programs of other crates, and cargo test builds only those of crates that have tests of their own. With the
# tests, as dependencies have other features without them: all would be built twice.
cargo build --workspace --locked --all-targets --quiet
scripts/interop-cgate.sh

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --workspace --locked --no-fail-fast 2>&1 | tee "$log" || status=$?
# What is built only where it is asked for, after everything without it.
features=(--workspace --features parquet,s3 --locked)
tests=(--test parquet --test conform --test s3 --test features)
cargo clippy "${features[@]}" --lib "${tests[@]}" --quiet -- -D warnings
cargo test "${features[@]}" --no-fail-fast "${tests[@]}" 2>&1 | tee -a "$log" || status=$?
cargo test "${features[@]}" --test transport s3_conforms 2>&1 | tee -a "$log" || status=$?

count() { awk -v word="$1" '/^test result:/ { for (i = 2; i <= NF; i++) if ($i ~ "^" word) sum += $(i - 1) } END { print sum + 0 }' "$log"; }
passed=$(count passed) failed=$(count failed) skipped=$(count ignored)
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ] && [ "$skipped" -eq 0 ] && [ "$passed" -gt 0 ]
