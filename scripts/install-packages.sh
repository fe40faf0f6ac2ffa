#!/usr/bin/env bash
# Installs the Debian packages that are missing: `build` for the programs, `test` for the real servers and
# parsers that the tests hold them against. As root or by sudo; else it prints the command and stops.
# Rust itself (cargo) is not installed here.
set -euo pipefail

build=(make gcc libc6-dev pkg-config libssl-dev zlib1g-dev)
test=(openssh-server openssh-client openssh-sftp-server snmpd snmp libxml2-utils curl nginx-light
    libnginx-mod-http-dav-ext sqlite3 python3 python3-venv openssl zstd vsftpd msmtp
    gpg gpg-agent rsync rclone libnss-wrapper jq procps systemd man-db bash zsh fish util-linux mount)

case "${1:-}" in
    build) wanted=("${build[@]}") ;;
    test) wanted=("${build[@]}" "${test[@]}") ;;
    *) echo "usage: $0 build|test" >&2; exit 2 ;;
esac

command -v cargo >/dev/null || { echo "$0: cargo is missing; install the Rust toolchain (1.89 or later)" >&2; exit 1; }

missing=()
for package in "${wanted[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

install="apt-get update -qq && apt-get install -y -qq --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -eq 0 ]; then
    run=(env DEBIAN_FRONTEND=noninteractive bash -c "$install")
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    run=(sudo -n env DEBIAN_FRONTEND=noninteractive bash -c "$install")
else
    echo "$0: packages are missing and this user cannot install them; run as root:" >&2
    echo "  $install" >&2
    exit 1
fi
echo "installing: ${missing[*]}"
"${run[@]}" >/dev/null
