//! Differences between the supported Postgres versions, one function each. Nothing elsewhere depends on
//! the version.

use pgrx::pg_sys;
use std::ffi::c_int;

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

/// Has a signal handled in this process; 18 gave the server's own function another name.
///
/// # Safety
/// The handler does only what is safe in a signal handler.
pub unsafe fn set_signal_handler(signal: c_int, handler: unsafe extern "C-unwind" fn(c_int)) {
    // SAFETY: as the caller says.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(signal, Some(handler));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(signal, Some(handler));
    }
}

/// An entry of the local copy of all backends' states; the function has another name since 16.
///
/// # Safety
/// `index` is from 1 to the number of backends.
pub unsafe fn backend_entry(index: i32) -> *mut pg_sys::LocalPgBackendStatus {
    // SAFETY: as the caller says.
    unsafe {
        #[cfg(feature = "pg15")]
        let entry = pg_sys::pgstat_fetch_stat_local_beentry(index);
        #[cfg(not(feature = "pg15"))]
        let entry = pg_sys::pgstat_get_local_beentry_by_index(index);
        entry
    }
}

/// Whether the current user owns a database; since 16, one function asks for all kinds of objects.
pub fn owns_database(database: pg_sys::Oid) -> bool {
    // SAFETY: both take any OIDs; 1262 is pg_database.
    unsafe {
        let user = pg_sys::GetUserId();
        #[cfg(feature = "pg15")]
        let owns = pg_sys::pg_database_ownercheck(database, user);
        #[cfg(not(feature = "pg15"))]
        let owns = pg_sys::object_ownercheck(pg_sys::Oid::from(1262), database, user);
        owns
    }
}

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

/// What an update says of indexes; more than yes and no since 16.
#[cfg(feature = "pg15")]
pub type UpdatesIndexes = bool;
#[cfg(not(feature = "pg15"))]
pub type UpdatesIndexes = pg_sys::TU_UpdateIndexes::Type;

/// Where a relation's files are; has another name since 16.
#[cfg(feature = "pg15")]
pub type FileLocator = pg_sys::RelFileNode;
#[cfg(not(feature = "pg15"))]
pub type FileLocator = pg_sys::RelFileLocator;

/// Gives a relation a new, empty file, in this transaction; the function has another name since 16.
///
/// # Safety
/// The relation is open and locked against everybody.
pub unsafe fn new_file(rel: pg_sys::Relation) {
    // SAFETY: as the caller says.
    unsafe {
        let persistence = (*(*rel).rd_rel).relpersistence;
        #[cfg(feature = "pg15")]
        pg_sys::RelationSetNewRelfilenode(rel, persistence);
        #[cfg(not(feature = "pg15"))]
        pg_sys::RelationSetNewRelfilenumber(rel, persistence);
    }
}

/// Makes all indexes of a table anew, those of its TOAST table as well; takes the statement too since 17.
///
/// # Safety
/// The table is locked against everybody.
pub unsafe fn reindex(table: pg_sys::Oid) {
    let flags = pg_sys::REINDEX_REL_PROCESS_TOAST as c_int;
    let mut params = pg_sys::ReindexParams::default();
    // SAFETY: as the caller says.
    unsafe {
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        pg_sys::reindex_relation(table, flags, &raw mut params);
        #[cfg(not(any(feature = "pg15", feature = "pg16")))]
        pg_sys::reindex_relation(std::ptr::null(), table, flags, &raw mut params);
    }
}

/// A column of a row type; more than an array's element since 18.
///
/// # Safety
/// The row type is there, and has more than `at` columns.
pub unsafe fn attribute<'a>(
    columns: pg_sys::TupleDesc,
    at: usize,
) -> &'a pg_sys::FormData_pg_attribute {
    // SAFETY: as the caller says.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        let attribute = &*(*columns).attrs.as_ptr().add(at);
        #[cfg(feature = "pg18")]
        let attribute = &*pg_sys::TupleDescAttr(columns, c_int::try_from(at).unwrap_or(c_int::MAX));
        attribute
    }
}

/// Enters a row into the indexes of its table; takes more since 16.
///
/// # Safety
/// The indexes are open, the slot holds a row of the table with its address.
pub unsafe fn insert_index_tuples(
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    estate: *mut pg_sys::EState,
) {
    let none = std::ptr::null_mut();
    // SAFETY: as the caller says.
    unsafe {
        #[cfg(feature = "pg15")]
        pg_sys::ExecInsertIndexTuples(
            result,
            slot,
            estate,
            false,
            false,
            none,
            std::ptr::null_mut(),
        );
        #[cfg(not(feature = "pg15"))]
        pg_sys::ExecInsertIndexTuples(
            result,
            slot,
            estate,
            false,
            false,
            none,
            std::ptr::null_mut(),
            false,
        );
    }
}

/// What a query groups by, without what makes no difference, which is taken out since 16.
///
/// # Safety
/// The planner is at work on it.
pub unsafe fn group_clause(root: *mut pg_sys::PlannerInfo) -> *mut pg_sys::List {
    // SAFETY: as the caller says.
    unsafe {
        #[cfg(feature = "pg15")]
        let clause = (*(*root).parse).groupClause;
        #[cfg(not(feature = "pg15"))]
        let clause = (*root).processed_groupClause;
        clause
    }
}
