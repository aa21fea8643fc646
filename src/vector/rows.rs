//! Rows by their ids or by a filter: get, delete, count.

use super::search::compile;
use super::store::VectorStore;
use crate::error::{Error, Result};
use crate::filter;
use crate::jsonb::JsonbText;
use crate::spi;
use pgrx::PgSqlErrorCode;
use pgrx::datum::DatumWithOid;
use std::collections::HashMap;

/// Which rows are meant: those with these ids, those that satisfy the filter, or both.
pub struct Selection<'a> {
    vector: &'a VectorStore,
    ids: Option<Vec<String>>,
    condition: String,
    params: Vec<lake_filter::Param>,
}

/// A row as stored.
pub struct Stored {
    pub id: String,
    pub embedding: Option<Vec<f32>>,
    pub metadata: Option<JsonbText>,
    pub content: Option<String>,
}

impl<'a> Selection<'a> {
    /// 22004 for a null id, 22P02 for one that isn't of the store's type, 22023 for a bad filter.
    pub fn new(
        vector: &'a VectorStore,
        ids: Option<&[Option<String>]>,
        filter: Option<&JsonbText>,
    ) -> Result<Self> {
        let ids = ids.map(|ids| canonical(vector, ids)).transpose()?;
        let compiled = compile(vector, filter, 2)?;
        let mut conditions = vec![compiled.sql];
        if ids.is_some() {
            conditions.push(format!(
                "{} OPERATOR(pg_catalog.=) ANY (($1::pg_catalog.text[])::pg_catalog.{}[])",
                VectorStore::col(&vector.id),
                vector.rules.id_type.type_name()
            ));
        }
        Ok(Self { vector, ids, condition: conditions.join(" AND "), params: compiled.params })
    }

    fn args(&self) -> Vec<DatumWithOid<'static>> {
        let mut args: Vec<DatumWithOid<'static>> = vec![self.ids.clone().into()];
        args.extend(filter::bind(&self.params));
        args
    }

    /// The rows, in the order of the ids where they were given, by id otherwise.
    pub fn get(&self, with_embedding: bool, max_rows: Option<i64>) -> Result<Vec<Stored>> {
        let vector = self.vector;
        let embedding = if with_embedding {
            format!("{}::pg_catalog.float4[]", VectorStore::col(&vector.embedding))
        } else {
            "NULL::pg_catalog.float4[]".into()
        };
        let sql = format!(
            "SELECT {id}::pg_catalog.text, {embedding}, {metadata}, {content} FROM {relation} AS t \
             WHERE {condition} ORDER BY {id}{limit}",
            id = VectorStore::col(&vector.id),
            metadata = vector.metadata_sql(),
            content = vector.content_sql(),
            relation = vector.relation(),
            condition = self.condition,
            limit = match (max_rows, &self.ids) {
                (Some(rows), None) => format!(" LIMIT {rows}"),
                _ => String::new(),
            }
        );
        let mut rows = spi::rows(&sql, &self.args(), |row| {
            Ok(Stored {
                id: spi::need(row, 1)?,
                embedding: spi::get(row, 2)?,
                metadata: spi::get(row, 3)?,
                content: spi::get(row, 4)?,
            })
        })?;
        if let Some(ids) = &self.ids {
            let position: HashMap<&str, usize> =
                ids.iter().enumerate().rev().map(|(index, id)| (id.as_str(), index)).collect();
            rows.sort_by_key(|row| position.get(row.id.as_str()).copied());
            if let Some(most) = max_rows.and_then(|rows| usize::try_from(rows).ok()) {
                rows.truncate(most);
            }
        }
        Ok(rows)
    }

    /// Deletes the rows and says how many there were.
    pub fn delete(&self) -> Result<i64> {
        self.counted(&format!(
            "WITH gone AS (DELETE FROM {} AS t WHERE {} RETURNING 1) \
             SELECT pg_catalog.count(*) FROM gone",
            self.vector.relation(),
            self.condition
        ))
    }

    /// Counts the rows.
    pub fn count(&self) -> Result<i64> {
        self.counted(&format!(
            "SELECT pg_catalog.count(*) FROM {} AS t WHERE {}",
            self.vector.relation(),
            self.condition
        ))
    }

    fn counted(&self, sql: &str) -> Result<i64> {
        spi::scalar(sql, &self.args())
    }
}

fn canonical(vector: &VectorStore, ids: &[Option<String>]) -> Result<Vec<String>> {
    ids.iter()
        .enumerate()
        .map(|(index, id)| {
            let place = index + 1;
            let id =
                id.as_deref().ok_or_else(|| Error::null_value(format!("id {place} is null")))?;
            vector.rules.id_type.canonical(id).ok_or_else(|| {
                Error::new(
                    PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION,
                    format!(
                        "id {place} (\"{id}\") is not of type {}, which {} has",
                        vector.rules.id_type.as_str(),
                        vector.relation()
                    ),
                )
            })
        })
        .collect()
}
