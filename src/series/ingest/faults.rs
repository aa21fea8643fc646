//! What becomes of the points that can't be taken: the first is raised, or all are recorded.

use crate::catalog::Store;
use crate::catalog::reject::{self, OnError, Reject};
use crate::error::{Error, Result};
use crate::series::points::{Batch, Fault, brief};
use pgrx::PgSqlErrorCode;
use serde_json::Value;

/// Under [`OnError::Raise`], the fault of the first bad point as an error.
pub fn raise_first(
    store: &Store,
    batch: &Batch<'_>,
    faults: &[(u32, Fault)],
    on_error: OnError,
) -> Result<()> {
    if on_error == OnError::Reject {
        return Ok(());
    }
    let Some((ordinal, fault)) = faults.iter().min_by_key(|(ordinal, _)| *ordinal) else {
        return Ok(());
    };
    let code = match fault.code {
        "duplicate" => PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION,
        "undefined_metric" => PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        "null_ts" | "null_metric" | "null_tags" | "null_value" | "null_series" => {
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED
        }
        "too_many_series" => PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        "not_an_object" | "unknown_field" | "bad_timestamp" | "bad_metric" | "bad_series"
        | "bad_value" | "tags_not_object" | "tag_not_text" | "text_field" => {
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE
        }
        "bad_line" => PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION,
        _ => PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
    };
    let others = match faults.len() - 1 {
        0 => String::new(),
        1 => " One more point of the batch is bad.".to_owned(),
        n => format!(" {n} more points of the batch are bad."),
    };
    Err(Error::new(
        code,
        format!(
            "{}, {} {}: {}",
            store.relation,
            batch.noun(),
            batch.place(*ordinal),
            fault.message
        ),
    )
    .detail(format!("The point is {}.{others}", batch.payload(*ordinal)))
    .hint(hint(fault.code, store)))
}

fn hint(code: &str, store: &Store) -> String {
    let table = &store.relation;
    match code {
        "too_far_in_future" | "too_old" => {
            let option = if code == "too_old" { "max_past" } else { "max_future" };
            format!(
                "The limit is the option {option} of the store (lake.series_set_options) or of the metric \
                 (lake.series_define_metric)."
            )
        }
        "undefined_metric" => format!(
            "SELECT lake.series_define_metric('{table}', …), or set the option strict to false."
        ),
        "text_field" => "With text_fields => 'skip' fields of text are passed over.".into(),
        "duplicate" => "With on_conflict => 'ignore' or 'replace' it is no fault.".into(),
        _ => "With on_error => 'reject' good points are written and bad ones go to lake.rejects."
            .into(),
    }
}

/// Writes all faults to `lake.rejects`, by ordinal. Each is made, written and forgotten before the next:
/// a batch may be bad as a whole.
pub fn record(store: &Store, batch: &Batch<'_>, faults: &mut [(u32, Fault)]) -> Result<()> {
    faults.sort_by_key(|(ordinal, _)| *ordinal);
    reject::record_each(
        store,
        faults.iter().map(|(ordinal, fault)| {
            let payload = batch.payload(*ordinal);
            Reject {
                ordinal: i64::from(batch.place(*ordinal)),
                id: row_id(&payload),
                code: fault.code.to_owned(),
                message: fault.message.clone(),
                pointer: fault.pointer.clone(),
                payload: payload.to_string(),
            }
        }),
    )?;
    Ok(())
}

/// What names a point: its metric, tags and time, as far as they are there.
fn row_id(payload: &Value) -> Option<String> {
    let metric = payload.get("metric")?.as_str()?;
    let tags = payload.get("tags").map_or_else(|| "{}".to_owned(), brief);
    let ts = payload.get("ts").map_or_else(String::new, |ts| {
        format!(" at {}", ts.as_str().map_or_else(|| brief(ts), str::to_owned))
    });
    // A NUL can't go into a text column.
    Some(format!("{metric} {tags}{ts}").replace('\0', "\u{fffd}"))
}
