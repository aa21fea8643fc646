//! Waiting for a condition, never for a time.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Waits until `condition` holds and says how long that took. Panics at `timeout`, naming `what`.
#[track_caller]
pub fn poll(timeout: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    poll_value(timeout, what, || condition().then_some(())).1
}

/// As [`poll`], for a condition that yields a value.
#[track_caller]
pub fn poll_value<T>(
    timeout: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> (T, Duration) {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return (value, start.elapsed());
        }
        assert!(start.elapsed() < timeout, "waited {timeout:?} in vain for {what}");
        sleep(Duration::from_millis(25));
    }
}
