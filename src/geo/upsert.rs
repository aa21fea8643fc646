//! Writes Features.
//!
//! `INSERT … ON CONFLICT DO UPDATE … WHERE` something is different, so that what is the same already
//! costs no new version; a chunk of rows at a time, as arrays. Rows are written in the order of their
//! ids, so that two batches that meet wait for each other instead of deadlocking.

use super::document;
use super::feature::{Refusal, Row, judge};
use super::store::Places;
use crate::attempt::attempt;
use crate::batch::{Counts, Outcome, last_wins, length, report_superseded};
use crate::catalog::Store;
use crate::catalog::reject::{self, OnError, Reject, Replayed};
use crate::catalog::run::sqlstate;
use crate::error::{Error, Result};
use crate::gucs;
use crate::regclass::RegClass;
use crate::spi;
use lake_geojson::{Limits, Profile};
use pgrx::{PgMemoryContexts, PgSqlErrorCode, pg_sys};

/// Rows that one statement writes, and that are undone together where one of them turns out to break
/// a constraint.
const ROWS_PER_CHUNK: usize = 500;

/// Marks the payload of a Feature that a later one superseded; a foreign member, as far as GeoJSON is
/// concerned.
const SUPERSEDED: &str = "{\"superseded_by\":";

/// A Feature that passed, with where it stands.
struct Good<'a> {
    ordinal: i64,
    text: &'a str,
    row: Row,
}

/// Writes one Feature; its fault is raised.
pub fn one(places: &Places, text: &str) -> Result<Outcome> {
    let row = judge(places, text, false).map_err(|refusal| {
        let id = refusal.id.as_deref().map(|id| format!(", id \"{id}\"")).unwrap_or_default();
        refusal.raise(&format!("{}{id}", places.store.relation))
    })?;
    let mut counts = Counts::default();
    write(&statement(places), &[&row], &mut counts)?;
    Ok(match (counts.inserted, counts.updated) {
        (1, _) => Outcome::Inserted,
        (_, 1) => Outcome::Updated,
        _ => Outcome::Unchanged,
    })
}

/// Writes the features of a collection (or the one Feature that the document is).
pub fn many(places: &Places, text: &str, on_error: OnError, mend: bool) -> Result<Counts> {
    let limits = Limits::new(if mend { Profile::Lenient } else { Profile::Rfc7946 });
    let ranges = lake_geojson::collection::split(text.as_bytes(), limits, &mut document::poll)
        .map_err(|fault| {
            document::invalid(
                &format!("the collection for {} can't be read", places.store.relation),
                &fault,
                1,
            )
        })?;
    if ranges.len() > gucs::max_batch_rows() {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!(
                "the collection has {} features; one call takes {}",
                ranges.len(),
                gucs::max_batch_rows()
            ),
        )
        .hint("Send it in parts, or raise lake_stores.max_batch_rows."));
    }
    let texts: Vec<&str> = ranges.into_iter().map(|range| &text[range]).collect();
    features(places, &texts, on_error, mend)
}

/// Takes rejected Features (texts, as in `lake.rejects.payload`) once more, as a batch under
/// `on_error => 'reject'`. Those that were superseded in their own batch stay rejected: they are
/// older than what the table holds.
pub fn replay(store: &Store, payloads: &[String]) -> Result<Replayed> {
    let places = Places::find(RegClass(store.oid()))?;
    let texts: Vec<&str> =
        payloads.iter().map(String::as_str).filter(|p| !p.starts_with(SUPERSEDED)).collect();
    let mut counts = features(&places, &texts, OnError::Reject, false)?;
    counts.rejected += length(payloads) - length(&texts);
    Ok(counts.replayed())
}

fn features(places: &Places, texts: &[&str], on_error: OnError, mend: bool) -> Result<Counts> {
    let relation = &places.store.relation;
    let mut rejects = Vec::new();
    let mut good: Vec<Good<'_>> = Vec::with_capacity(texts.len());
    for (ordinal, text) in (1..).zip(texts) {
        pgrx::check_for_interrupts!();
        match judge(places, text, mend) {
            Ok(row) => good.push(Good { ordinal, text, row }),
            Err(refusal) if on_error == OnError::Raise => {
                let what = format!("{} of {relation}", label(ordinal, refusal.id.as_deref()));
                let hint = refusal.hint.clone().map(|h| h + " ").unwrap_or_default();
                return Err(refusal.raise(&what).hint(format!(
                    "{hint}on_error => 'reject' writes the good features and records the bad ones in lake.rejects."
                )));
            }
            Err(refusal) => rejects.push(reject_of(ordinal, text, refusal)),
        }
    }
    let superseded = last_wins(&mut good, |g| &g.row.id, |g| g.ordinal);
    report_superseded(&places.store.relation, "feature", texts.len(), &superseded, |g| {
        label(g.ordinal, Some(&g.row.id))
    });
    let mut counts = Counts { rejected: length(&superseded), ..Counts::default() };
    good.sort_by(|a, b| a.row.id.cmp(&b.row.id));
    let sql = statement(places);
    for chunk in good.chunks(rows_per_statement(places)) {
        if on_error == OnError::Raise {
            write_chunk(&sql, chunk, &mut counts)?;
            continue;
        }
        let mut of_chunk = Counts::default();
        if attempt(|| write_chunk(&sql, chunk, &mut of_chunk)).is_ok() {
            counts.inserted += of_chunk.inserted;
            counts.updated += of_chunk.updated;
            counts.unchanged += of_chunk.unchanged;
            continue;
        }
        // Some row breaks a constraint of the table or a rule of a trigger: find out which.
        for good in chunk {
            match attempt(|| write(&sql, &[&good.row], &mut counts)) {
                Ok(()) => {}
                Err(error) => rejects.push(Reject {
                    ordinal: good.ordinal,
                    id: Some(good.row.id.clone()),
                    code: sqlstate(error.code as i32),
                    message: error.message,
                    pointer: None,
                    payload: good.text.to_owned(),
                }),
            }
        }
    }
    counts.rejected += length(&rejects);
    if on_error == OnError::Reject {
        rejects.extend(superseded.iter().map(|(good, by)| Reject {
            ordinal: good.ordinal,
            id: Some(good.row.id.clone()),
            code: "duplicate_id".to_owned(),
            message: format!("superseded by feature {by}, which has the same id"),
            pointer: Some("/id".to_owned()),
            payload: format!("{SUPERSEDED}{by},{}", &good.text[1..]),
        }));
        rejects.sort_by_key(|reject| reject.ordinal);
        if !rejects.is_empty() {
            require_write(places)?;
        }
        reject::record(&places.store, &rejects)?;
    }
    Ok(counts)
}

fn label(ordinal: i64, id: Option<&str>) -> String {
    match id {
        Some(id) => format!("feature {ordinal} (id \"{id}\")"),
        None => format!("feature {ordinal}"),
    }
}

fn reject_of(ordinal: i64, text: &str, refusal: Refusal) -> Reject {
    Reject {
        ordinal,
        id: refusal.id,
        code: refusal.code,
        message: refusal.message,
        pointer: refusal.pointer,
        payload: text.to_owned(),
    }
}

/// 42501 for who may not write to the table: only writers leave rejects behind.
fn require_write(places: &Places) -> Result<()> {
    let may: bool = spi::scalar(
        "SELECT pg_catalog.has_any_column_privilege($1::pg_catalog.oid, 'INSERT, UPDATE')",
        &[places.store.oid().into()],
    )?;
    if may {
        return Ok(());
    }
    Err(Error::insufficient_privilege(format!(
        "permission denied for table {}",
        places.store.relation
    )))
}

/// How many rows may go into one statement. It can't write one row twice, so ids that differ as text
/// must differ as values; for types of which that isn't known, rows go one by one.
fn rows_per_statement(places: &Places) -> usize {
    match places.table.id_type_oid {
        pg_sys::TEXTOID
        | pg_sys::VARCHAROID
        | pg_sys::INT8OID
        | pg_sys::INT4OID
        | pg_sys::INT2OID
        | pg_sys::UUIDOID => ROWS_PER_CHUNK,
        _ => 1,
    }
}

fn write_chunk(sql: &str, chunk: &[Good<'_>], counts: &mut Counts) -> Result<()> {
    let rows: Vec<&Row> = chunk.iter().map(|good| &good.row).collect();
    let mut memory = PgMemoryContexts::new("lake geo upsert");
    // SAFETY: what is allocated inside are the values bound to a statement that has ended when the
    // closure returns; counts are plain values. The context is deleted with `memory`.
    unsafe { memory.switch_to(|_| write(sql, &rows, counts)) }
}

/// Executes [`statement`] for rows whose ids differ. On error, `counts` are as before.
fn write(sql: &str, rows: &[&Row], counts: &mut Counts) -> Result<()> {
    pgrx::check_for_interrupts!();
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let geometries: Vec<Option<&[u8]>> = rows.iter().map(|row| row.ewkb.as_deref()).collect();
    let properties: Vec<&str> = rows.iter().map(|row| row.properties.as_str()).collect();
    let written =
        spi::cached_rows(sql, &[ids.into(), geometries.into(), properties.into()], |row| {
            Ok((spi::need::<i64>(row, 1)?, spi::need::<i64>(row, 2)?))
        })?;
    let (inserted, all) = written.first().copied().unwrap_or_default();
    counts.inserted += inserted;
    counts.updated += all - inserted;
    counts.unchanged += length(rows) - all;
    Ok(())
}

/// `$1` ids as text, `$2` EWKB or null, `$3` properties as text. Returns how many rows are new, and
/// how many were written.
fn statement(places: &Places) -> String {
    let table = &places.table;
    let (id, geom) = (&table.id, &table.geometry);
    let equal = places.postgis.operator("=");
    let (mut columns, mut values, mut set, mut same) = (
        format!("{id}, {geom}"),
        format!("u.id::{}, u.geometry::{}", table.id_type, places.pg("geometry")),
        format!("{geom} = excluded.{geom}"),
        format!(
            "(t.{geom} {equal} excluded.{geom} OR (t.{geom} IS NULL AND excluded.{geom} IS NULL))"
        ),
    );
    if let Some(properties) = &table.properties {
        columns.push_str(&format!(", {properties}"));
        values.push_str(", u.properties::pg_catalog.jsonb");
        set.push_str(&format!(", {properties} = excluded.{properties}"));
        same.push_str(&format!(" AND t.{properties} OPERATOR(pg_catalog.=) excluded.{properties}"));
    }
    format!(
        "WITH written AS (INSERT INTO {} AS t ({columns}) SELECT {values} \
         FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.bytea[]), \
                         pg_catalog.unnest($3::pg_catalog.text[])) AS u(id, geometry, properties) \
         ON CONFLICT ({id}) DO UPDATE SET {set} WHERE ({same}) IS NOT TRUE \
         RETURNING (t.xmax OPERATOR(pg_catalog.=) 0) AS new) \
         SELECT pg_catalog.count(*) FILTER (WHERE w.new), pg_catalog.count(*) FROM written w",
        places.store.relation
    )
}
