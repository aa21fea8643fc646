//! Declarative range partitions as chunks.
//!
//! A chunk is made as a table of its own and then attached: `ATTACH PARTITION` lets readers and
//! writers of the parent go on, `CREATE TABLE … PARTITION OF` would stop them. There is no default
//! partition. Writers who need a new chunk take turns through the lock that attaching needs anyway,
//! and look again when they have it.
//!
//! Chunks are made in the name of the table's owner, whoever writes: a role that may insert into the
//! store needs no right to create tables. What it can cause is bounded by the store's `max_future`
//! and `max_past` and by [`MAX_NEW_CHUNKS`].

use crate::access;
use crate::catalog::Store;
use crate::error::{Error, Result};
use crate::names::{self, MAX_IDENT, Relation};
use crate::series::backend::Chunk;
use crate::series::{identity, options};
use crate::spi;
use crate::workers::waits::Wait;
use lake_chunks::Micros;
use lake_chunks::range::{self, Range, Width};
use pgrx::{PgSqlErrorCode, pg_sys};

/// How many chunks one call may make. Each takes locks that are held to the end of the transaction,
/// and a server has room for some thousands.
pub const MAX_NEW_CHUNKS: usize = 1_000;

/// Every partition, oldest first. Bounds of `date` and `timestamp` columns are read as UTC.
pub fn chunks(table: &Relation) -> Result<Vec<Chunk>> {
    let settings = spi::LocalSettings::new();
    settings.set("TimeZone", "UTC");
    settings.set("DateStyle", "ISO, YMD");
    spi::rows(
        "SELECT p.oid, p.nspname, p.relname, \
                substring(p.bound FROM 'FROM [(]''([^'']+)''[)]')::pg_catalog.timestamptz, \
                substring(p.bound FROM 'TO [(]''([^'']+)''[)]')::pg_catalog.timestamptz, \
                p.rows, p.bytes, p.relowner, p.before, p.after \
         FROM (SELECT c.oid, n.nspname::text, c.relname::text, c.relowner, \
                      pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound, \
                      COALESCE(t.rows + s.rows, s.rows, t.rows) AS rows, t.bytes + COALESCE(s.after, 0) AS bytes, \
                      s.before, s.after \
               FROM pg_catalog.pg_inherits i \
               JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               CROSS JOIN LATERAL ( \
                   SELECT pg_catalog.sum(NULLIF(l.reltuples, -1))::int8 AS rows, \
                          COALESCE(pg_catalog.sum(pg_catalog.pg_total_relation_size(l.oid)), 0)::int8 AS bytes \
                   FROM pg_catalog.pg_partition_tree(c.oid) pt \
                   JOIN pg_catalog.pg_class l ON l.oid = pt.relid) t \
               LEFT JOIN LATERAL ( \
                   SELECT s.rows, s.bytes_before AS before, \
                          pg_catalog.pg_total_relation_size(s.batches::pg_catalog.regclass) AS after \
                   FROM _lake.series_compressed s WHERE s.chunk = c.oid \
                     AND s.storage = c.relfilenode AND s.batches IS NOT NULL) s ON true \
               WHERE i.inhparent = $1 AND NOT i.inhdetachpending) p \
         ORDER BY 5 NULLS LAST, 4, p.oid",
        &[table.oid.into()],
        Chunk::read,
    )
}

/// The ranges that partitions cover, sorted; straight from the relation cache, where they lie sorted.
/// The table must be partitioned by range on one `timestamptz` column.
fn ranges(table: pg_sys::Oid) -> Vec<Range> {
    // SAFETY: the relation is open for as long as its partition descriptor is read; the arrays have
    // the lengths that go with them (`indexes` one more than `datums`), each bound has one column.
    unsafe {
        let relation = pg_sys::table_open(table, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let mut ranges = Vec::new();
        let partitions = pg_sys::RelationGetPartitionDesc(relation, true);
        if let Some(bounds) = (*partitions).boundinfo.as_ref() {
            let count = usize::try_from(bounds.ndatums).unwrap_or(0);
            let edge = |i: usize| match **bounds.kind.add(i) {
                pg_sys::PartitionRangeDatumKind::PARTITION_RANGE_DATUM_MINVALUE => Micros::MIN,
                pg_sys::PartitionRangeDatumKind::PARTITION_RANGE_DATUM_MAXVALUE => Micros::MAX,
                _ => (**bounds.datums.add(i)).value() as Micros,
            };
            for i in 1..count {
                if *bounds.indexes.add(i) >= 0 {
                    ranges.push(Range { start: edge(i - 1), end: edge(i) });
                }
            }
        }
        pg_sys::table_close(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        ranges
    }
}

/// Makes the chunks that rows at these instants (sorted) need and returns how many. 42501 for a role
/// that may not insert, 54000 for too many chunks at once.
pub fn ensure(store: &Store, instants: &[Micros]) -> Result<usize> {
    let Some(width) = options::chunk_width(store)? else { return Ok(0) };
    let wanted = range::missing(width, instants, &ranges(store.oid()));
    if wanted.is_empty() {
        return Ok(0);
    }
    if wanted.len() > MAX_NEW_CHUNKS {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!(
                "{}: the batch needs {} new chunks; one call makes at most {MAX_NEW_CHUNKS}",
                store.relation,
                wanted.len()
            ),
        )
        .hint(
            "Load it in parts that span less time, or make a store with a larger chunk_interval.",
        ));
    }
    let may_insert = spi::cached_one::<bool>(
        "SELECT pg_catalog.has_table_privilege($1::pg_catalog.oid, 'INSERT')",
        &[store.oid().into()],
    )?;
    if may_insert != Some(true) {
        return Err(Error::insufficient_privilege(format!(
            "permission denied for table {}",
            store.relation
        )));
    }
    let owner = access::owner_of(&store.relation)?;
    owner_may_create(&store.relation, owner)?;
    access::as_role(owner, || make(&store.relation, width, instants))
}

/// 42501, said so that whoever writes knows whom to ask.
pub fn owner_may_create(table: &Relation, owner: pg_sys::Oid) -> Result<()> {
    let refused = spi::cached_one::<String>(
        "SELECT pg_catalog.pg_get_userbyid($1)::pg_catalog.text \
         WHERE NOT pg_catalog.has_schema_privilege($1, $2, 'CREATE')",
        &[owner.into(), table.schema.as_str().into()],
    )?;
    let Some(owner) = refused else { return Ok(()) };
    let (schema, owner) = (names::ident(&table.schema), names::ident(&owner));
    Err(Error::insufficient_privilege(format!(
        "{table} needs a new chunk, and its owner {owner} may not create tables in schema {schema}"
    ))
    .hint(format!("GRANT CREATE ON SCHEMA {schema} TO {owner};")))
}

/// Runs as the owner of the table.
fn make(table: &Relation, width: Width, instants: &[Micros]) -> Result<usize> {
    // What ATTACH takes; here early, so that what is missing is seen by one session at a time.
    let waiting = Wait::begin();
    spi::execute(&format!("LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE"), &[])?;
    drop(waiting);
    let wanted = range::missing(width, instants, &ranges(table.oid));
    for range in &wanted {
        pgrx::check_for_interrupts!();
        make_one(table, &table.name, *range)?;
    }
    Ok(wanted.len())
}

/// Makes the chunks that rows at these instants (sorted) need in a new table, named as those of a table
/// called `base` are. The current user is the owner.
pub fn make_named(table: &Relation, base: &str, width: Width, instants: &[Micros]) -> Result<()> {
    for range in range::missing(width, instants, &ranges(table.oid)) {
        pgrx::check_for_interrupts!();
        make_one(table, base, range)?;
    }
    Ok(())
}

fn make_one(table: &Relation, base: &str, range: Range) -> Result<()> {
    let chunk = table.sibling(&free_name(table, base, range)?);
    let tablespace = spi::cached_one::<String>(
        "SELECT t.spcname::text FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace WHERE c.oid = $1",
        &[table.oid.into()],
    )?
    .map_or_else(String::new, |name| format!(" TABLESPACE {}", names::ident(&name)));
    spi::execute(
        &format!(
            "CREATE TABLE {chunk} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS \
             INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION){tablespace}"
        ),
        &[],
    )?;
    let bound = |instant| names::literal(&lake_chunks::text::format(instant));
    spi::execute(
        &format!(
            "ALTER TABLE {table} ATTACH PARTITION {chunk} FOR VALUES FROM ({}) TO ({})",
            bound(range.start),
            bound(range.end)
        ),
        &[],
    )?;
    let oid =
        spi::scalar("SELECT pg_catalog.to_regclass($1)::pg_catalog.oid", &[chunk.as_str().into()])?;
    identity::follow(table, &Relation::by_oid(oid)?)
}

/// Whether a relation of the schema has this name.
pub fn is_taken(schema: &str, name: &str) -> Result<bool> {
    spi::cached_one::<bool>(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1::pg_catalog.name AND c.relname = $2::pg_catalog.name)",
        &[schema.into(), name.into()],
    )
    .map(|taken| taken == Some(true))
}

/// A name that no relation of the schema has: `base`, cut to fit, and the range's start.
fn free_name(table: &Relation, base: &str, range: Range) -> Result<String> {
    let label = range::label(range);
    for attempt in 1..=100 {
        let label = if attempt == 1 { label.clone() } else { format!("{label}_{attempt}") };
        let name = range::chunk_name(base, &label, MAX_IDENT);
        if !is_taken(&table.schema, &name)? {
            return Ok(name);
        }
    }
    Err(Error::duplicate_object(format!(
        "no free name for a chunk of {table} in schema {}",
        names::ident(&table.schema)
    )))
}

/// Makes the first chunk that is missing among the one for `now` and those ahead of it; `None` where
/// all are there. The current user must be the owner.
pub fn make_ahead(store: &Store, now: Micros) -> Result<Option<Range>> {
    let Some(width) = options::chunk_width(store)? else { return Ok(None) };
    let missing =
        range::missing_ahead(width, now, options::chunks_ahead(store), &ranges(store.oid()));
    let Some(first) = missing.first() else { return Ok(None) };
    Ok((make(&store.relation, width, &[first.start])? > 0).then_some(*first))
}

/// Detaches and drops in one transaction, where detaching concurrently can't be. Detaching is what makes sure that it still is a chunk of the table: one that
/// somebody detached in the meantime, to keep it, is refused. Both need the parent to itself for a
/// moment; the caller has set `lock_timeout`.
pub fn drop_chunk(table: &Relation, chunk: &Chunk) -> Result<()> {
    spi::execute(&format!("ALTER TABLE {table} DETACH PARTITION {}", chunk.relation), &[])?;
    let now = Relation::by_oid(chunk.relation.oid)?;
    if now != chunk.relation {
        return Err(Error::not_in_prerequisite_state(format!(
            "chunk {} was renamed to {now} while it was to be dropped",
            chunk.relation
        )));
    }
    spi::execute(&format!("DROP TABLE {}", chunk.relation), &[])?;
    Ok(())
}
