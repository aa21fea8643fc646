//! The unit of timestamps.

/// What a timestamp counts since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
}

impl Precision {
    /// As InfluxDB writes them: `ns`, `us` (also `u`, `µs`), `ms`, `s`, `m`, `h`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "ns" | "n" => Self::Nanoseconds,
            "us" | "u" | "µs" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => return None,
        })
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Minutes => "m",
            Self::Hours => "h",
        }
    }

    /// In microseconds; nanoseconds lose what is beyond (rounded down). `None` beyond 64 bits.
    pub fn to_micros(self, timestamp: i64) -> Option<i64> {
        let factor = match self {
            Self::Nanoseconds => return Some(timestamp.div_euclid(1_000)),
            Self::Microseconds => 1,
            Self::Milliseconds => 1_000,
            Self::Seconds => 1_000_000,
            Self::Minutes => 60_000_000,
            Self::Hours => 3_600_000_000,
        };
        timestamp.checked_mul(factor)
    }
}
