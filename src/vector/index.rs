//! The indexes that can answer by distance, and how each is asked.

use super::store::VectorStore;
use crate::engines::Engine;
use crate::error::Result;
use crate::spi;
use lake_vectors::{Metric, Storage};
use pgrx::pg_sys;

/// What an index holds of each embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantization {
    /// The embedding as it is stored.
    None,
    /// Half-precision floats: `(embedding)::halfvec(d)`.
    Halfvec,
    /// The sign of each element: `(binary_quantize(embedding))::bit(d)`.
    Binary,
}

/// An index that can answer by distance.
#[derive(Debug, Clone)]
pub struct Index {
    pub oid: pg_sys::Oid,
    pub name: String,
    pub method: String,
    /// IVFFlat's number of lists.
    pub lists: Option<i32>,
    /// How many of its lists are searched, where that was measured for so many lists.
    pub probes: Option<i32>,
    pub quantization: Quantization,
}

impl Index {
    /// The setting by which this method is told how widely to search.
    pub fn width_setting(&self) -> Option<&'static str> {
        match self.method.as_str() {
            "hnsw" => Some("hnsw.ef_search"),
            "ivfflat" => Some("ivfflat.probes"),
            "diskann" => Some("diskann.query_search_list_size"),
            _ => None,
        }
    }

    /// How many lists of an IVFFlat index are searched: what was measured, else √lists, pgvector's own advice.
    pub fn probes(&self) -> i32 {
        self.probes.unwrap_or_else(|| self.all_lists().isqrt().max(1))
    }

    /// The lists of an IVFFlat index.
    pub fn all_lists(&self) -> i32 {
        const DEFAULT_LISTS: i32 = 100;
        self.lists.unwrap_or(DEFAULT_LISTS).max(1)
    }

    /// Whether the method goes on by itself until enough rows satisfy the filter.
    pub fn streams(&self) -> bool {
        matches!(self.method.as_str(), "diskann" | "vchordrq")
    }

    /// Lower is preferred: what finds more of the nearest rows.
    fn rank(&self) -> u8 {
        match (self.method.as_str(), self.quantization) {
            ("hnsw", Quantization::None) => 0,
            ("hnsw", Quantization::Halfvec) => 1,
            ("diskann", _) => 2,
            ("vchordrq", _) => 3,
            ("ivfflat", Quantization::None) => 4,
            ("hnsw", Quantization::Binary) => 5,
            _ => 6,
        }
    }
}

/// The indexed expression of a quantisation over a column, and its operator. Of a table's own column
/// it is also how Postgres writes the index's definition down, as long as the path is empty.
pub fn expression(
    vector: &VectorStore,
    quantization: Quantization,
    column: &str,
) -> (String, &'static str) {
    let dimensions = vector.rules.dimensions;
    let engine: &Engine = &vector.engine;
    match quantization {
        Quantization::None if vector.untyped => {
            (format!("({column})::{}", vector.vector_type()), vector.metric().operator())
        }
        Quantization::None => (column.to_owned(), vector.metric().operator()),
        Quantization::Halfvec => (
            format!("({column})::{}({dimensions})", engine.object("halfvec")),
            vector.metric().operator(),
        ),
        Quantization::Binary => {
            (format!("({}({column}))::bit({dimensions})", engine.object("binary_quantize")), "<~>")
        }
    }
}

impl VectorStore {
    /// The index a search uses: valid, whole (not partial), for the store's metric; the one that
    /// finds most where there are several.
    pub fn index(&self) -> Result<Option<Index>> {
        let mut found = self.indexes()?;
        found.sort_by_key(|index| (index.rank(), index.oid.to_u32()));
        Ok(found.into_iter().next().map(|index| Index { probes: self.probes(&index), ..index }))
    }

    /// What `lake.vector_tune` found for an IVFFlat index of as many lists.
    fn probes(&self, index: &Index) -> Option<i32> {
        let tuned = self.store.options.get("probes")?;
        let number = |key: &str| i32::try_from(tuned.get(key)?.as_i64()?).ok();
        (number("lists")? == index.all_lists()).then_some(number("probes")?)
    }

    fn indexes(&self) -> Result<Vec<Index>> {
        let candidates = spi::with_safe_search_path(|| {
            spi::cached_rows(
                "SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), am.amname::pg_catalog.text, \
                        (SELECT pg_catalog.split_part(o, '=', 2)::pg_catalog.int4 \
                         FROM pg_catalog.unnest(c.reloptions) o WHERE o LIKE 'lists=%'), \
                        i.indkey[0], pg_catalog.pg_get_expr(i.indexprs, i.indrelid), \
                        op.oprname::pg_catalog.text, pg_catalog.pg_get_expr(i.indpred, i.indrelid) \
                 FROM pg_catalog.pg_index i \
                 JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 JOIN pg_catalog.pg_am am ON am.oid = c.relam \
                 JOIN pg_catalog.pg_opclass oc ON oc.oid = i.indclass[0] \
                 JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amoppurpose = 'o' \
                 JOIN pg_catalog.pg_operator op ON op.oid = ao.amopopr \
                 WHERE i.indrelid = $1 AND i.indkey[0] IN ($2, 0) AND i.indnkeyatts = 1 \
                   AND (i.indpred IS NULL OR $3) AND i.indisvalid AND i.indisready \
                   AND am.amname IN ('hnsw', 'ivfflat', 'diskann', 'vchordrq')",
                &[self.store.oid().into(), self.embedding.number.into(), self.untyped.into()],
                |row| {
                    Ok((
                        Index {
                            oid: spi::need(row, 1)?,
                            name: spi::need(row, 2)?,
                            method: spi::need(row, 3)?,
                            lists: spi::get(row, 4)?,
                            probes: None,
                            quantization: Quantization::None,
                        },
                        spi::need::<i16>(row, 5)?,
                        spi::get::<String>(row, 6)?,
                        spi::need::<String>(row, 7)?,
                        spi::get::<String>(row, 8)?,
                    ))
                },
            )
        })?;
        Ok(candidates
            .into_iter()
            .filter_map(|(index, column, definition, operator, condition)| {
                if condition.is_some_and(|condition| !self.is_right_length(&condition)) {
                    return None;
                }
                let quantization = if column == 0 {
                    self.quantization(definition.as_deref()?, &operator)?
                } else {
                    (operator == self.metric().operator()).then_some(Quantization::None)?
                };
                Some(Index { quantization, ..index })
            })
            .collect())
    }

    /// Whether a partial index holds every row that a search may return.
    pub fn is_right_length(&self, condition: &str) -> bool {
        self.right_length(&self.embedding.quoted()).is_some_and(|wanted| {
            bare(&wanted.replace("OPERATOR(pg_catalog.=)", "=")) == bare(condition)
        })
    }

    /// Which quantisation an indexed expression is; `None` for any other expression, or another
    /// metric's.
    fn quantization(&self, definition: &str, operator: &str) -> Option<Quantization> {
        let known: &[Quantization] = match (self.rules.storage, self.metric()) {
            (Storage::Vector, Metric::L1) => &[Quantization::Halfvec],
            (Storage::Vector, _) => &[Quantization::Halfvec, Quantization::Binary],
            (Storage::Halfvec, Metric::L1) => &[],
            (Storage::Halfvec, _) => &[Quantization::Binary],
        };
        let plain: &[Quantization] = if self.untyped { &[Quantization::None] } else { &[] };
        let definition = bare(definition);
        plain.iter().chain(known).copied().find(|quantization| {
            let (expression, wanted) = expression(self, *quantization, &self.embedding.quoted());
            wanted == operator && bare(&expression) == definition
        })
    }
}

/// An expression as it is the same however Postgres sets brackets.
fn bare(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '(' | ')')).collect()
}
