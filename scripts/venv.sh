#!/usr/bin/env bash
# Python packages in an environment of their own, made anew when the list changes: venv.sh FOLDER PACKAGE…
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$1 wanted="${*:2}"
[ "$(cat "$venv/wanted" 2>/dev/null || true)" = "$wanted" ] && exit 0
rm -rf "$venv"
python3 -m venv "$venv" || { echo "$0: python3 has no venv (Debian: python3-venv)" >&2; exit 1; }
"$venv/bin/pip" install --quiet --disable-pip-version-check "${@:2}"
echo "$wanted" >"$venv/wanted"
