#!/usr/bin/env bash
# Installs the programs, their man pages and completions, and the units or the crontab. Users, timers and
# crontabs are left to the administrator; what to do next is said at the end.
set -euo pipefail

usage() {
    cat <<EOF
usage: $0 [--dry-run] [--prefix DIR] [--systemd | --cron] [--programs DIR] [--docs DIR]

  --dry-run       say each step, do nothing
  --prefix DIR    install below DIR [default: /usr/local]
  --systemd       also the services and timers, not enabled
  --cron          also the crontab, to paste
  --programs DIR  the built programs [default: a release build, made here if cargo is there]
  --docs DIR      what generate-docs.sh wrote [default: target/docs, made here if cargo is there]

With DESTDIR in the environment everything goes below it; cargo features in FEATURES are built in. /etc/ew/ew.toml is written only where it is not there.
EOF
}

wrong() {
    echo "$0: $1" >&2
    usage >&2
    exit 2
}

dry_run=false prefix=/usr/local repeat= programs= docs=
while [ $# -gt 0 ]; do
    case "$1" in
        --dry-run) dry_run=true ;;
        --systemd | --cron)
            [ -z "$repeat" ] || [ "$repeat" = "$1" ] || wrong "--systemd and --cron: one of them polls, not both"
            repeat=$1
            ;;
        --prefix | --programs | --docs)
            [ -n "${2:-}" ] || wrong "$1 needs a directory"
            case "$1" in
                --prefix) prefix=$2 ;;
                --programs) programs=$2 ;;
                --docs) docs=$2 ;;
            esac
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) wrong "unknown option $1" ;;
    esac
    shift
done
prefix=${prefix%/}
# It is written into units and the crontab.
case "$prefix" in
    *[!A-Za-z0-9/._-]*) wrong "--prefix takes letters, digits and /._- only" ;;
    "" | /*) ;;
    *) wrong "--prefix must be an absolute path" ;;
esac
destdir=${DESTDIR:-}
destdir=${destdir%/}

for given in "$programs" "$docs"; do
    [ -z "$given" ] || [ -d "$given" ] || { echo "$0: there is no directory $given" >&2; exit 1; }
done
[ -z "$programs" ] || programs=$(cd "$programs" && pwd)
[ -z "$docs" ] || docs=$(cd "$docs" && pwd)
cd "$(dirname "$0")/.."

names=(ew-poll ew-cbus ew-log ew-export ew-ledger ew-sim)

step() { # DESCRIPTION COMMAND [ARGUMENT]...
    echo "$1"
    shift
    "$dry_run" || "$@"
}

replace() { # MODE FROM TO: at once, so that a run that starts meanwhile finds the old file or the new one
    install -D -m "$1" "$2" "$3.new"
    mv -f "$3.new" "$3"
}

put() { # MODE FROM TO: a file that is the same already is left alone
    local to=$destdir$3
    if cmp -s "$2" "$to"; then
        echo "unchanged  $to"
    else
        step "install    $to" replace "$1" "$2" "$to"
    fi
}

edited=$(mktemp)
trap 'rm -f "$edited"' EXIT
put_edited() { # FROM TO: with the directories of this installation written into it
    sed -e "s|/usr/local/bin|$prefix/bin|g" -e 's|^url = "ew.db" |url = "/var/lib/ew/ew.db" |' "$1" >"$edited"
    put 644 "$edited" "$2"
}

# Building, and only what was not given. Under sudo there often is no cargo: then what was built before is taken.
build() { # DIRECTORY WITNESS COMMAND...
    local directory=$1 witness=$2
    shift 2
    if command -v cargo >/dev/null; then
        step "build      $directory" "$@"
    elif [ ! -e "$directory/$witness" ]; then
        echo "$0: $directory is not built and cargo is not on this PATH; as a user who has it, run: make build" >&2
        exit 1
    fi
}
if [ -z "$programs" ]; then
    programs=target/release
    build "$programs" ew-poll cargo build --release --locked --workspace --bins ${FEATURES:+--features "$FEATURES"}
fi
if [ -z "$docs" ]; then
    docs=target/docs
    build "$docs" man/ew-poll.1 scripts/generate-docs.sh "$docs" --release
fi

if ! "$dry_run"; then
    for file in "${names[@]/#/$programs/}" "$docs/man/ew-poll.1"; do
        [ -f "$file" ] || { echo "$0: there is no $file" >&2; exit 1; }
    done
fi

for name in "${names[@]}"; do
    put 755 "$programs/$name" "$prefix/bin/$name"
done

share() { # FROM-FOLDER TO-FOLDER: every file in it
    local file
    # A dry run may come before the first build.
    for file in "$docs/$1"/*; do
        put 644 "$file" "$prefix/share/$2/${file##*/}"
    done
}
share man man/man1
share bash bash-completion/completions
share zsh zsh/site-functions
share fish fish/vendor_completions.d

if [ -e "$destdir/etc/ew/ew.toml" ]; then
    echo "kept       $destdir/etc/ew/ew.toml"
else
    put_edited fixtures/ew.toml /etc/ew/ew.toml
fi
put_edited fixtures/ew.toml "$prefix/share/doc/ew/ew.toml"

next=(
    "useradd --system --user-group --home-dir /var/lib/ew --shell /usr/sbin/nologin ew   # unless there is one"
    "chown root:ew /etc/ew/ew.toml && chmod 640 /etc/ew/ew.toml   # it may hold secrets"
    "edit /etc/ew/ew.toml, then: $prefix/bin/ew-export --config /etc/ew/ew.toml --check"
)
case "$repeat" in
    --systemd)
        # systemd reads units in these two places; /etc is left to the administrator's drop-ins.
        units=/usr/local/lib/systemd/system
        [ "$prefix" != /usr ] || units=/usr/lib/systemd/system
        for unit in scripts/systemd/*; do
            put_edited "$unit" "$units/${unit##*/}"
        done
        next+=("systemctl daemon-reload && systemctl enable --now ew-poll.timer ew-export.timer ew-trim.timer")
        ;;
    --cron)
        put_edited scripts/crontab "$prefix/share/ew/crontab"
        next+=("install -d -o ew -g ew -m 750 /var/lib/ew" "paste $prefix/share/ew/crontab: crontab -u ew -e")
        ;;
esac

echo
if "$dry_run"; then echo "dry run: nothing was done; after the installation, as root:"; else echo "next, as root:"; fi
printf '  %s\n' "${next[@]}"
