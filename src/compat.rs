//! Differences between the supported Postgres versions, one function each.

/// The major version this library was compiled for.
pub const PG_MAJOR: u32 = if cfg!(feature = "pg15") {
    15
} else if cfg!(feature = "pg16") {
    16
} else if cfg!(feature = "pg17") {
    17
} else {
    18
};
