//! What time it is, for everything that workers decide. Tests hand in a clock of their own.

use pgrx::datum::TimestampWithTimeZone;

pub trait Clock {
    fn now(&self) -> TimestampWithTimeZone;
}

/// The server's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimestampWithTimeZone {
        pgrx::datetime::clock_timestamp()
    }
}
