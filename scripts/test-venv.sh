#!/usr/bin/env bash
# The Python packages of the tests, in an environment of their own: target/test-venv. Made anew when the list changes.
set -euo pipefail
cd "$(dirname "$0")/.."

# nemreader 0.6 is the last one that needs nothing else.
wanted="aiosmtpd==1.4.6 asyncssh==2.24.1 csvw==4.1.1 duckdb==1.5.5 greenbutton-objects==2024.7.11 nanio==0.1.7
 nemreader==0.6 prometheus-client==0.23.1 pyftpdlib[ssl]==2.2.0 starlette==1.10.0 uvicorn==0.54.0"
venv=target/test-venv

[ "$(cat "$venv/wanted" 2>/dev/null || true)" = "$wanted" ] && exit 0
rm -rf "$venv"
python3 -m venv "$venv" || { echo "$0: python3 has no venv (Debian: python3-venv)" >&2; exit 1; }
# shellcheck disable=SC2086  # a list of words
"$venv/bin/pip" install --quiet --disable-pip-version-check $wanted
echo "$wanted" >"$venv/wanted"
