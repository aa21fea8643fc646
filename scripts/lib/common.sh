# shellcheck shell=bash
# Sourced by every script: where things lie, which Postgres it is about, and how to say things.
#
# What a caller may set:
#   PG                the major version; default: the newest one this system has or can get with all engines
#   LAKE_CACHE        what is made once per machine: engines, cargo-pgrx, data
#   CARGO_TARGET_DIR  build output; the clone's own target/ unless set

set -euo pipefail
# As root, the user postgres has to read what is made here.
umask 022

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export REPO
cd "$REPO"

PGRX_VERSION=0.18.1

if [ "$(id -u)" -eq 0 ]; then
    : "${LAKE_CACHE:=/var/cache/lake_stores}"
else
    : "${LAKE_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/lake_stores}"
fi
: "${CARGO_TARGET_DIR:=$REPO/target}"
export LAKE_CACHE CARGO_TARGET_DIR

say()  { printf '\033[1m==> %s\033[0m\n' "$*"; }
note() { printf '    %s\n' "$*"; }
die()  { printf 'error: %s\n' "$*" >&2; exit 1; }

# have COMMAND…: are they all there?
have() { command -v "$@" >/dev/null 2>&1; }

# as_root COMMAND…: runs it as root, through sudo for others.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# as_postgres COMMAND…: Postgres refuses to run as root, so root becomes `postgres`; others stay who they are.
as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && exec runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

# own DIR…: makes directories that as_postgres may write to.
own() {
    mkdir -p "$@"
    if [ "$(id -u)" -eq 0 ]; then chown postgres: "$@"; fi
}

# --- the system, and where its Postgres comes from ---------------------------------------------------------

# "debian 12", "ubuntu 24.04", …; testing and sid have no number and count as the next release.
system_id() {
    # shellcheck source=/dev/null
    (. /etc/os-release 2>/dev/null && echo "${ID:-unknown} ${VERSION_ID:-testing}") || echo "unknown unknown"
}

# version_column PG NUMBER: a column of versions.tsv. Fails for a version that isn't there.
version_column() {
    awk -F'\t' -v pg="$1" -v n="$2" '$1 == pg { print $n; found = 1 } END { exit !found }' "$REPO/scripts/lib/versions.tsv"
}

# engine_version PG EXTENSION: the version of it that PG is tested with, or "-".
engine_version() {
    case $2 in
        vector) version_column "$1" 5 ;;
        timescaledb) version_column "$1" 6 ;;
        postgis) version_column "$1" 7 ;;
    esac
}

# The supported versions, oldest first.
supported_versions() { awk -F'\t' '/^[0-9]/ { print $1 }' "$REPO/scripts/lib/versions.tsv"; }

# recipe PG: how this system itself gets that version (see versions.tsv); fails where it can't.
recipe() {
    local system
    system=$(version_column "$1" 2) || return 1
    case $system in
        "$(system_id)") ;;
        '*') [ "$(uname -sm)" = "Linux x86_64" ] || return 1 ;;
        *) return 1 ;;
    esac
    version_column "$1" 3
}

# The versions this system itself can have, newest first.
known_versions() {
    local version
    for version in $(supported_versions | sort -r); do
        if recipe "$version" >/dev/null; then echo "$version"; fi
    done
}

# The one that is set up unless another is asked for: the system's own Postgres, with all engines.
default_version() {
    local version
    for version in $(known_versions); do
        if [ "$(recipe "$version")" != wheel ]; then echo "$version"; return; fi
    done
    known_versions | head -n 1
}

: "${PG:=$(default_version)}"
export PG
export LOGS="$CARGO_TARGET_DIR/lake-logs/pg$PG"

# root_suite PG: the Debian release to make a root of for that version; fails where there is none.
root_suite() {
    local suite
    suite=$(version_column "$1" 4) && [ "$suite" != - ] && echo "$suite"
}

# On Debian, versions that it doesn't have run in a Debian root of their own: there this same script starts again.
if [ -z "${LAKE_IN_ROOT:-}" ] && [[ $(system_id) == debian* ]] && ! recipe "$PG" >/dev/null && suite=$(root_suite "$PG"); then
    exec "$REPO/scripts/root" "$suite" "scripts/$(basename "$0")" "$@"
fi

# --- one build's own Postgres ------------------------------------------------------------------------------

# reachable DIR: can every user of the machine get into it (or into what will be made there)?
reachable() {
    local dir=$1
    while [ "$dir" != / ]; do
        if [ -e "$dir" ] && [[ $(stat -c %A "$dir") != *[xt] ]]; then return 1; fi
        dir=$(dirname "$dir")
    done
}

# Where this build's Postgres tree, clusters and sockets lie: in the build directory, unless a socket's path
# would be too long (107 bytes) or the user `postgres` could not get there.
run_dir() {
    local dir="$CARGO_TARGET_DIR/lake"
    if [ ${#dir} -gt 70 ] || { [ "$(id -u)" -eq 0 ] && ! reachable "$dir"; }; then
        dir="/var/tmp/lake-$(id -u)-$(printf %s "$CARGO_TARGET_DIR" | sha256sum | cut -c1-8)"
    fi
    echo "$dir"
}

RUN=$(run_dir)
if [[ $RUN == /var/tmp/* ]]; then
    if [ -e "$RUN" ] && [ "$(stat -c %u "$RUN")" != "$(id -u)" ]; then
        die "$RUN belongs to somebody else"
    fi
fi
TREE="$RUN/pg$PG"
# The place of its programs, in any tree.
PGBIN_IN_TREE="usr/lib/postgresql/$PG/bin"
PGBIN="$TREE/$PGBIN_IN_TREE"
export RUN TREE PGBIN PGBIN_IN_TREE

# What cargo and cargo-pgrx need to know. The path of pg_config goes into the fingerprint of the bindings, so it
# depends on the build directory only.
export PGRX_HOME="$RUN/pgrx$PG"
if [ "$(uname -m)" = x86_64 ]; then
    # Not needed here, and its flags would have every dependency compiled a second time (see .cargo/config.toml,
    # which cargo does not apply to its subcommands).
    export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND=1
fi
export PATH="$LAKE_CACHE/cargo-pgrx-$PGRX_VERSION/bin:$PATH"
VENV="$LAKE_CACHE/python"
export VENV
