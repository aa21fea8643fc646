//! `lake.bucket`, and time zones for [`lake_chunks::bucket`].

use crate::error::{Error, Result};
use crate::series::time;
use lake_chunks::Micros;
use lake_chunks::bucket::{Buckets, Width, WidthError};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys;
use std::ffi::CString;

/// Seconds from the Unix epoch to 2000-01-01.
const EPOCH: i64 = 946_684_800;

/// A time zone that Postgres knows.
#[derive(Clone, Copy)]
pub struct Zone(*const pg_sys::pg_tz);

impl Zone {
    /// That of the session's `TimeZone`.
    pub fn session() -> Self {
        // SAFETY: set before any function can run, and only replaced between statements.
        Self(unsafe { pg_sys::session_timezone })
    }

    /// By name (`Europe/Berlin`). 22023 for one that Postgres doesn't know.
    pub fn named(name: &str) -> Result<Self> {
        let unknown = || {
            Error::invalid_parameter(format!("time zone \"{name}\" not recognized"))
                .hint("SELECT name FROM pg_timezone_names shows those there are.")
        };
        let text = CString::new(name).map_err(|_| unknown())?;
        // SAFETY: takes any string; what it returns is cached for the life of the process.
        let zone = unsafe { pg_sys::pg_tzset(text.as_ptr()) };
        if zone.is_null() { Err(unknown()) } else { Ok(Self(zone)) }
    }

    /// Whether the local clock, between the two instants, is only ever changed by multiples of `width`:
    /// whether buckets of that width all have the same length.
    pub fn keeps_step(self, width: Micros, from: Micros, to: Micros) -> bool {
        /// Far more changes than any zone has in a lifetime.
        const MOST: usize = 1_000;
        let offset = self.offset_at(from).rem_euclid(width);
        let mut at = from.div_euclid(lake_chunks::SECOND) + EPOCH;
        let end = to.div_euclid(lake_chunks::SECOND) + EPOCH;
        for _ in 0..MOST {
            let (mut boundary, mut before, mut after) = (0, 0, 0);
            let (mut summer_before, mut summer_after) = (0, 0);
            // SAFETY: all pointers are to locals, and the zone is valid for the life of the process.
            let found = unsafe {
                pg_sys::pg_next_dst_boundary(
                    &raw const at,
                    &raw mut before,
                    &raw mut summer_before,
                    &raw mut boundary,
                    &raw mut after,
                    &raw mut summer_after,
                    self.0,
                )
            };
            match found {
                // None after that instant.
                0 => return true,
                1 if boundary > end => return true,
                1 if (after * lake_chunks::SECOND).rem_euclid(width) == offset => at = boundary,
                _ => return false,
            }
        }
        false
    }

    /// The local clock's offset from UTC at an instant.
    pub fn offset_at(self, instant: Micros) -> Micros {
        let seconds = instant.div_euclid(lake_chunks::SECOND) + EPOCH;
        // SAFETY: both pointers are valid; the result is a static buffer that is read at once, or
        // null for a time beyond the zone's reach.
        unsafe {
            pg_sys::pg_localtime(&raw const seconds, self.0)
                .as_ref()
                .map_or(0, |tm| tm.tm_gmtoff * lake_chunks::SECOND)
        }
    }
}

/// The buckets of an SQL interval. 22023 for a width or an origin that can't be.
pub fn buckets(
    width: &Interval,
    zone: Zone,
    origin: Option<Micros>,
) -> Result<Buckets<impl Fn(Micros) -> Micros + use<>>> {
    Width::new(width.months(), width.days(), width.micros())
        .and_then(|width| Buckets::new(width, origin, move |instant| zone.offset_at(instant)))
        .map_err(|error| {
            Error::invalid_parameter(error.to_string()).hint(match error {
                WidthError::OriginInMonth => {
                    "Take one such as '2026-01-01 00:00', by the clock of the time zone."
                }
                _ => "Write it as '5 minutes', '1 day', '1 week' or '1 month', for example.",
            })
        })
}

/// 22023 for an origin that is infinite.
pub fn finite_origin(origin: Option<TimestampWithTimeZone>) -> Result<Option<Micros>> {
    let origin = origin.map(time::from_pg);
    if origin.is_some_and(|origin| !time::is_finite(origin)) {
        return Err(Error::invalid_parameter("the origin of buckets must be a finite time"));
    }
    Ok(origin)
}

/// The buckets of the arguments of `lake.bucket`.
pub fn of(
    width: &Interval,
    timezone: Option<&str>,
    origin: Option<TimestampWithTimeZone>,
) -> Result<Buckets<impl Fn(Micros) -> Micros + use<>>> {
    let zone = timezone.map_or_else(|| Ok(Zone::session()), Zone::named)?;
    buckets(width, zone, finite_origin(origin)?)
}

/// The start of the bucket that holds `ts`; an infinity is its own.
pub fn bucket(
    width: &Interval,
    ts: TimestampWithTimeZone,
    timezone: Option<&str>,
    origin: Option<TimestampWithTimeZone>,
) -> Result<TimestampWithTimeZone> {
    let instant = time::from_pg(ts);
    let buckets = of(width, timezone, origin)?;
    if time::is_finite(instant) { time::to_pg(buckets.start(instant)) } else { Ok(ts) }
}
