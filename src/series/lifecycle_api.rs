//! The SQL functions about the life of a series store.

use crate::error::{Error, SqlResult};
use crate::regclass::RegClass;
use crate::series::{interval, options, retention};
use pgrx::JsonB;
use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/install/53_series_lifecycle.sql",
    name = "series_lifecycle_sql",
    requires = ["catalog", series_advise_interval, series_set_metric_retention]
);

#[pg_extern(schema = "lake")]
pub fn series_set_metric_retention(
    store: Option<RegClass>,
    metric: Option<&str>,
    keep: Option<Interval>,
    tags: default!(Option<JsonB>, "'{}'"),
) -> SqlResult<()> {
    let store = store.ok_or_else(|| Error::null_value("store must not be null"))?;
    let tags = tags.ok_or_else(|| Error::null_value("tags must not be null"))?;
    let store = options::find_metric(store, "series_set_metric_retention")?;
    retention::set_metric(&store, metric, keep, &tags.0)?;
    Ok(())
}

#[pg_extern(schema = "lake")]
#[allow(clippy::type_complexity)]
pub fn series_advise_interval(
    store: Option<RegClass>,
    target_bytes: default!(Option<i64>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (name!(chunk_interval, Interval), name!(reason, String), name!(figures, JsonB)),
    >,
    ErrorReport,
> {
    let store = options::find(store.ok_or_else(|| Error::null_value("store must not be null"))?)?;
    let advised = interval::advise(&store, target_bytes, interval::clock()?)?;
    let text = advised.advice.and_then(|advice| advice.width).unwrap_or(&advised.present);
    let width = options::interval_of("chunk_interval", text)?;
    Ok(TableIterator::once((width, advised.reason(), JsonB(advised.figures()))))
}
