//! The SQL functions of watches.

use super::compare::{self, Scope};
use super::create::{self, Wanted};
use super::definition;
use crate::access;
use crate::error::SqlResult;
use crate::geo::api::{given, places};
use crate::geo::store::Places;
use crate::regclass::RegClass;
use pgrx::datum::Interval;
use pgrx::prelude::*;

#[pg_extern(schema = "lake")]
fn geo_watch(
    store: Option<RegClass>,
    fences: Option<RegClass>,
    name: default!(Option<&str>, "NULL"),
    dwell: default!(Option<Interval>, "NULL"),
    notify: default!(Option<&str>, "NULL"),
    keep: default!(Option<Interval>, "NULL"),
) -> SqlResult<RegClass> {
    let places = places(store)?;
    let fences = Places::find(given(fences, "fences")?)?;
    let wanted = Wanted { name, dwell, channel: notify, keep };
    Ok(RegClass(create::create(&places, &fences, &wanted)?))
}

#[pg_extern(schema = "lake")]
fn geo_refresh_watch(events: Option<RegClass>) -> SqlResult<i64> {
    let watch = definition::find(given(events, "events")?)?;
    access::require_owner(&watch.places.table)?;
    compare::lock(&watch, &Scope::All);
    Ok(compare::compare(&watch, &Scope::All, false)?)
}

#[pg_extern(schema = "lake")]
fn geo_unwatch(
    events: Option<RegClass>,
    keep_events: default!(Option<bool>, "false"),
) -> SqlResult<()> {
    let watch = definition::find(given(events, "events")?)?;
    create::drop(&watch, given(keep_events, "keep_events")?)?;
    Ok(())
}
