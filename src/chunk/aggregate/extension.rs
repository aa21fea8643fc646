//! Functions of lake_stores, whose numbers are other ones in each database.

use super::function::What;
use pgrx::pg_sys;
use std::ffi::CStr;

/// One of its aggregates.
pub fn aggregate(function: pg_sys::Oid) -> Option<What> {
    match name(function)?.to_bytes() {
        b"first" => Some(What::First),
        b"last" => Some(What::Last),
        _ => None,
    }
}

/// Whether this is `lake.bucket`.
pub fn is_bucket(function: pg_sys::Oid) -> bool {
    name(function).is_some_and(|name| name == c"bucket")
}

/// The name of a function of the extension, as it is in memory of the planner.
fn name<'a>(function: pg_sys::Oid) -> Option<&'a CStr> {
    // SAFETY: looks up the catalogue; 1255 is pg_proc. The name is a copy in the current memory context.
    unsafe {
        let name = pg_sys::get_func_name(function);
        let class = pg_sys::Oid::from_u32(1255);
        (!name.is_null()
            && pg_sys::getExtensionOfObject(class, function)
                == pg_sys::get_extension_oid(c"lake_stores".as_ptr(), true))
        .then(|| CStr::from_ptr(name))
    }
}
