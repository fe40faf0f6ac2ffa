#!/usr/bin/env bash
# What the benchmarks measure against, in target/bench-venv.
set -euo pipefail

exec "$(dirname "$0")/venv.sh" target/bench-venv duckdb==1.5.5 duckdb-extension-sqlite-scanner==1.5.5 \
    duckdb-extensions==1.5.5 sqlite-utils==4.2.1
