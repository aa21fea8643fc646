//! Differences between the supported Postgres versions, one function each.

use pgrx::pg_sys;

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

/// Runs a portal to its end as a statement of its own, and throws away what it returns.
///
/// # Safety
/// The portal is ready to run; an error leaves it to the abort of the transaction.
pub unsafe fn run_portal(portal: pg_sys::Portal) {
    // SAFETY: as the caller says; nothing is written through the null completion.
    unsafe {
        #[cfg(feature = "pg18")]
        pg_sys::PortalRun(
            portal,
            std::ffi::c_long::MAX,
            true,
            pg_sys::None_Receiver,
            pg_sys::None_Receiver,
            std::ptr::null_mut(),
        );
        #[cfg(not(feature = "pg18"))]
        pg_sys::PortalRun(
            portal,
            std::ffi::c_long::MAX,
            true,
            true,
            pg_sys::None_Receiver,
            pg_sys::None_Receiver,
            std::ptr::null_mut(),
        );
    }
}
