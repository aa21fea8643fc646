//! The SQL functions about the life of a series store.

use crate::error::{Error, SqlResult};
use crate::regclass::RegClass;
use crate::series::{options, retention};
use pgrx::JsonB;
use pgrx::datum::Interval;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/install/53_series_lifecycle.sql",
    name = "series_lifecycle_sql",
    requires = ["catalog", series_set_metric_retention]
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
