# shellcheck shell=bash
# Sourced after common.sh: Postgres trees, where they lie and what is in them.

# cached_tree: where the tree for PG lies; the name tells what is in it.
cached_tree() {
    local packages=("postgresql-$PG" "postgresql-server-dev-$PG" "postgresql-$PG-postgis-3") key
    case $(recipe "$PG") in
        packages) packages+=("postgresql-$PG-pgvector" "postgresql-$PG-timescaledb") ;;
        wheel)    packages=() ;;
    esac
    key=$({
        if [ ${#packages[@]} -gt 0 ]; then
            # shellcheck disable=SC2016 # dpkg-query's own variables
            dpkg-query -W -f '${Package} ${Version} ${Architecture}\n' "${packages[@]}"
        fi
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

# has_engine TREE EXTENSION: is it in there?
has_engine() { grep -q "^$2 " "$1/complete"; }

# extension_dir TREE, library_dir TREE: where extensions' scripts and libraries lie in it.
extension_dir() { echo "$("$1/$PGBIN_IN_TREE/pg_config" --sharedir)/extension"; }
library_dir() { "$1/$PGBIN_IN_TREE/pg_config" --pkglibdir; }

# copy_extension FROM TO: the installed lake_stores, from one tree into another.
copy_extension() {
    cp "$(extension_dir "$1")"/lake_stores* "$(extension_dir "$2")/"
    cp "$(library_dir "$1")"/lake_stores* "$(library_dir "$2")/"
}
