//! The SQL function `lake.series_plot`.

use super::api::{need, object};
use crate::error::SqlResult;
use crate::regclass::RegClass;
use crate::series::options;
use crate::series::plot::{self, Picture};
use crate::series::query::Query;
use pgrx::JsonB;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/install/54_series_plot.sql",
    name = "series_plot_sql",
    requires = ["series_sql", series_plot]
);

#[pg_extern(schema = "lake", stable)]
#[allow(clippy::too_many_arguments)]
pub fn series_plot(
    store: Option<RegClass>,
    metric: Option<&str>,
    tags: default!(Option<JsonB>, "'{}'"),
    from_ts: default!(Option<TimestampWithTimeZone>, "NULL"),
    to_ts: default!(Option<TimestampWithTimeZone>, "NULL"),
    bucket: default!(Option<Interval>, "NULL"),
    agg: default!(Option<&str>, "'avg'"),
    width: default!(Option<i32>, "800"),
    height: default!(Option<i32>, "400"),
    title: default!(Option<&str>, "NULL"),
    max_series: default!(Option<i32>, "12"),
) -> SqlResult<String> {
    let store = options::find_metric(need("store", store)?, "series_plot")?;
    let query = Query {
        metric: need("metric", metric)?,
        tags: object(tags),
        from: from_ts,
        to: to_ts,
        bucket,
        agg: need("agg", agg)?,
        fill: None,
    };
    let picture = Picture {
        width: need("width", width)?,
        height: need("height", height)?,
        title,
        max_series: need("max_series", max_series)?,
    };
    Ok(plot::svg(&store, &query, &picture)?)
}
