#!/usr/bin/env bash
# Fetches and builds other people's C-Bus programs into target/foreign-cbus, for tests/pci-foreign.rs, which says so and
# passes without them. By hand: it needs the network, and two minutes. Their code (LGPL) is no part of this project.
# FOREIGN_CBUS may name another place to fetch the commit from.
set -euo pipefail
cd "$(dirname "$0")/.."

commit=15cde616bff234c144d5a4e49902a372164428f2
source=${FOREIGN_CBUS:-https://github.com/mitchell-johnson/cbus}
dir=target/foreign-cbus

[ "$(cat "$dir/commit" 2>/dev/null || true)" = "$commit" ] && exit 0
rm -rf "$dir"
git init --quiet "$dir/source"
git -C "$dir/source" fetch --quiet --depth 1 "$source" "$commit"
git -C "$dir/source" checkout --quiet FETCH_HEAD
CARGO_PROFILE_DEV_DEBUG=0 cargo build --quiet --locked --manifest-path "$dir/source/rust/Cargo.toml" \
    --target-dir "$dir/target" -p cbus-simulator -p cbus-tools
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check six==1.17.0 pyserial==3.5 pyserial-asyncio==0.6
echo "$commit" >"$dir/commit"
