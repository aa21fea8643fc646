//! Indexes that serve comparisons on a key of the metadata (`docs/decisions/0006-metadata-indexes.md`).

use super::create::notice;
use super::store::{Column, VectorStore};
use crate::access;
use crate::error::{Error, Result};
use crate::filter;
use crate::names;
use crate::regclass::RegClass;
use crate::spi::{self, LocalSettings};
use pgrx::{PgSqlErrorCode, pg_sys};

/// How the values of a key compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Number,
    Text,
}

impl Kind {
    /// `None` for `auto`; 22023 for what isn't a kind.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        match text {
            "auto" => Ok(None),
            "number" => Ok(Some(Kind::Number)),
            "text" => Ok(Some(Kind::Text)),
            other => Err(Error::invalid_parameter(format!("type can't be \"{other}\"")).hint(
                "It is 'auto', 'number' or 'text'; dates in ISO form are text. Equality needs no index of its own.",
            )),
        }
    }
}

/// Rows from which the kind of a key's values is told.
const SAMPLE: i32 = 1_000;

/// Makes an index for comparisons with a key, or finds the one that there is. 42501 but for the
/// owner, 22023 where the kind of the key's values isn't clear.
pub fn make(vector: &VectorStore, key: &str, kind: Option<Kind>) -> Result<RegClass> {
    let relation = vector.relation();
    access::require_owner(relation)?;
    let path = filter::path(key)?;
    let Some(column) = &vector.metadata else {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("{relation} has no metadata column"),
        ));
    };
    let kind = match kind {
        Some(kind) => kind,
        None => kind_of_values(vector, key, &path)?,
    };
    let (expression, guard) = expression(column, &path, kind);
    let _path = LocalSettings::safe_search_path();
    let before = indexes(vector)?;
    spi::execute(&format!("CREATE INDEX ON {relation} (({expression})) WHERE {guard}"), &[])?;
    let after = indexes(vector)?;
    let made = after
        .iter()
        .find(|new| before.iter().all(|old| old.oid != new.oid))
        .ok_or_else(|| Error::internal("the index that was made isn't there"))?;
    if let Some(same) = before.iter().find(|old| old.what == made.what) {
        spi::execute(&format!("DROP INDEX {}", made.name), &[])?;
        notice(
            format!("{} serves comparisons with \"{key}\" already", same.name),
            "Nothing was made.",
        );
        return Ok(RegClass(same.oid));
    }
    // Without statistics of the expression the planner doesn't know what the index is good for.
    spi::execute(&format!("ANALYZE {relation}"), &[])?;
    Ok(RegClass(made.oid))
}

/// What is indexed of a key, and the condition of the partial index. As the filter's conditions have them,
/// with the names as constants: the value (of a string its beginning), and what guards its type, which
/// also keeps what doesn't compare out of the index.
fn expression(column: &Column, path: &[String], kind: Kind) -> (String, String) {
    let mut document = column.quoted();
    if column.is_json() {
        document = format!("({document})::pg_catalog.jsonb");
    }
    let value = |last: &str| {
        path.iter().enumerate().fold(document.clone(), |value, (index, name)| {
            let arrow = if index + 1 == path.len() { last } else { "->" };
            let name = names::literal(name);
            format!("({value} OPERATOR(pg_catalog.{arrow}) {name}::pg_catalog.text)")
        })
    };
    let (expression, type_name) = match kind {
        Kind::Number => (value("->"), "number"),
        Kind::Text => (
            format!(
                "pg_catalog.\"left\"({}, {}) COLLATE pg_catalog.\"C\"",
                value("->>"),
                lake_filter::PREFIX
            ),
            "string",
        ),
    };
    let guard = format!(
        "pg_catalog.jsonb_typeof({}) OPERATOR(pg_catalog.=) '{type_name}'::pg_catalog.text",
        value("->")
    );
    (expression, guard)
}

/// Whether an index of the table serves comparisons with a key.
pub fn compares(vector: &VectorStore, path: &[String], kind: Kind) -> Result<bool> {
    let Some(column) = &vector.metadata else { return Ok(false) };
    let guard = bare(&expression(column, path, kind).1);
    Ok(indexes(vector)?.iter().any(|index| bare(&index.condition) == guard))
}

/// An expression as it is the same however Postgres writes it down.
fn bare(expression: &str) -> String {
    let mut text = expression.replace("pg_catalog.", "");
    for operator in ["->", "="] {
        text = text.replace(&format!("OPERATOR({operator})"), operator);
    }
    text.retain(|c| !matches!(c, '(' | ')'));
    text
}

/// Whether a GIN index on the whole of the metadata serves equality and containment.
pub fn contains(vector: &VectorStore) -> Result<bool> {
    let Some(column) = &vector.metadata else { return Ok(false) };
    let _path = LocalSettings::safe_search_path();
    spi::scalar(
        "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             JOIN pg_am a ON a.oid = c.relam \
             WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND a.amname = 'gin' \
               AND (i.indkey[0] = $2 OR pg_get_expr(i.indexprs, i.indrelid) = '(' || quote_ident($3) || ')::jsonb'))",
        &[vector.relation().oid.into(), column.number.into(), column.name.as_str().into()],
    )
}

struct Index {
    oid: pg_sys::Oid,
    name: String,
    /// All of its definition but the name.
    what: String,
    /// The condition of a partial one; else empty.
    condition: String,
}

/// The valid B-tree indexes of the table.
fn indexes(vector: &VectorStore) -> Result<Vec<Index>> {
    let _path = LocalSettings::safe_search_path();
    spi::rows(
        "SELECT c.oid, format('%I.%I', n.nspname, c.relname), \
                concat_ws(' ', i.indkey, i.indclass, i.indcollation, i.indoption, \
                          pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid)), \
                coalesce(pg_get_expr(i.indpred, i.indrelid), '') \
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam \
         WHERE i.indrelid = $1 AND i.indisvalid AND a.amname = 'btree' \
         ORDER BY c.oid",
        &[vector.relation().oid.into()],
        |row| {
            Ok(Index {
                oid: spi::need(row, 1)?,
                name: spi::need(row, 2)?,
                what: spi::need(row, 3)?,
                condition: spi::need(row, 4)?,
            })
        },
    )
}

/// What the key's values are in the first rows that have it.
fn kind_of_values(vector: &VectorStore, key: &str, path: &[String]) -> Result<Kind> {
    let value = vector.metadata_at(path.len());
    let args: Vec<_> = path.iter().map(|name| name.as_str().into()).collect();
    let kinds = spi::rows(
        &format!(
            "SELECT DISTINCT pg_catalog.jsonb_typeof(s.value) FROM (SELECT {value} AS value FROM {} AS t \
             WHERE {value} IS NOT NULL LIMIT {SAMPLE}) AS s",
            vector.relation()
        ),
        &args,
        |row| spi::need::<String>(row, 1),
    )?;
    let has = |kind: &str| kinds.iter().any(|found| found == kind);
    match (has("number"), has("string")) {
        (true, false) => Ok(Kind::Number),
        (false, true) => Ok(Kind::Text),
        (true, true) => Err(Error::invalid_parameter(format!(
            "\"{key}\" has numbers and strings, which compare each by an index of its own"
        ))
        .hint("Say which: type => 'number' or type => 'text'.")),
        (false, false) => Err(Error::invalid_parameter(match kinds.is_empty() {
            true => format!("no row of {} has \"{key}\"", vector.relation()),
            false => {
                format!("\"{key}\" has neither numbers nor strings, and nothing else compares")
            }
        })
        .hint("type => 'number' or type => 'text' makes an index all the same.")),
    }
}
