#!/usr/bin/env bash
# Each fuzz target for FUZZ_SECONDS (60). What it found stays in fuzz/artifacts; its corpus in fuzz/corpus.
# libFuzzer needs flags that only a nightly compiler takes by itself; RUSTC_BOOTSTRAP=1 has the stable one take them.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=target/fuzz-tools
cargo_fuzz=$(command -v cargo-fuzz || true)
if [ -z "$cargo_fuzz" ]; then
    [ -x "$tools/bin/cargo-fuzz" ] || cargo install cargo-fuzz --locked --quiet --root "$tools"
    cargo_fuzz=$tools/bin/cargo-fuzz
fi
PATH=$(realpath "$(dirname "$cargo_fuzz")"):$PATH

export RUSTC_BOOTSTRAP=1
for target in ${FUZZ_TARGETS:-$(cargo fuzz list)}; do
    mkdir -p "fuzz/corpus/$target"
    echo "$target: ${FUZZ_SECONDS:-60} s"
    # Without a sanitizer: no line of unsafe is there to be watched, and it runs several times as fast.
    cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="${FUZZ_SECONDS:-60}" -max_len=65507 -timeout=10 -rss_limit_mb=512 -print_final_stats=1
done
