//! Vectors and full text in one ranking, by reciprocal rank fusion: a row's score is the sum of
//! `weight / (rrf_k + place)` over the rankings that it is in.

use super::filter_use;
use super::known::Known;
use super::pack;
use super::search::{Query, compile};
use super::store::VectorStore;
use crate::error::{Error, Result};
use crate::filter;
use crate::jsonb::{JsonbCopy, JsonbText};
use crate::names;
use crate::spi;
use pgrx::PgSqlErrorCode;
use pgrx::datum::DatumWithOid;
use std::collections::HashMap;

/// How many rows of each ranking are fused, for each that is wanted.
const CANDIDATES: i64 = 4;
const LEAST_CANDIDATES: i64 = 50;

/// Where the store has no text search configuration: words as they are.
const DEFAULT_CONFIG: &str = "pg_catalog.simple";

pub struct Hybrid<'a> {
    pub values: Vec<f32>,
    pub text: &'a str,
    pub k: i32,
    pub vector_weight: f64,
    pub text_weight: f64,
    pub rrf_k: i32,
    pub filter: Option<&'a JsonbText>,
}

/// A row of the fused ranking.
pub struct Fused {
    pub id: String,
    pub score: f64,
    pub distance: Option<f64>,
    pub text_rank: Option<f64>,
    pub metadata: Option<JsonbCopy>,
    pub content: Option<String>,
}

/// Asks both, and fuses. 22023 for weights and `rrf_k` out of range, 42703 where there is no text.
pub fn search(known: &Known, hybrid: &Hybrid<'_>) -> Result<Vec<Fused>> {
    let vector = &known.vector;
    check(vector, hybrid)?;
    let wanted = (i64::from(hybrid.k) * CANDIDATES).max(LEAST_CANDIDATES);
    let mut fused: HashMap<String, Fused> = HashMap::new();
    if hybrid.vector_weight > 0.0 {
        let query =
            Query::plain(vector, hybrid.values.clone(), hybrid.k).filtered(hybrid.filter)?;
        for (place, hit) in (1..).zip(query.nearest(known, wanted)?) {
            let score = hybrid.vector_weight / f64::from(hybrid.rrf_k + place);
            let (metadata, content) = (hit.metadata, hit.content);
            let distance = Some(hit.distance);
            fused.insert(
                hit.id.clone(),
                Fused { id: hit.id, score, distance, text_rank: None, metadata, content },
            );
        }
    }
    if hybrid.text_weight > 0.0 {
        for (place, row) in (1..).zip(by_text(vector, hybrid, wanted)?) {
            let score = hybrid.text_weight / f64::from(hybrid.rrf_k + place);
            let entry = fused.entry(row.id.clone()).or_insert(Fused { score: 0.0, ..row });
            entry.score += score;
            entry.text_rank = row.text_rank;
        }
    }
    let mut rows: Vec<Fused> = fused.into_values().collect();
    rows.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    rows.truncate(usize::try_from(hybrid.k).unwrap_or(0));
    Ok(rows)
}

fn check(vector: &VectorStore, hybrid: &Hybrid<'_>) -> Result<()> {
    if vector.content.is_none() {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("{} has no content column to search", vector.relation()),
        )
        .hint("Forget the store and adopt the table again with its content_column; or use lake.vector_search."));
    }
    for (name, weight) in
        [("vector_weight", hybrid.vector_weight), ("text_weight", hybrid.text_weight)]
    {
        if !weight.is_finite() || weight < 0.0 {
            return Err(Error::invalid_parameter(format!(
                "{name} must be a finite number that isn't negative, not {weight}"
            )));
        }
    }
    if hybrid.vector_weight == 0.0 && hybrid.text_weight == 0.0 {
        return Err(Error::invalid_parameter("both weights are zero"));
    }
    if !(1..=1_000_000).contains(&hybrid.rrf_k) {
        return Err(Error::invalid_parameter(format!(
            "rrf_k must be between 1 and 1000000, not {}",
            hybrid.rrf_k
        )));
    }
    Ok(())
}

/// The rows that match the text, best first. The expression is that of the index which
/// `lake.vector_create` makes.
fn by_text(vector: &VectorStore, hybrid: &Hybrid<'_>, wanted: i64) -> Result<Vec<Fused>> {
    // The call counted with the other ranking.
    let quiet = filter_use::Quiet::new();
    let compiled = compile(vector, hybrid.filter, 4)?;
    drop(quiet);
    let config = names::literal(vector.store.option_str("text_config").unwrap_or(DEFAULT_CONFIG));
    let content = vector.content_sql();
    let document = format!(
        "pg_catalog.to_tsvector({config}::pg_catalog.regconfig, COALESCE({content}, ''::pg_catalog.text))"
    );
    let query = format!("pg_catalog.websearch_to_tsquery({config}::pg_catalog.regconfig, $3)");
    let mut conditions = vec![format!("{document} OPERATOR(pg_catalog.@@) {query}")];
    if vector.untyped {
        conditions.extend(vector.searchable());
    }
    conditions.push(compiled.sql);
    let sql = format!(
        "SELECT s.id::pg_catalog.text, s.rank::pg_catalog.float8, s.distance, s.metadata, s.content \
         FROM (SELECT {id} AS id, pg_catalog.ts_rank_cd({document}, {query}) AS rank, \
                      {embedding} {operator} $1 AS distance, {metadata} AS metadata, {content} AS content \
               FROM {relation} AS t WHERE {condition} ORDER BY 2 DESC, 1 LIMIT $2) s \
         ORDER BY s.rank DESC, s.id",
        id = VectorStore::col(&vector.id),
        embedding = VectorStore::col(&vector.embedding),
        operator = vector.distance_operator(),
        metadata = vector.metadata_sql(),
        relation = vector.relation(),
        condition = conditions.join(" AND "),
    );
    let mut args: Vec<DatumWithOid<'_>> =
        vec![pack::vector(vector, &hybrid.values), wanted.into(), hybrid.text.into()];
    args.extend(filter::bind(&compiled.params));
    spi::cached_rows(&sql, &args, |row| {
        Ok(Fused {
            id: spi::need(row, 1)?,
            score: 0.0,
            text_rank: spi::get(row, 2)?,
            distance: spi::get(row, 3)?,
            metadata: spi::get(row, 4)?,
            content: spi::get(row, 5)?,
        })
    })
}
