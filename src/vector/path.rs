//! The two ways to answer a search, as statements and settings.

use super::index::{Index, Quantization, expression};
use super::store::VectorStore;
use crate::spi::{self, LocalSettings};

/// More rows than asked for that an index is made to find, so that those at the same distance as the
/// last one come in order of their ids, and those that come slightly late aren't missed.
const SPARE: i64 = 8;

/// The path taken.
#[derive(Debug, Clone)]
pub enum Path {
    Exact {
        /// Few rows match, so that the plan needn't look at the filter's values.
        few: bool,
    },
    Approximate(Walk),
}

/// How an index is walked.
#[derive(Debug, Clone)]
pub struct Walk {
    pub index: Index,
    /// HNSW's `ef_search`, or its like.
    pub width: i32,
    /// Go on until enough rows are found, which costs the scan a little even where they are at once.
    pub iterative: bool,
}

impl Walk {
    /// One look at the index, no more.
    pub fn unbounded(index: Index, width: i32) -> Self {
        Self { index, width, iterative: false }
    }

    /// Whether rows come in the order of their distances, so that `k` of them are the answer unless
    /// the next one is as near as the last.
    pub fn in_order(&self) -> bool {
        !self.iterative && !self.index.streams() && self.index.quantization == Quantization::None
    }

    /// The statement for an index that is [`Walk::in_order`], with parameters as [`Path::sql`] has
    /// them: what the index returns, and nothing done with it.
    pub fn sql_in_order(
        &self,
        vector: &VectorStore,
        condition: &str,
        with_embedding: bool,
    ) -> String {
        let column = VectorStore::col(&vector.embedding);
        let (indexed, operator) = expression(vector, self.index.quantization, &column);
        let embedding = if with_embedding { &column } else { "NULL" };
        format!(
            "{} ORDER BY {indexed} {} $1 LIMIT $3",
            found(
                vector,
                condition,
                "::pg_catalog.text",
                &format!("{embedding}::pg_catalog.float4[]")
            ),
            vector.engine.operator(operator)
        )
    }

    /// How many rows the index is asked for.
    fn candidates(&self, k: i64, hidden: bool) -> i64 {
        match self.index.quantization {
            // Those found by signs alone are many and roughly placed.
            Quantization::Binary => k.max(i64::from(self.width)),
            Quantization::Halfvec => k + SPARE + k / 4,
            Quantization::None if hidden => k,
            // No more than are at hand: the index would look further for the spare ones.
            Quantization::None => (k + SPARE).min(k.max(i64::from(self.width))),
        }
    }
}

impl Path {
    /// `$3`: how many rows the index is asked for.
    pub fn candidates(&self, k: i64, hidden: bool) -> i64 {
        match self {
            Path::Exact { .. } => k,
            Path::Approximate(walk) => walk.candidates(k, hidden),
        }
    }

    /// The statement. `$1` is the query, `$2` is `k`, `$3` how many rows the index is asked for, the
    /// rest belongs to the condition on the table as `t`.
    ///
    /// Exact adds zero to the distance, which no index is ordered by, so that the filter's index or
    /// a scan serves it. Approximate orders by the bare distance; as an index returns rows nearly in
    /// order, the outer query sorts again (by a sum, as newer planners would otherwise trust the
    /// inner order). A quantised index finds candidates, which are ranked by the embeddings
    /// themselves. Values are shown only in the outer query, for `k` rows.
    pub fn sql(&self, vector: &VectorStore, condition: &str, with_embedding: bool) -> String {
        let column = VectorStore::col(&vector.embedding);
        let embedding = if with_embedding { &column } else { "NULL::pg_catalog.float4[]" };
        let rows = found(vector, condition, "", embedding);
        let order = match self {
            Path::Exact { .. } => "2, 1 LIMIT $2".into(),
            Path::Approximate(walk) => {
                let (indexed, operator) = expression(vector, walk.index.quantization, &column);
                let query = match walk.index.quantization {
                    Quantization::None => "$1".into(),
                    other => expression(vector, other, "$1").0,
                };
                format!("{indexed} {} {query} LIMIT $3", vector.engine.operator(operator))
            }
        };
        format!(
            "SELECT s.id::pg_catalog.text, s.distance, s.metadata, s.content, \
                    s.embedding::pg_catalog.float4[] \
             FROM ({rows} ORDER BY {order}) s ORDER BY s.distance OPERATOR(pg_catalog.+) 0::pg_catalog.float8, s.id LIMIT $2"
        )
    }

    /// The settings of the path, for one statement. The planner doesn't price the rows that a filter
    /// throws away; the choice was made before.
    pub fn settings(&self) -> LocalSettings {
        let settings = LocalSettings::new();
        match self {
            Path::Exact { few } => {
                if *few {
                    settings.set_other("plan_cache_mode", "force_generic_plan");
                }
            }
            Path::Approximate(walk) => {
                for off in ["enable_seqscan", "enable_bitmapscan", "enable_sort", "jit"] {
                    settings.set_other(off, "off");
                }
                settings.set_other("enable_indexscan", "on");
                settings.set_other("plan_cache_mode", "force_generic_plan");
                if let Some(name) = walk.index.width_setting() {
                    let width = match walk.index.method.as_str() {
                        "ivfflat" => walk.index.probes(),
                        _ => walk.width,
                    };
                    settings.set_other(name, &width.to_string());
                }
                if !walk.index.streams() {
                    let name = format!("{}.iterative_scan", walk.index.method);
                    // pgvector knows it from 0.8.0 on.
                    if spi::setting(&name).is_some() {
                        let wanted = if walk.iterative { "relaxed_order" } else { "off" };
                        settings.set_other(&name, wanted);
                    }
                }
            }
        }
        settings
    }
}

/// What is shown of the rows that satisfy the condition, as `id, distance, metadata, content, embedding`.
/// Zero is added to the distance so that no index serves an order by it.
fn found(vector: &VectorStore, condition: &str, id_cast: &str, embedding: &str) -> String {
    let column = VectorStore::col(&vector.embedding);
    format!(
        "SELECT {}{id_cast} AS id, ({column} {} $1) OPERATOR(pg_catalog.+) 0::pg_catalog.float8 AS distance, \
                {} AS metadata, {} AS content, {embedding} AS embedding FROM {} AS t WHERE {condition}",
        VectorStore::col(&vector.id),
        vector.distance_operator(),
        vector.metadata_sql(),
        vector.content_sql(),
        vector.relation()
    )
}
