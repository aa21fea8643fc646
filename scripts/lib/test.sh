# shellcheck shell=bash
# Sourced after common.sh by the test scripts: counting, and a cluster for the length of a script.

mkdir -p "$LOGS"
: "${LAKE_RESULTS:=}"

# passed NAME, failed NAME [LOG]: one test; its line on the screen, its count for the end.
passed() {
    printf '    ok      %s\n' "$1"
    if [ -n "$LAKE_RESULTS" ]; then echo "1 0" >>"$LAKE_RESULTS"; fi
}
failures=0
failed() {
    printf '    FAILED  %s\n' "$1"
    failures=$((failures + 1))
    if [ -n "${2:-}" ]; then
        tail -n 60 "$2" | sed 's/^/        /'
        note "whole output: $2"
    fi
    if [ -n "$LAKE_RESULTS" ]; then echo "0 1" >>"$LAKE_RESULTS"; fi
}

# cargo_tests NAME LOG COMMAND…: runs something that ends in cargo test's summaries and counts what they say.
cargo_tests() {
    local name=$1 log=$2 status=0 good bad
    shift 2
    RUST_BACKTRACE=0 "$@" >"$log" 2>&1 || status=$?
    good=$(awk '/^test result:/ { n += $4 } END { print n + 0 }' "$log")
    bad=$(awk '/^test result:/ { n += $6 } END { print n + 0 }' "$log")
    # A crash or a compile error has no summary of its own.
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    if [ -n "$LAKE_RESULTS" ]; then echo "$good $bad" >>"$LAKE_RESULTS"; fi
    if [ "$bad" -eq 0 ]; then
        printf '    ok      %s (%s tests)\n' "$name" "$good"
    else
        failures=$((failures + bad))
        printf '    FAILED  %s (%s of %s tests)\n' "$name" "$bad" "$((good + bad))"
        { grep -E -A 8 '^test .*FAILED$|^error(\[|:)|panicked at' "$log" || true; } | head -n 60 | cut -c1-300 | sed 's/^/        /'
        note "whole output: $log"
    fi
}

# own_cluster NAME [SETTING…]: starts one and stops it when the script ends, however it ends.
own_cluster() {
    cluster=$1
    trap 'scripts/cluster stop "$cluster"' EXIT
    trap 'exit 130' INT TERM
    scripts/cluster start "$@"
    PGHOST=$(scripts/cluster socket "$cluster")
    export PGHOST PGUSER=postgres PGPORT=5432
    # Nothing of the caller's own configuration gets in.
    unset PGDATABASE PGSERVICE PGOPTIONS PGTZ PGDATESTYLE
    export PSQLRC=/dev/null PGCLIENTENCODING=UTF8 PATH="$PGBIN:$PATH"
}

# fresh_database NAME: with every engine and the extension.
fresh_database() {
    psql -X -q -d postgres -v ON_ERROR_STOP=1 -c "DROP DATABASE IF EXISTS $1" -c "CREATE DATABASE $1" 2>/dev/null
    PGOPTIONS='-c client_min_messages=warning' psql -X -q -d "$1" -v ON_ERROR_STOP=1 \
        -c 'CREATE EXTENSION vector' -c 'CREATE EXTENSION postgis' \
        -c 'CREATE EXTENSION timescaledb' -c 'CREATE EXTENSION lake_stores'
}

finish() { [ "$failures" -eq 0 ]; }
