//! Walking through a store by key, and counting the values of a key of the metadata.

use super::rows::Stored;
use super::search::compile;
use super::store::VectorStore;
use crate::error::{Error, Result};
use crate::filter;
use crate::jsonb::JsonbText;
use crate::spi;
use pgrx::PgSqlErrorCode;
use pgrx::datum::DatumWithOid;

/// Most rows of one page, most values of one facet.
const MOST: i32 = 100_000;

fn limit(rows: i32, name: &str) -> Result<i32> {
    if (1..=MOST).contains(&rows) {
        return Ok(rows);
    }
    Err(Error::invalid_parameter(format!("{name} must be between 1 and {MOST}, not {rows}")))
}

/// The rows after an id, in the order of the ids. 22P02 for what isn't an id of the store.
pub fn scroll(
    vector: &VectorStore,
    after: Option<&str>,
    max_rows: i32,
    filter: Option<&JsonbText>,
    with_embedding: bool,
) -> Result<Vec<Stored>> {
    let max_rows = limit(max_rows, "max_rows")?;
    let id_type = vector.rules.id_type;
    let after = match after {
        Some(id) => Some(id_type.canonical(id).ok_or_else(|| {
            Error::new(
                PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION,
                format!(
                    "after (\"{id}\") is not of type {}, which the ids of {} are",
                    id_type.as_str(),
                    vector.relation()
                ),
            )
            .hint("It is the id of the last row of the page before; null for the first page.")
        })?),
        None => None,
    };
    let compiled = compile(vector, filter, 2)?;
    let id = VectorStore::col(&vector.id);
    let mut conditions = vec![compiled.sql];
    if after.is_some() {
        conditions.push(format!(
            "{id} OPERATOR(pg_catalog.>) ($1::pg_catalog.text)::pg_catalog.{}",
            id_type.type_name()
        ));
    } else if !vector.id.not_null {
        conditions.push(format!("{id} IS NOT NULL"));
    }
    let embedding = if with_embedding {
        format!("{}::pg_catalog.float4[]", VectorStore::col(&vector.embedding))
    } else {
        "NULL::pg_catalog.float4[]".into()
    };
    let sql = format!(
        "SELECT {id}::pg_catalog.text, {embedding}, {}, {} FROM {} AS t WHERE {} ORDER BY {id} LIMIT {max_rows}",
        vector.metadata_sql(),
        vector.content_sql(),
        vector.relation(),
        conditions.join(" AND ")
    );
    let mut args: Vec<DatumWithOid<'_>> = vec![after.into()];
    args.extend(filter::bind(&compiled.params));
    spi::rows(&sql, &args, |row| {
        Ok(Stored {
            id: spi::need(row, 1)?,
            embedding: spi::get(row, 2)?,
            metadata: spi::get(row, 3)?,
            content: spi::get(row, 4)?,
        })
    })
}

/// The values of a key and how many rows have each, the most frequent first. Of an array, each
/// element is a value. 22023 for a name that can't be a key, 42703 for a store without metadata.
pub fn facet(
    vector: &VectorStore,
    key: &str,
    filter: Option<&JsonbText>,
    max_values: i32,
) -> Result<Vec<(JsonbText, i64)>> {
    let max_values = limit(max_values, "max_values")?;
    let path = filter::path(key)?;
    if vector.metadata.is_none() {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("{} has no metadata column", vector.relation()),
        ));
    }
    let compiled = compile(vector, filter, path.len() + 1)?;
    let value = vector.metadata_at(path.len());
    let sql = format!(
        "SELECT v.value, pg_catalog.count(*) FROM (SELECT {value} AS value FROM {} AS t WHERE {}) AS s \
         CROSS JOIN LATERAL (SELECT DISTINCT e.value FROM pg_catalog.jsonb_array_elements(\
             CASE WHEN pg_catalog.jsonb_typeof(s.value) OPERATOR(pg_catalog.=) 'array'::pg_catalog.text \
                  THEN s.value ELSE pg_catalog.jsonb_build_array(s.value) END) AS e(value)) AS v \
         WHERE s.value IS NOT NULL GROUP BY v.value ORDER BY 2 DESC, 1 LIMIT {max_values}",
        vector.relation(),
        compiled.sql
    );
    let mut args: Vec<DatumWithOid<'_>> = path.iter().map(|part| part.as_str().into()).collect();
    args.extend(filter::bind(&compiled.params));
    spi::rows(&sql, &args, |row| Ok((spi::need(row, 1)?, spi::need(row, 2)?)))
}
