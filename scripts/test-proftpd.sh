#!/usr/bin/env bash
# ProFTPD with mod_sftp and mod_tls, a second SFTP and a second FTPS server for the tests: unpacked under target/test-proftpd, not installed, so that
# a machine's own FTP server is left alone. Made anew when the list changes.
set -euo pipefail
cd "$(dirname "$0")/.."

# The server, its modules of SFTP and TLS, and those of their libraries that a Debian 12 machine may lack.
wanted="proftpd-core proftpd-mod-crypto libhiredis0.14 libmemcachedutil2 libmemcached11 libhashkit2 libpcre2-posix3"
wanted+=" libsodium23 libidn2-0 libunistring2 libcap2"
home=target/test-proftpd

[ "$(cat "$home/wanted" 2>/dev/null || true)" = "$wanted" ] && exit 0
rm -rf "$home"
mkdir -p "$home/packages" "$home/libraries"
cd "$home/packages"
# shellcheck disable=SC2086  # a list of words
fetch() { apt-get download -qq -o APT::Sandbox::User=root $wanted >log 2>&1; }
# The index may be older than the archive, or not there at all.
fetch || { [ "$(id -u)" -eq 0 ] && apt-get update -qq >log 2>&1 && fetch; } || {
    cat log >&2
    echo "$0: ProFTPD's packages cannot be fetched; is the apt index old? (apt-get update)" >&2
    exit 1
}
for package in *.deb; do
    dpkg-deb --extract "$package" ..
done
cd ..
find lib usr/lib -path '*-linux-*' -name '*.so*' -exec mv -t libraries {} +
if LD_LIBRARY_PATH=$PWD/libraries ldd usr/sbin/proftpd usr/lib/proftpd/mod_{sftp,tls}.so | grep 'not found' >&2; then
    echo "$0: libraries of ProFTPD are missing" >&2
    exit 1
fi
rm -rf packages etc lib var usr/share
echo "$wanted" >wanted
