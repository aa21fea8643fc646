//! What watches need done while nothing moves: places that have stayed long enough are noted, and old
//! events go.
//!
//! That a place stayed is noted by who takes it out, too, where the job hasn't come yet, so that nothing
//! depends on when it runs.

use super::compare;
use super::definition::{self, Watch};
use crate::catalog::{Store, job};
use crate::error::Result;
use crate::spi;
use crate::workers::actions::{Progress, Step};
use pgrx::datum::TimestampWithTimeZone;
use serde_json::{Value, json};

/// What the job is called.
pub const ACTION: &str = "watch";

/// The most rows of a step.
const BATCH: i64 = 10_000;

/// Makes the job of a store that has watches which need one: it comes ten times in the shortest stay,
/// but not more often than each second and not less than each minute.
pub fn ensure(store: &Store) -> Result<()> {
    let schedule = spi::one::<String>(
        "SELECT GREATEST('1 second', LEAST('1 minute', pg_catalog.min(dwell) / 10))::pg_catalog.text \
         FROM _lake.geo_watch WHERE relid = $1::pg_catalog.regclass AND (dwell IS NOT NULL OR keep IS NOT NULL) \
         HAVING pg_catalog.count(*) > 0",
        &[store.oid().into()],
    )?;
    if let Some(schedule) = schedule {
        job::ensure(store, ACTION, &schedule, &json!({}))?;
    }
    Ok(())
}

/// Notes some stays, or takes some old events away.
pub fn step(store: &Store, _config: &Value, now: TimestampWithTimeZone) -> Result<Step> {
    for watch in definition::of_places(store.oid())? {
        for rows in [stayed(&watch, now)?, expired(&watch, now)?] {
            if rows > 0 {
                let subject = watch.events.to_string();
                return Ok(Step::Done(Progress { subject, rows, ..Progress::default() }));
            }
        }
    }
    Ok(Step::Idle)
}

/// Those that have been inside for long enough. One that is being moved is left to who moves it.
fn stayed(watch: &Watch, now: TimestampWithTimeZone) -> Result<i64> {
    let Some(dwell) = watch.dwell else { return Ok(0) };
    let (inside, events) = (&watch.inside, &watch.events);
    let told = match watch.channel {
        Some(_) => format!(", pg_catalog.count({})", compare::tell("$4", &events.to_string())),
        None => String::new(),
    };
    let sql = format!(
        "WITH due AS MATERIALIZED (SELECT place, fence FROM {inside} \
             WHERE NOT dwelt AND since <= $1::pg_catalog.timestamptz - $2::pg_catalog.interval \
             ORDER BY since LIMIT $3 FOR UPDATE SKIP LOCKED), \
         stay AS (UPDATE {inside} w SET dwelt = true FROM due d WHERE w.place = d.place AND w.fence = d.fence \
             RETURNING w.place, w.fence, w.since), \
         noted AS (INSERT INTO {events} (kind, at, place, fence, since) \
             SELECT 'dwell', since + $2, place, fence, since FROM stay ORDER BY since, place, fence \
             RETURNING event_id, kind, at, place, fence, since) \
         SELECT pg_catalog.count(*){told} FROM noted"
    );
    spi::scalar(&sql, &[now.into(), dwell.into(), BATCH.into(), watch.channel.as_deref().into()])
}

fn expired(watch: &Watch, now: TimestampWithTimeZone) -> Result<i64> {
    let Some(keep) = watch.keep else { return Ok(0) };
    let events = &watch.events;
    let gone = spi::execute(
        &format!(
            "DELETE FROM {events} WHERE event_id = ANY (ARRAY(SELECT event_id FROM {events} \
             WHERE at < $1::pg_catalog.timestamptz - $2::pg_catalog.interval ORDER BY at LIMIT $3))"
        ),
        &[now.into(), keep.into(), BATCH.into()],
    )?;
    Ok(gone as i64)
}
