//! The SQL functions that find rows: arguments in, capability, result out.

use super::api::need;
use super::batch::Reals;
use super::cost;
use super::hybrid::{self, Hybrid};
use super::known::{Known, known};
use super::path::Path;
use super::plan::Mode;
use super::recommend;
use super::search::{Hit, Query, check_k, query_values};
use super::select::Selection;
use crate::error::{Error, Result};
use crate::gucs;
use crate::jsonb::{JsonbCopy, JsonbText};
use crate::names::Relation;
use crate::regclass::RegClass;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// What single searches and their explanation share.
fn query<'a>(
    known: &'a Known,
    values: Vec<f32>,
    k: Option<i32>,
    filter: Option<&JsonbText>,
    mode: Option<&str>,
    ef_search: Option<i32>,
) -> Result<Query<'a>> {
    let mut query = Query::plain(&known.vector, values, check_k(k)?).filtered(filter)?;
    query.mode = Mode::parse(need(mode, "mode")?)?;
    query.set_ef_search(ef_search)?;
    Ok(query)
}

/// 22023 for NaN, which nothing is nearer than.
fn distance(max_distance: Option<f64>) -> Result<Option<f64>> {
    if max_distance.is_some_and(f64::is_nan) {
        return Err(Error::invalid_parameter("max_distance can't be NaN"));
    }
    Ok(max_distance)
}

#[pg_extern(schema = "lake", stable)]
#[expect(clippy::too_many_arguments, clippy::type_complexity, reason = "the SQL signature")]
pub fn vector_search(
    store: Option<RegClass>,
    query: Option<Array<'_, f32>>,
    k: default!(Option<i32>, "10"),
    filter: default!(Option<JsonbText>, "NULL"),
    max_distance: default!(Option<f64>, "NULL"),
    mode: default!(Option<&str>, "'auto'"),
    ef_search: default!(Option<i32>, "NULL"),
    with_embedding: default!(Option<bool>, "false"),
    diversity: default!(Option<f64>, "NULL"),
    group_by: default!(Option<&str>, "NULL"),
    group_size: default!(Option<i32>, "1"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(distance, f64),
            name!(score, f64),
            name!(metadata, Option<JsonbCopy>),
            name!(content, Option<String>),
            name!(embedding, Option<Vec<f32>>),
        ),
    >,
    ErrorReport,
> {
    let known = known(store)?;
    let values = query_values(&known.vector, query.map(Reals::from_array).as_ref())?;
    let mut query = self::query(&known, values, k, filter.as_ref(), mode, ef_search)?;
    query.max_distance = distance(max_distance)?;
    query.with_embedding = with_embedding.unwrap_or(false);
    let hits = Selection::new(diversity, group_by, group_size)?.run(query, &known)?;
    Ok(TableIterator::new(
        hits.into_iter()
            .map(|hit| (hit.id, hit.distance, hit.score, hit.metadata, hit.content, hit.embedding)),
    ))
}

#[pg_extern(schema = "lake", stable)]
#[expect(clippy::type_complexity, reason = "the SQL signature")]
pub fn vector_explain(
    store: Option<RegClass>,
    query: Option<Array<'_, f32>>,
    k: default!(Option<i32>, "10"),
    filter: default!(Option<JsonbText>, "NULL"),
    mode: default!(Option<&str>, "'auto'"),
    ef_search: default!(Option<i32>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(path, &'static str),
            name!(reason, String),
            name!(matching_rows, Option<i64>),
            name!(exact_cutoff, Option<i64>),
            name!(index, Option<String>),
            name!(ef_search, Option<i32>),
            name!(sql, String),
        ),
    >,
    ErrorReport,
> {
    let known = known(store)?;
    let values = query_values(&known.vector, query.map(Reals::from_array).as_ref())?;
    let query = self::query(&known, values, k, filter.as_ref(), mode, ef_search)?;
    let choice = query.choose(&known)?;
    let sql = query.first_sql(&known, &choice.path);
    let (path, index, ef_search) = match choice.path {
        Path::Exact { .. } => ("exact", None, None),
        // Its name as it is now: renaming an index changes nothing in its table.
        Path::Approximate(walk) => {
            let name = Relation::by_oid(walk.index.oid).map_or(walk.index.name, |r| r.to_string());
            ("approximate", Some(name), Some(walk.width))
        }
    };
    Ok(TableIterator::once((
        path,
        choice.reason,
        choice.matching,
        choice.cutoff,
        index,
        ef_search,
        sql,
    )))
}

#[pg_extern(schema = "lake", volatile)]
#[expect(clippy::type_complexity, reason = "the SQL signature")]
pub fn vector_calibrate(
    store: Option<RegClass>,
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(exact_row_us, Option<f64>),
            name!(visit_us, Option<f64>),
            name!(rows, f64),
            name!(measured_at, TimestampWithTimeZone),
        ),
    >,
    ErrorReport,
> {
    let measured = cost::calibrate(&known(store)?.vector)?;
    Ok(TableIterator::once((
        measured.exact_row_us,
        measured.visit_us,
        measured.rows,
        measured.measured_at,
    )))
}

type Answers = TableIterator<
    'static,
    (
        name!(ordinal, i64),
        name!(id, String),
        name!(distance, f64),
        name!(score, f64),
        name!(metadata, Option<JsonbCopy>),
        name!(content, Option<String>),
    ),
>;

/// What the two forms of many queries share.
struct Many<'a> {
    k: Option<i32>,
    filter: Option<JsonbText>,
    max_distance: Option<f64>,
    mode: Option<&'a str>,
    ef_search: Option<i32>,
}

impl Many<'_> {
    /// Every query by the same path, which is chosen once: nothing in the choice depends on the
    /// vector.
    fn run(self, known: &Known, queries: &Reals) -> Result<Vec<(i64, Hit)>> {
        let queries = queries.queries(known.vector.rules.dimensions)?;
        let k = check_k(self.k)?;
        let most = gucs::max_batch_rows();
        if queries.len().saturating_mul(usize::try_from(k).unwrap_or(usize::MAX)) > most {
            return Err(Error::new(
                pgrx::PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                format!("{} queries of {k} rows are more than {most} rows", queries.len()),
            )
            .hint("Send several calls, or raise lake_stores.max_batch_rows."));
        }
        let filter = self.filter.as_ref();
        let mut query = query(known, vec![], self.k, filter, self.mode, self.ef_search)?;
        query.max_distance = distance(self.max_distance)?;
        for (index, values) in queries.iter().enumerate() {
            super::upsert::check_query(&known.vector, values, &format!("query {}", index + 1))?;
        }
        let mut path = None;
        let mut out = vec![];
        for (ordinal, values) in (1..).zip(queries) {
            pgrx::check_for_interrupts!();
            query.values = values;
            let path = match &path {
                Some(path) => path,
                None => path.insert(query.choose(known)?.path),
            };
            out.extend(query.run_by(known, path)?.into_iter().map(|hit| (ordinal, hit)));
        }
        Ok(out)
    }
}

fn answers(found: Vec<(i64, Hit)>) -> Answers {
    TableIterator::new(found.into_iter().map(|(ordinal, hit)| {
        (ordinal, hit.id, hit.distance, hit.score, hit.metadata, hit.content)
    }))
}

#[pg_extern(schema = "lake", name = "vector_search_many", stable)]
#[expect(clippy::type_complexity, reason = "the SQL signature")]
pub fn vector_search_many_reals(
    store: Option<RegClass>,
    queries: Option<Array<'_, f32>>,
    k: default!(Option<i32>, "10"),
    filter: default!(Option<JsonbText>, "NULL"),
    max_distance: default!(Option<f64>, "NULL"),
    mode: default!(Option<&str>, "'auto'"),
    ef_search: default!(Option<i32>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(ordinal, i64),
            name!(id, String),
            name!(distance, f64),
            name!(score, f64),
            name!(metadata, Option<JsonbCopy>),
            name!(content, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let known = known(store)?;
    let queries = Reals::from_array(need(queries, "queries")?);
    let many = Many { k, filter, max_distance, mode, ef_search };
    Ok(answers(many.run(&known, &queries)?))
}

#[pg_extern(schema = "lake", name = "vector_search_many", stable)]
#[expect(clippy::type_complexity, reason = "the SQL signature")]
pub fn vector_search_many_bytes(
    store: Option<RegClass>,
    queries: Option<&[u8]>,
    k: default!(Option<i32>, "10"),
    filter: default!(Option<JsonbText>, "NULL"),
    max_distance: default!(Option<f64>, "NULL"),
    mode: default!(Option<&str>, "'auto'"),
    ef_search: default!(Option<i32>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(ordinal, i64),
            name!(id, String),
            name!(distance, f64),
            name!(score, f64),
            name!(metadata, Option<JsonbCopy>),
            name!(content, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let known = known(store)?;
    let queries = Reals::from_bytes("queries", need(queries, "queries")?)?;
    let many = Many { k, filter, max_distance, mode, ef_search };
    Ok(answers(many.run(&known, &queries)?))
}

#[pg_extern(schema = "lake", stable)]
#[expect(clippy::type_complexity, reason = "the SQL signature")]
pub fn vector_recommend(
    store: Option<RegClass>,
    positive: Option<Vec<Option<String>>>,
    negative: default!(Option<Vec<Option<String>>>, "NULL"),
    k: default!(Option<i32>, "10"),
    filter: default!(Option<JsonbText>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(distance, f64),
            name!(score, f64),
            name!(metadata, Option<JsonbCopy>),
            name!(content, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let known = known(store)?;
    let hits = recommend::recommend(
        &known,
        &need(positive, "positive")?,
        &negative.unwrap_or_default(),
        check_k(k)?,
        filter.as_ref(),
    )?;
    Ok(TableIterator::new(
        hits.into_iter().map(|hit| (hit.id, hit.distance, hit.score, hit.metadata, hit.content)),
    ))
}

#[pg_extern(schema = "lake", stable)]
#[expect(clippy::too_many_arguments, clippy::type_complexity, reason = "the SQL signature")]
pub fn vector_hybrid_search(
    store: Option<RegClass>,
    query: Option<Array<'_, f32>>,
    query_text: Option<&str>,
    k: default!(Option<i32>, "10"),
    vector_weight: default!(Option<f64>, "1.0"),
    text_weight: default!(Option<f64>, "1.0"),
    rrf_k: default!(Option<i32>, "60"),
    filter: default!(Option<JsonbText>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(score, f64),
            name!(distance, Option<f64>),
            name!(text_rank, Option<f64>),
            name!(metadata, Option<JsonbCopy>),
            name!(content, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let known = known(store)?;
    let rows = hybrid::search(
        &known,
        &Hybrid {
            values: query_values(&known.vector, query.map(Reals::from_array).as_ref())?,
            text: need(query_text, "query_text")?,
            k: check_k(k)?,
            vector_weight: need(vector_weight, "vector_weight")?,
            text_weight: need(text_weight, "text_weight")?,
            rrf_k: need(rrf_k, "rrf_k")?,
            filter: filter.as_ref(),
        },
    )?;
    Ok(TableIterator::new(
        rows.into_iter()
            .map(|row| (row.id, row.score, row.distance, row.text_rank, row.metadata, row.content)),
    ))
}
