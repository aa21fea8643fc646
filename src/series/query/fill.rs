//! Rows for buckets that have no points.

use super::{Query, Row};
use crate::error::{Error, Result};
use crate::series::time;
use lake_chunks::Micros;
use lake_chunks::bucket::Buckets;
use lake_chunks::gapfill::{self, Fill};
use pgrx::PgSqlErrorCode;

/// The most rows that filling gaps may make: more is a bucket far too narrow for the range.
const MAX_FILLED_ROWS: usize = 10_000_000;

pub fn parse(text: &str) -> Result<Fill> {
    Fill::parse(text).ok_or_else(|| {
        Error::invalid_parameter(format!("fill can't be \"{text}\""))
            .hint("It is 'null', 'previous', 'linear', or a number in quotes such as '0'.")
    })
}

/// Every bucket of the range for every series that has one: from `from` or the series' first bucket,
/// to `to` or its last.
pub fn gaps(
    rows: Vec<Row>,
    fill: Fill,
    query: &Query<'_>,
    buckets: &Buckets<impl Fn(Micros) -> Micros>,
) -> Result<Vec<Row>> {
    let mut out = Vec::with_capacity(rows.len());
    for of_series in rows.chunk_by(|a, b| a.series == b.series) {
        let (Some(first), Some(last)) = (of_series.first(), of_series.last()) else { continue };
        let start = query.from.map_or(first.ts, |from| buckets.start(time::from_pg(from)));
        let end = query.to.map_or(last.ts + 1, time::from_pg);
        let mut all = Vec::new();
        let mut at = start;
        while at < end {
            pgrx::check_for_interrupts!();
            all.push(at);
            at = buckets.next(at);
            if out.len() + all.len() > MAX_FILLED_ROWS {
                return Err(Error::new(
                    PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                    format!("filling the gaps makes more than {MAX_FILLED_ROWS} rows"),
                )
                .hint("Take a wider bucket, a shorter range, or fewer series."));
            }
        }
        let present: Vec<_> = of_series.iter().map(|row| (row.ts, row.value)).collect();
        let series = first.series;
        out.extend(gapfill::fill(&present, &all, fill).into_iter().map(|(ts, value)| Row {
            ts,
            series,
            value,
        }));
    }
    Ok(out)
}
