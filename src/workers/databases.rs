//! Which databases there are, read by a process that is connected to none: only the shared catalogs
//! can be read there, and SPI can't.

use crate::catalog::run::Failure;
use crate::workers::transaction;
use pgrx::pg_sys;

/// `pg_database.oid`'s position.
const DATABASES: u32 = 1262;
/// `datconnlimit` of a database whose DROP was interrupted.
const INVALID: i32 = -2;

/// The databases that may be visited: those that take connections and aren't templates.
pub fn list() -> Result<Vec<pg_sys::Oid>, Failure> {
    transaction::run(|| {
        let mut found = Vec::new();
        // SAFETY: a scan of a shared catalog inside a transaction; each tuple is valid until the next
        // call, and the fixed part of its row is what the struct describes.
        unsafe {
            let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
            let table = pg_sys::table_open(pg_sys::Oid::from(DATABASES), lock);
            let scan = pg_sys::systable_beginscan(
                table,
                pg_sys::InvalidOid,
                false,
                std::ptr::null_mut(),
                0,
                std::ptr::null_mut(),
            );
            loop {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
                if row.datallowconn && !row.datistemplate && row.datconnlimit != INVALID {
                    found.push(row.oid);
                }
            }
            pg_sys::systable_endscan(scan);
            pg_sys::table_close(table, lock);
        }
        Ok(found)
    })
}
