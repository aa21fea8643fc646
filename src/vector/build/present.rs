//! The vector indexes on a store's embedding.

use crate::error::Result;
use crate::names;
use crate::spi::{self, LocalSettings};
use crate::vector::store::VectorStore;
use pgrx::pg_sys;

/// An index that is there.
#[derive(Debug, Clone)]
pub struct Present {
    pub oid: pg_sys::Oid,
    pub schema: String,
    pub name: String,
    /// Complete, and not partial but for what no search may return.
    pub valid: bool,
    /// Ordered by the store's metric, or by the signs.
    pub fits_metric: bool,
    /// Somebody is building it now.
    pub building: bool,
}

impl Present {
    pub fn qualified(&self) -> String {
        names::qualified(&self.schema, &self.name)
    }

    /// A search can use it.
    pub fn usable(&self) -> bool {
        self.valid && self.fits_metric
    }
}

/// All of them, also those on expressions over the embedding, the oldest first.
pub fn all(vector: &VectorStore) -> Result<Vec<Present>> {
    let _path = LocalSettings::safe_search_path();
    spi::rows(
        "SELECT c.oid, n.nspname::pg_catalog.text, c.relname::pg_catalog.text, \
                i.indisvalid AND i.indisready, pg_catalog.pg_get_expr(i.indpred, i.indrelid), \
                EXISTS (SELECT FROM pg_catalog.pg_amop ao \
                        JOIN pg_catalog.pg_operator op ON op.oid = ao.amopopr \
                        WHERE ao.amopfamily = oc.opcfamily AND ao.amoppurpose = 'o' \
                          AND (op.oprname = $3::pg_catalog.text \
                               OR (op.oprname = '<~>' AND $3::pg_catalog.text <> '<+>'))), \
                EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p \
                        WHERE p.index_relid = c.oid) \
         FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_am am ON am.oid = c.relam \
         JOIN pg_catalog.pg_opclass oc ON oc.oid = i.indclass[0] \
         WHERE i.indrelid = $1 AND i.indnkeyatts = 1 \
           AND am.amname IN ('hnsw', 'ivfflat', 'diskann', 'vchordrq', 'vchordg') \
           AND (i.indkey[0] = $2 OR EXISTS ( \
                SELECT FROM pg_catalog.pg_depend d \
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
                  AND d.refclassid = d.classid AND d.refobjid = $1 AND d.refobjsubid = $2)) \
         ORDER BY c.oid",
        &[
            vector.store.oid().into(),
            vector.embedding.number.into(),
            vector.metric().operator().into(),
        ],
        |row| {
            Ok(Present {
                oid: spi::need(row, 1)?,
                schema: spi::need(row, 2)?,
                name: spi::need(row, 3)?,
                valid: spi::need(row, 4)?
                    && spi::get::<String>(row, 5)?
                        .is_none_or(|condition| vector.is_right_length(&condition)),
                fits_metric: spi::need(row, 6)?,
                building: spi::need(row, 7)?,
            })
        },
    )
}

/// A name for a new index that nothing in the table's schema has.
pub fn free_name(vector: &VectorStore, kind: &str) -> Result<String> {
    let relation = vector.relation();
    for number in 0..10_000 {
        let tail = if number == 0 { format!("_{kind}") } else { format!("_{kind}_{number}") };
        let mut head = format!("{}_{}", relation.name, vector.embedding.name);
        while head.len() + tail.len() > names::MAX_IDENT {
            head.pop();
        }
        let name = head + &tail;
        let taken: bool = spi::scalar(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1::pg_catalog.text AND c.relname = $2::pg_catalog.text)",
            &[relation.schema.as_str().into(), name.as_str().into()],
        )?;
        if !taken {
            return Ok(name);
        }
    }
    Err(crate::error::Error::internal("no name is free for an index"))
}
