//! The SQL functions of rollups.

use super::create::{self, Wanted};
use super::{definition, refresh};
use crate::access;
use crate::error::{Error, Result, SqlResult};
use crate::regclass::RegClass;
use crate::series::zone::{self, Zone};
use crate::series::{options, time};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;

fn need<T>(name: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::null_value(format!("{name} must not be null")))
}

#[expect(clippy::too_many_arguments, reason = "they are what SQL passes")]
#[pg_extern(schema = "lake")]
fn series_add_rollup(
    store: Option<RegClass>,
    name: Option<&str>,
    bucket: Option<Interval>,
    aggregates: default!(Option<Vec<Option<String>>>, "'{avg,min,max,count}'"),
    refresh_lag: default!(Option<Interval>, "'1 minute'"),
    keep: default!(Option<Interval>, "NULL"),
    timezone: default!(Option<&str>, "'UTC'"),
    value_column: default!(Option<&str>, "NULL"),
) -> SqlResult<RegClass> {
    let store = need("store", store)?;
    let lower = definition::of_view(store)?;
    let store = options::find(lower.as_ref().map_or(store, |lower| RegClass(lower.store.oid)))?;
    let aggregates = need("aggregates", aggregates)?
        .into_iter()
        .map(|aggregate| need("an entry of aggregates", aggregate))
        .collect::<Result<Vec<_>>>()?;
    let wanted = Wanted {
        name: need("name", name)?,
        bucket: need("bucket", bucket)?,
        aggregates,
        refresh_lag: need("refresh_lag", refresh_lag)?,
        keep,
        timezone: need("timezone", timezone)?,
        value_column,
    };
    Ok(RegClass(create::create(&store, lower, wanted)?))
}

#[pg_extern(schema = "lake")]
fn series_refresh_rollup(
    rollup: Option<RegClass>,
    from_ts: default!(Option<TimestampWithTimeZone>, "NULL"),
    to_ts: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> SqlResult<i64> {
    let rollup = definition::find(need("rollup", rollup)?)?;
    access::require_owner(&rollup.store)?;
    let store = options::find(RegClass(rollup.store.oid))?;
    let owner = access::owner_of(&rollup.store)?;
    Ok(access::as_role(owner, || refresh::all(&store, &rollup, from_ts, to_ts))?)
}

#[pg_extern(schema = "lake")]
fn series_drop_rollup(rollup: Option<RegClass>) -> SqlResult<()> {
    create::drop(&definition::find(need("rollup", rollup)?)?)?;
    Ok(())
}

/// The end of the bucket that holds `ts`; an infinity is its own.
pub fn end_of(
    width: &Interval,
    ts: TimestampWithTimeZone,
    timezone: &str,
) -> Result<TimestampWithTimeZone> {
    let instant = time::from_pg(ts);
    if !time::is_finite(instant) {
        return Ok(ts);
    }
    let buckets = zone::buckets(width, Zone::named(timezone)?, None)?;
    time::to_pg(buckets.next(buckets.start(instant)))
}

#[pg_extern(schema = "_lake", stable, parallel_safe, strict)]
fn bucket_end(
    width: Interval,
    ts: TimestampWithTimeZone,
    timezone: &str,
) -> SqlResult<TimestampWithTimeZone> {
    Ok(end_of(&width, ts, timezone)?)
}
