//! Instants between Postgres and [`lake_chunks`].

use crate::error::{Error, Result};
use lake_chunks::Micros;
use pgrx::PgSqlErrorCode;
use pgrx::datum::TimestampWithTimeZone;

/// As Postgres holds it. 22008 for an instant that no timestamp can hold.
pub fn to_pg(instant: Micros) -> Result<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(instant).map_err(|_| {
        Error::new(PgSqlErrorCode::ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range")
    })
}

/// Microseconds; the infinities are the extremes of `i64`.
pub fn from_pg(ts: TimestampWithTimeZone) -> Micros {
    ts.into_inner()
}

/// Whether the instant is a real one: not an infinity.
pub fn is_finite(instant: Micros) -> bool {
    instant != Micros::MIN && instant != Micros::MAX
}
