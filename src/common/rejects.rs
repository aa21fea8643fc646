//! `lake.replay_rejects` and `lake.purge_rejects`.

use crate::access;
use crate::catalog::reject::Replayed;
use crate::catalog::{Store, StoreKind};
use crate::error::{Error, Result, SqlResult};
use crate::names::Relation;
use crate::regclass::RegClass;
use crate::spi;
use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// Takes rejected rows once more: after a fix of the store or of its metrics, or after an update that
/// understands more. What is refused again is a new batch. Returns how many rows were taken up, and
/// what became of them.
#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
pub fn replay_rejects(
    store: Option<RegClass>,
    batch: default!(Option<i64>, "NULL"),
) -> Result<
    TableIterator<'static, (name!(replayed, i64), name!(accepted, i64), name!(rejected, i64))>,
    ErrorReport,
> {
    let relation = owned_store(store)?;
    let (mut taken, mut total) = (0, Replayed::default());
    for kind in kinds_of(&relation)? {
        let payloads = take(&relation, kind, batch)?;
        if payloads.is_empty() {
            continue;
        }
        taken += payloads.len() as i64;
        let found = Store::find(RegClass(relation.oid), kind)?;
        let replayed = match kind {
            StoreKind::Vector => crate::vector::replay(&found, &payloads)?,
            StoreKind::Series => crate::series::replay(&found, &payloads)?,
            StoreKind::Geo => crate::geo::replay(&found, &payloads)?,
        };
        total.accepted += replayed.accepted;
        total.rejected += replayed.rejected;
    }
    Ok(TableIterator::once((taken, total.accepted, total.rejected)))
}

/// Forgets rejected rows: all of the store, or those older than an interval. Returns how many.
#[pg_extern(schema = "lake", volatile, parallel_unsafe)]
pub fn purge_rejects(
    store: Option<RegClass>,
    older_than: default!(Option<Interval>, "NULL"),
) -> SqlResult<i64> {
    let relation = owned_store(store)?;
    let purged = access::as_extension_owner(|| {
        spi::execute(
            "DELETE FROM _lake.reject WHERE relid = $1 \
               AND ($2 IS NULL OR rejected_at < pg_catalog.now() - $2)",
            &[relation.oid.into(), older_than.into()],
        )
    })
    .and_then(|deleted| deleted)?;
    Ok(purged as i64)
}

/// A table of the current user's.
fn owned_store(store: Option<RegClass>) -> Result<Relation> {
    let store = store.ok_or_else(|| Error::null_value("store must not be null"))?;
    let relation = Relation::by_oid(store.0)?;
    access::require_owner(&relation)?;
    if kinds_of(&relation)?.is_empty() {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            format!("{relation} is not a store"),
        )
        .hint("SELECT store FROM lake.stores shows those there are."));
    }
    Ok(relation)
}

fn kinds_of(relation: &Relation) -> Result<Vec<StoreKind>> {
    spi::rows(
        "SELECT kind FROM _lake.store WHERE relid OPERATOR(pg_catalog.=) $1::pg_catalog.oid \
         ORDER BY kind",
        &[relation.oid.into()],
        |row| StoreKind::parse(&spi::need::<String>(row, 1)?),
    )
}

/// Takes rejects out of the catalogue, in the order in which they came. They are back if anything
/// that follows fails.
fn take(relation: &Relation, kind: StoreKind, batch: Option<i64>) -> Result<Vec<String>> {
    access::as_extension_owner(|| {
        spi::rows(
            "WITH taken AS ( \
                 DELETE FROM _lake.reject WHERE relid = $1 AND kind = $2 \
                     AND ($3 IS NULL OR batch = $3) \
                 RETURNING reject_id, payload) \
             SELECT payload::text FROM taken ORDER BY reject_id",
            &[relation.oid.into(), kind.as_str().into(), batch.into()],
            |row| spi::need::<String>(row, 1),
        )
    })?
}
