//! What upserts of all families have in common: what becomes of a row, the counts of a batch, and of
//! several rows with one id the last.

use crate::catalog::reject::Replayed;
use crate::names::Relation;
use pgrx::PgSqlErrorCode;
use std::collections::HashMap;

/// What became of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Inserted,
    Updated,
    /// Nothing was written: the row was the same, or the mode didn't want it.
    Unchanged,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Inserted => "inserted",
            Outcome::Updated => "updated",
            Outcome::Unchanged => "unchanged",
        }
    }
}

/// What became of a batch; the four add up to its rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub inserted: i64,
    pub updated: i64,
    pub unchanged: i64,
    /// Refused, or superseded by a later row with the same id.
    pub rejected: i64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.rejected += other.rejected;
    }
}

impl Counts {
    /// As the columns of `…_upsert_many`.
    pub const fn columns(self) -> (i64, i64, i64, i64) {
        (self.inserted, self.updated, self.unchanged, self.rejected)
    }

    /// What a replay of rejected rows that came to this reports.
    pub const fn replayed(self) -> Replayed {
        Replayed {
            accepted: self.inserted + self.updated + self.unchanged,
            rejected: self.rejected,
        }
    }
}

/// How many, as SQL counts.
pub fn length<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

/// Keeps the last row of each id, and returns the others, each with the ordinal of the one that
/// superseded it.
pub fn last_wins<T>(
    rows: &mut Vec<T>,
    id: impl Fn(&T) -> &str,
    ordinal: impl Fn(&T) -> i64,
) -> Vec<(T, i64)> {
    let last: HashMap<String, i64> =
        rows.iter().map(|row| (id(row).to_owned(), ordinal(row))).collect();
    if last.len() == rows.len() {
        return Vec::new();
    }
    let (kept, superseded): (Vec<_>, Vec<_>) =
        std::mem::take(rows).into_iter().partition(|row| last[id(row)] == ordinal(row));
    *rows = kept;
    superseded
        .into_iter()
        .map(|row| {
            let by = last[id(&row)];
            (row, by)
        })
        .collect()
}

/// Notifies of superseded rows (`noun`: row, feature), the first few by `label`.
pub fn report_superseded<T>(
    relation: &Relation,
    noun: &str,
    rows: usize,
    superseded: &[(T, i64)],
    label: impl Fn(&T) -> String,
) {
    if superseded.is_empty() {
        return;
    }
    let first: Vec<String> = superseded
        .iter()
        .take(5)
        .map(|(row, by)| format!("{} by {noun} {by}", label(row)))
        .collect();
    let more = if superseded.len() > first.len() { ", …" } else { "" };
    pgrx::pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!(
            "{} of {rows} {noun}s for {relation} were superseded by a later {noun} with the same id",
            superseded.len()
        ),
        pgrx::function_name!(),
    )
    .set_detail(format!("{}{more}.", first.join(", ")))
    .report(pgrx::PgLogLevel::NOTICE);
}
