#!/usr/bin/env bash
# The main job from end to end on loopback: simulated switches, polls, the log, slices, files, the ledger.
# Everything it makes lies in ./demo, which it starts afresh; it ends the simulators that it started.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

step() { printf '\n== %s\n' "$*"; }
show() { printf '\n$ %s\n' "$*"; "$@"; }

step "building"
cargo build --workspace --locked --bins
PATH=$root/target/debug:$PATH

rm -rf demo
mkdir demo
cd demo

step "starting simulated EnergyWise switches on loopback (one of the four never answers)"
simulators=()
stop() { [ ${#simulators[@]} -eq 0 ] || kill "${simulators[@]}" 2>/dev/null || true; }
trap stop EXIT
simulate() { # DOMAIN FILE [OPTION]…
    local domain=$1 file=$2
    shift 2
    ew-sim snmp --switches 2 --domain "$domain" --drift --for 5m "$@" >"$file" &
    simulators+=($!)
    for _ in $(seq 100); do
        grep -q '^ready$' "$file" && return
        sleep 0.1
    done
    echo "the simulator of $domain did not start" >&2
    exit 1
}
simulate com.example.hq hq.txt
simulate com.example.hq.floor1 floor1.txt --seed 7 --fault silent=sw0002
cat hq.txt floor1.txt

step "ew.toml for them"
port() { awk -v name="$2" '$1 == name { sub(".*:", "", $2); print $2 }' "$1"; }
cat >ew.toml <<TOML
site = "hq"

[snmp]
timeout = "300ms"
retries = 1

[[domain]]
name = "com.example.hq"
  [[domain.switch]]
  name = "sw1"
  address = "127.0.0.1"
  port = $(port hq.txt sw0001)
  [[domain.switch]]
  name = "sw2"
  address = "127.0.0.1"
  port = $(port hq.txt sw0002)

[[domain]]
name = "com.example.hq.floor1"
  [[domain.switch]]
  name = "sw1"
  address = "127.0.0.1"
  port = $(port floor1.txt sw0001)
  [[domain.switch]]
  name = "sw2"
  address = "127.0.0.1"
  port = $(port floor1.txt sw0002)

[[export]]
name = "utility"
points = ["com.example.**"]
period = "5s"
  [export.format.csv]
  [export.transport.file]
  directory = "utility"

[[export]]
name = "landlord"
points = ["com.example.hq"]
period = "5s"
  [export.format.xml]
  info = "hq"
  pretty_format = true
  [export.transport.file]
  directory = "landlord"
TOML
cat ew.toml
show ew-poll --check

step "polling four times; a missing answer is null and partial, never zero, and the exit code is 1"
for _ in 1 2 3 4; do
    status=0
    show ew-poll --skip-cache || status=$?
    [ "$status" -eq 1 ] || { echo "ew-poll ended with $status, not 1" >&2; exit 1; }
    sleep 2.5
done
# The last slot closes.
sleep 5

step "the readings"
show ew-log points
show ew-log slice --from first --to last --point com.example.hq

step "the slices that are due"
show ew-export --breakup-on-period --dry-run

step "exporting them"
show ew-export --breakup-on-period

step "the files"
for file in utility/* landlord/*; do
    printf '\n-- demo/%s\n' "$file"
    cat "$file"
done

step "what the ledger knows"
show ew-ledger list
show ew-ledger status

step "done: everything lies in ./demo"
