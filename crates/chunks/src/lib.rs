//! The arithmetic of time-series stores, without a database: chunk ranges and widths, retention plans, time
//! buckets, gap filling, timestamps as text.
//!
//! Instants are microseconds since 2000-01-01 00:00 UTC, as in Postgres (`TimestampTz`), in an `i64`.
//! The two extremes of `i64` stand for `-infinity` and `infinity` and never reach this crate.

pub mod bucket;
pub mod calendar;
pub mod gapfill;
pub mod interval;
pub mod range;
pub mod retention;
pub mod text;

/// An instant: microseconds since 2000-01-01 00:00 UTC.
pub type Micros = i64;

pub const SECOND: Micros = 1_000_000;
pub const MINUTE: Micros = 60 * SECOND;
pub const HOUR: Micros = 60 * MINUTE;
pub const DAY: Micros = 24 * HOUR;

/// The first instant of a Monday, from which widths are counted unless the caller names another
/// origin: 2000-01-03 00:00. Chunks and buckets of whole weeks begin on Mondays this way.
pub const MONDAY: Micros = 2 * DAY;

/// 1970-01-01 00:00 UTC.
pub const UNIX_EPOCH: Micros = -10_957 * DAY;

/// The instants that Postgres can hold: from 4714-11-24 BC up to, not including, 294277-01-01.
pub const MIN_INSTANT: Micros = -211_813_488_000_000_000;
pub const END_INSTANT: Micros = 9_223_371_331_200_000_000;
