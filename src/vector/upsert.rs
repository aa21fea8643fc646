//! Checks rows, has the good ones written, and raises or records the others.

use super::store::VectorStore;
use super::write::{self, Good};
use crate::batch::{Counts, Outcome, last_wins, length, report_superseded};
use crate::catalog::Store;
use crate::catalog::reject::{self, OnError, Reject, Replayed};
use crate::catalog::run::sqlstate;
use crate::error::{Error, Result};
use lake_vectors::{Code, Fault, Mode, Row, payload};
use pgrx::PgSqlErrorCode;

/// Writes one row; its fault is raised.
pub fn one(vector: &VectorStore, row: &Row<'_>) -> Result<Outcome> {
    require_columns(vector, std::slice::from_ref(row))?;
    let id = vector.rules.row(row).map_err(|fault| {
        let id = row.id.as_deref().map(|id| format!(", id {}", shown(id))).unwrap_or_default();
        raise(&fault, format!("{}{id}: {}", vector.relation(), fault.message))
    })?;
    write::one(vector, (id, row))
}

/// Writes a batch.
pub fn many(vector: &VectorStore, rows: &[Row<'_>], on_error: OnError) -> Result<Counts> {
    require_columns(vector, rows)?;
    let mut rejects = vec![];
    let mut good: Vec<Good<'_>> = Vec::with_capacity(rows.len());
    for row in rows {
        pgrx::check_for_interrupts!();
        match vector.rules.row(row) {
            Ok(id) => good.push((id, row)),
            Err(fault) if on_error == OnError::Raise => {
                return Err(raise(
                    &fault,
                    format!("{} of {}: {}", label(row), vector.relation(), fault.message),
                )
                .hint(format!(
                    "{} on_error => 'reject' writes the good rows and records the bad ones in lake.rejects.",
                    fault.code.remedy()
                )));
            }
            Err(fault) => rejects.push(reject_of(
                row,
                fault.code.as_str(),
                &fault.message,
                Some(&fault.pointer),
                None,
            )),
        }
    }
    let superseded = last_wins(&mut good, |(id, _)| id, |(_, row)| row.ordinal);
    report_superseded(vector.relation(), "row", rows.len(), &superseded, |(_, row)| label(row));
    let (mut counts, refused) = write::all(vector, &mut good, on_error)?;
    rejects.extend(refused.iter().map(|(row, error)| {
        reject_of(row, &sqlstate(error.code as i32), &error.message, None, None)
    }));
    counts.rejected = length(&rejects) + length(&superseded);
    if on_error == OnError::Reject {
        rejects.extend(superseded.iter().map(|((_, row), by)| {
            let message = format!("superseded by row {by}, which has the same id");
            reject_of(row, Code::DuplicateId.as_str(), &message, Some("/id"), Some(*by))
        }));
        rejects.sort_by_key(|reject| reject.ordinal);
        if !rejects.is_empty() {
            vector.require_insert()?;
        }
        reject::record(&vector.store, &rejects)?;
    }
    Ok(counts)
}

/// Takes rejected rows (JSON texts, as in `lake.rejects.payload`) once more, as a batch under
/// `on_error => 'reject'`. Rows that were superseded in their own batch stay rejected: they are
/// older than what the table holds.
pub fn replay(store: &Store, payloads: &[String]) -> Result<Replayed> {
    let vector = VectorStore::load(Some(super::store::regclass(store)))?;
    let rows = super::batch::from_items(payloads.iter().map(String::as_str), Mode::Upsert)?;
    Ok(many(&vector, &rows, OnError::Reject)?.replayed())
}

/// An id in quotes, cut where it is too long to read.
fn shown(id: &str) -> String {
    const MOST: usize = 64;
    match id.char_indices().nth(MOST) {
        Some((end, _)) => format!("\"{}…\"", &id[..end]),
        None => format!("\"{id}\""),
    }
}

fn label(row: &Row<'_>) -> String {
    match &row.id {
        Some(id) => format!("row {} (id {})", row.ordinal, shown(id)),
        None => format!("row {}", row.ordinal),
    }
}

fn reject_of(
    row: &Row<'_>,
    code: &str,
    message: &str,
    pointer: Option<&str>,
    superseded_by: Option<i64>,
) -> Reject {
    Reject {
        ordinal: row.ordinal,
        // What isn't text for Postgres can't be recorded as such; the payload has it, escaped.
        id: row.id.as_deref().filter(|id| !id.contains('\0')).map(str::to_owned),
        code: code.to_owned(),
        message: message.to_owned(),
        pointer: pointer.map(str::to_owned),
        payload: payload(row, superseded_by),
    }
}

/// The error for a fault: its SQLSTATE, its code as detail, its remedy as hint.
fn raise(fault: &Fault, message: String) -> Error {
    let state = match fault.code {
        Code::NullId | Code::NullEmbedding | Code::NullElement => {
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED
        }
        Code::Nan | Code::Infinity | Code::OutOfRange | Code::NormOverflow => {
            PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE
        }
        Code::IdType => PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION,
        Code::NulCharacter => PgSqlErrorCode::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
        Code::IdLength => PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        Code::Dimension | Code::ZeroNorm => PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
        _ => PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
    };
    let at =
        if fault.pointer.is_empty() { String::new() } else { format!(" at {}", fault.pointer) };
    Error::new(state, message.replace('\0', "\\0"))
        .detail(format!("Code: {}{at}.", fault.code))
        .hint(fault.code.remedy())
}

/// A query vector that can't be asked, with the same checks and codes as a row; `name` says which it is.
pub fn check_query(vector: &VectorStore, query: &[f32], name: &str) -> Result<()> {
    vector.rules.embedding(query).map_err(|mut fault| {
        fault.pointer = fault.pointer.replacen("/embedding", "/query", 1);
        raise(
            &fault,
            format!(
                "search of {}: {}",
                vector.relation(),
                fault.message.replacen("embedding", name, 1)
            ),
        )
    })
}

/// 42703 where rows bring what the store has no column for.
fn require_columns(vector: &VectorStore, rows: &[Row<'_>]) -> Result<()> {
    let missing = |name: &str, row: &Row<'_>| {
        Error::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("{} has no column for {name}, which {} brings", vector.relation(), label(row)),
        )
        .hint("Leave it out, or forget the store, add a column and adopt the table again.")
    };
    let brings = |metadata: &str| !metadata.chars().all(|c| matches!(c, '{' | '}' | ' '));
    for row in rows {
        if vector.metadata.is_none() && row.metadata.as_deref().is_some_and(brings) {
            return Err(missing("metadata", row));
        }
        if vector.content.is_none() && row.content.is_some() {
            return Err(missing("content", row));
        }
    }
    Ok(())
}
