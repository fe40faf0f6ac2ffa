#!/usr/bin/env bash
# Writes man pages and shell completions of every program and command, from the programs' own command lines,
# into OUT/{man,bash,zsh,fish}. What follows OUT goes to cargo: --release, where that is built anyway.
set -euo pipefail

case "${1:-}" in
    "" | -*) echo "usage: $0 OUT [CARGO-OPTION]..." >&2; exit 2 ;;
esac
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/.."
cargo run --quiet --locked --package ew-cli --example generate-docs "$@" -- "$out"
