# shellcheck shell=bash
# Sourced after common.sh by the test scripts: counting, and a cluster for the length of a script.

# shellcheck source=scripts/lib/tree.sh
. scripts/lib/tree.sh

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

# skipped NAME WHY: neither; said, so that nobody takes it for tested.
skipped() { printf '    skipped %s: %s\n' "$1" "$2"; }

# missing_engine FILE: the first engine that this Postgres lacks of those that FILE asks for near its beginning, in
# a comment "Needs: CREATE EXTENSION …;".
missing_engine() {
    local engine
    while read -r engine; do
        if [ "$engine" != lake_stores ] && ! has_engine "$TREE" "$engine"; then echo "$engine"; return; fi
    done < <(sed -n '1,10{/[Nn]eeds: /s/CREATE EXTENSION/\n&/gp}' "$1" | sed -n 's/^CREATE EXTENSION \([a-z_]*\).*/\1/p')
}

# lacks FILE: does it need an engine that isn't here? Says so.
lacks() {
    local engine
    engine=$(missing_engine "$1")
    [ -n "$engine" ] && skipped "$1" "PostgreSQL $PG comes without $engine here"
}

# no_warnings LOG: a compiler's warning, of any version, is a failure.
no_warnings() {
    if grep -qE '^warning' "$1"; then
        grep -E -A 8 '^warning' "$1" >"$1.warnings"
        failed "warnings of the compiler" "$1.warnings"
    fi
}

# cargo_tests NAME LOG COMMAND…: runs something that ends in cargo test's summaries and counts what they say. Tests
# that lack an engine count as passed there, but leave a line "ENGINE TEST" in the file LAKE_SKIPPED.
cargo_tests() {
    local name=$1 log=$2 status=0 good bad left_out
    shift 2
    RUST_BACKTRACE=0 "$@" >"$log" 2>&1 || status=$?
    good=$(awk '/^test result:/ { n += $4 } END { print n + 0 }' "$log")
    bad=$(awk '/^test result:/ { n += $6 } END { print n + 0 }' "$log")
    left_out=$(sort -u "${LAKE_SKIPPED:-/dev/null}" 2>/dev/null || true)
    good=$((good - $(grep -c . <<<"$left_out" || true)))
    # A crash or a compile error has no summary of its own.
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    if [ -n "$LAKE_RESULTS" ]; then echo "$good $bad" >>"$LAKE_RESULTS"; fi
    if [ "$bad" -eq 0 ]; then
        printf '    ok      %s (%s tests)\n' "$name" "$good"
        if [ -n "$left_out" ]; then
            skipped "$(grep -c . <<<"$left_out") tests" \
                "PostgreSQL $PG comes without $(awk '{ print $1 }' <<<"$left_out" | sort -u | paste -sd ' ' | sed 's/ / and /g') here"
        fi
    else
        failures=$((failures + bad))
        printf '    FAILED  %s (%s of %s tests)\n' "$name" "$bad" "$((good + bad))"
        { grep -E -A 8 '^test .*FAILED$|^error(\[|:)|panicked at' "$log" || true; } | head -n 60 | cut -c1-300 | sed 's/^/        /'
        note "whole output: $log"
    fi
    no_warnings "$log"
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

# fresh_database NAME: with every engine there is and the extension.
fresh_database() {
    psql -X -q -d postgres -v ON_ERROR_STOP=1 -c "DROP DATABASE IF EXISTS $1" -c "CREATE DATABASE $1" 2>/dev/null
    local engine commands=()
    for engine in vector postgis timescaledb; do
        if has_engine "$TREE" "$engine"; then commands+=(-c "CREATE EXTENSION $engine"); fi
    done
    PGOPTIONS='-c client_min_messages=warning' psql -X -q -d "$1" -v ON_ERROR_STOP=1 \
        "${commands[@]}" -c 'CREATE EXTENSION lake_stores'
}

finish() { [ "$failures" -eq 0 ]; }
