#!/usr/bin/env bash
# Postfix for the tests of mail, unpacked into target/test-postfix and not installed: installed it would take the
# place of this machine's own mail server. Of its libraries come along those that this machine lacks. Made anew
# when the list changes.
#
# Postfix runs under a user and a group of its own, which are made here where they are missing: as root or by sudo.
set -euo pipefail
cd "$(dirname "$0")/.."

programs=(postfix sasl2-bin libsasl2-modules libsasl2-modules-db)
root=target/test-postfix

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
account() {
    "${as_root[@]}" "$@" || { echo "$0: for the tests of mail, run as root: $*" >&2; exit 1; }
}
getent group postdrop >/dev/null || account groupadd --system postdrop
getent passwd postfix >/dev/null ||
    account useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin postfix

[ "$(cat "$root/wanted" 2>/dev/null || true)" = "${programs[*]}" ] && exit 0
rm -rf "$root"
mkdir -p "$root/packages"

# What an installation would add here, by which nothing is installed.
lacking() {
    LC_ALL=C apt-get install --simulate --no-install-recommends "${programs[@]}" |
        awk '$1 == "Inst" && $2 ~ /^lib/ { print $2 }'
}
get() {
    local packages
    packages=$(lacking) || return
    # shellcheck disable=SC2086  # a list of words
    (cd "$root/packages" && printf '%s\n' "${programs[@]}" $packages | sort -u |
        xargs apt-get -o APT::Sandbox::User=root download -qq)
}
# An index that is missing, or older than the mirror.
get 2>/dev/null || { "${as_root[@]}" apt-get update -qq && get; } ||
    { echo "$0: cannot get the packages ${programs[*]}" >&2; exit 1; }
for package in "$root"/packages/*.deb; do dpkg -x "$package" "$root"; done
rm -r "$root/packages"
echo "${programs[*]}" >"$root/wanted"
