//! From points to rows: rules, series, chunks, then one statement for the whole batch.
//!
//! Locks are taken in one order by everybody: new series first, then the lock for making chunks,
//! then rows by `(series_id, ts)`; so calls of this function don't deadlock with each other.
//!
//! [`rules`] — what points are held to; [`series`] — whose they are; [`mod@write`], [`order`] — the statement;
//! [`faults`] — what becomes of bad ones.

mod faults;
mod order;
mod rules;
mod series;
mod write;

use crate::catalog::Store;
use crate::catalog::reject::OnError;
use crate::error::{Error, Result};
use crate::series::backend::Backend;
use crate::series::points::{Batch, Fault, Point, Series, brief, time_text};
use lake_chunks::Micros;
use serde_json::Value;

/// What happens to a point whose series has one at that time already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The one that is there stays; of several in a batch the first counts.
    Ignore,
    /// It is replaced; of several in a batch the last counts.
    Replace,
    /// It is a fault, `duplicate`.
    Error,
}

impl OnConflict {
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "ignore" => Ok(OnConflict::Ignore),
            "replace" => Ok(OnConflict::Replace),
            "error" => Ok(OnConflict::Error),
            other => Err(Error::invalid_parameter(format!("on_conflict can't be \"{other}\""))
                .hint("It is 'ignore' (what is there stays), 'replace' or 'error'.")),
        }
    }
}

/// What came of a batch. The three add up to its size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Rows written: new ones, and replaced ones whose value changed.
    pub accepted: i64,
    /// Points that were there already, or several times in the batch.
    pub duplicate: i64,
    pub rejected: i64,
}

/// A point with the id of its series.
#[derive(Clone, Copy)]
struct Row {
    series_id: i64,
    point: Point,
}

pub fn ingest(
    store: &Store,
    mut batch: Batch<'_>,
    on_error: OnError,
    on_conflict: OnConflict,
) -> Result<Ingested> {
    let mut faults = std::mem::take(&mut batch.faults);
    let mut points = rules::obey(store, &batch, &mut faults)?;
    faults::raise_first(store, &batch, &faults, on_error)?;

    let ids = series::ids_of(store, &batch, &mut points, &mut faults)?;
    faults::raise_first(store, &batch, &faults, on_error)?;

    let mut rows: Vec<Row> = points
        .iter()
        .filter_map(|point| {
            ids[point.series as usize].map(|series_id| Row { series_id, point: *point })
        })
        .collect();
    rows.sort_unstable_by_key(|row| (row.series_id, row.point.ts, row.point.ordinal));
    let mut duplicate = merge(&batch, &mut rows, on_conflict, &mut faults);
    faults::raise_first(store, &batch, &faults, on_error)?;

    let mut accepted = 0;
    if !rows.is_empty() {
        let mut instants: Vec<Micros> = rows.iter().map(|row| row.point.ts).collect();
        instants.sort_unstable();
        instants.dedup();
        Backend::of(store)?.ensure_chunks(store, &instants)?;
        accepted = write_rows(store, &batch, &rows, on_conflict, &mut faults)?;
        if on_conflict != OnConflict::Error {
            duplicate += rows.len() as i64 - accepted;
        }
        faults::raise_first(store, &batch, &faults, on_error)?;
    }
    faults::record(store, &batch, &mut faults)?;
    Ok(Ingested { accepted, duplicate, rejected: faults.len() as i64 })
}

/// Leaves one row for each series and time; the number of those left out, which under
/// [`OnConflict::Error`] are faults instead. `rows` are sorted, within a time by ordinal.
fn merge(
    batch: &Batch<'_>,
    rows: &mut Vec<Row>,
    on_conflict: OnConflict,
    faults: &mut Vec<(u32, Fault)>,
) -> i64 {
    let before = rows.len();
    rows.dedup_by(|later, kept| {
        let same = later.series_id == kept.series_id && later.point.ts == kept.point.ts;
        if same {
            match on_conflict {
                OnConflict::Ignore => {}
                OnConflict::Replace => *kept = *later,
                OnConflict::Error => faults.push((
                    later.point.ordinal,
                    duplicate(
                        batch,
                        later,
                        &format!(
                            "comes again, after {} {}",
                            batch.noun(),
                            batch.place(kept.point.ordinal)
                        ),
                    ),
                )),
            }
        }
        same
    });
    if on_conflict == OnConflict::Error { 0 } else { (before - rows.len()) as i64 }
}

fn duplicate(batch: &Batch<'_>, row: &Row, what: &str) -> Fault {
    let series = &batch.series[row.point.series as usize];
    Fault::new(
        "duplicate",
        "/ts",
        format!("{} at {} {what}", series_text(series), time_text(row.point.ts)),
    )
}

fn series_text(series: &Series<'_>) -> String {
    format!("{} {}", series.metric, brief(&Value::Object(series.tags().clone())))
}

/// Writes all rows and returns how many were written; under [`OnConflict::Error`] those that were there
/// become faults.
fn write_rows(
    store: &Store,
    batch: &Batch<'_>,
    rows: &[Row],
    on_conflict: OnConflict,
    faults: &mut Vec<(u32, Fault)>,
) -> Result<i64> {
    if on_conflict != OnConflict::Error {
        return write::write(&store.relation, rows, on_conflict);
    }
    let written = write::write_telling(&store.relation, rows)?;
    for row in rows {
        if !written.contains(&(row.series_id, row.point.ts)) {
            let fault = duplicate(batch, row, "is in the store already");
            faults.push((row.point.ordinal, fault));
        }
    }
    Ok(written.len() as i64)
}
