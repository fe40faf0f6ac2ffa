#!/usr/bin/env bash
# A foreign client against `ew-sim cgate`: the real one of homebridge-cbus, which shares nothing with ew. It is in no
# package, so its checkout comes from $EW_HOMEBRIDGE_CBUS or from its repository, pinned. Where it cannot be had this says
# why and ends well: the simulator's own tests hold without it.
set -euo pipefail
cd "$(dirname "$0")/.."

commit=8158d9521856e45da6319a215cf97ace669a8e85
not_run() { echo "homebridge-cbus against ew-sim cgate: not run: $1"; exit 0; }

for program in node npm git timeout; do
    command -v "$program" >/dev/null || not_run "$program is missing"
done
checkout=${EW_HOMEBRIDGE_CBUS:-target/homebridge-cbus}
if [ ! -e "$checkout/package.json" ]; then
    [ -z "${EW_HOMEBRIDGE_CBUS:-}" ] || not_run "$checkout is no checkout"
    rm -rf "$checkout"
    git init --quiet "$checkout"
    GIT_TERMINAL_PROMPT=0 timeout 60 git -C "$checkout" fetch --quiet --depth 1 \
        https://github.com/anthonywebb/homebridge-cbus "$commit" 2>/dev/null || not_run "its repository is out of reach"
    git -C "$checkout" checkout --quiet FETCH_HEAD
fi
if [ ! -d "$checkout/node_modules" ]; then
    (cd "$checkout" && timeout 120 npm install --ignore-scripts --omit=dev --no-audit --no-fund --loglevel=error) \
        >/dev/null 2>&1 || not_run "what it needs cannot be installed by npm"
fi

[ -x target/debug/ew-sim ] || cargo build --locked --quiet -p ew-sim
coproc SIM { exec target/debug/ew-sim cgate --for 60s; }
# shellcheck disable=SC2064,SC2154  # that process, whatever becomes of the variable
trap "kill $SIM_PID 2>/dev/null || true" EXIT
read -r _ address _ <&"${SIM[0]}"
told=$(timeout 30 node fixtures/homebridge_client.js "$(realpath "$checkout")" "${address##*:}")
expected='{"stats":{"numApplications":4,"numGroups":6,"numUnits":5},"groups":["//HOME/253/56/1","//HOME/254/202/7","//HOME/254/56/1","//HOME/254/56/2","//HOME/254/56/3","//HOME/254/56/40"],"tag":"Kitchen & hall","before":50,"after":100}'
if [ "$told" != "$expected" ]; then
    printf 'homebridge-cbus against ew-sim cgate:\n  told     %s\n  expected %s\n' "$told" "$expected" >&2
    exit 1
fi
echo "homebridge-cbus against ew-sim cgate: it reads the database, reads a level, sets it and reads it back"
