# shellcheck shell=bash
# Sourced after common.sh: the name of the cached Postgres tree.

# cached_tree: where the tree for PG lies; the name tells what is in it.
cached_tree() {
    local packages=("postgresql-$PG" "postgresql-server-dev-$PG" "postgresql-$PG-postgis-3")
    if [ "$(recipe "$PG")" = packages ]; then
        packages+=("postgresql-$PG-pgvector" "postgresql-$PG-timescaledb")
    fi
    local key
    key=$({
        # shellcheck disable=SC2016 # dpkg-query's own variables
        dpkg-query -W -f '${Package} ${Version} ${Architecture}\n' "${packages[@]}"
        cat "$REPO/scripts/setup-engines"
    } | sha256sum | cut -c1-12)
    echo "$LAKE_CACHE/pg$PG-$key"
}

# copy_tree FROM TO: hard links where the file system allows it, so that it takes no time and no room. Files that
# are installed later replace the links, they don't write through them.
copy_tree() {
    rm -rf "$2.new"
    mkdir -p "$(dirname "$2")"
    cp -al "$1" "$2.new" 2>/dev/null || { rm -rf "$2.new"; cp -a "$1" "$2.new"; }
    rm -rf "$2"
    mv "$2.new" "$2"
}
