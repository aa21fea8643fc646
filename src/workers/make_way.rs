//! Visits make way for `DROP DATABASE`, `ALTER DATABASE … RENAME` and copies of a database: Postgres
//! waits five seconds for other sessions to leave and then gives up, and a step of a job may take
//! longer. Needs the library in the session, so it works where it is preloaded.

use crate::compat;
use crate::workers::{BUILDER, VISIT, process};
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{pg_guard, pg_sys};
use std::ffi::{CStr, c_char};

static mut PREVIOUS: pg_sys::ProcessUtility_hook_type = None;

/// Called once, while the postmaster loads the library.
pub fn install() {
    // SAFETY: one thread, before any session exists.
    unsafe {
        PREVIOUS = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(on_utility);
    }
}

#[pg_guard]
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn on_utility(
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    dest: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: Postgres hands in a valid statement; what it hands in is passed on as it is.
    unsafe {
        if let Some(database) = needed_empty((*statement).utilityStmt) {
            make_way(database);
        }
        match PREVIOUS {
            Some(previous) => pg_guard_ffi_boundary(|| {
                previous(
                    statement,
                    text,
                    read_only_tree,
                    context,
                    params,
                    environment,
                    dest,
                    completion,
                );
            }),
            None => pg_sys::standard_ProcessUtility(
                statement,
                text,
                read_only_tree,
                context,
                params,
                environment,
                dest,
                completion,
            ),
        }
    }
}

/// The database that nobody may be connected to while this statement runs, if the current user may
/// run it: others are refused by the statement itself and shouldn't disturb anybody.
///
/// # Safety
/// `node` is a valid utility statement.
unsafe fn needed_empty(node: *mut pg_sys::Node) -> Option<pg_sys::Oid> {
    // SAFETY: each node is of the type that its tag says; names are NUL-terminated.
    unsafe {
        let name: *const c_char = match (*node).type_ {
            pg_sys::NodeTag::T_DropdbStmt => (*node.cast::<pg_sys::DropdbStmt>()).dbname,
            pg_sys::NodeTag::T_RenameStmt => {
                let rename = node.cast::<pg_sys::RenameStmt>();
                if (*rename).renameType != pg_sys::ObjectType::OBJECT_DATABASE {
                    return None;
                }
                (*rename).subname
            }
            pg_sys::NodeTag::T_CreatedbStmt => template_of(node.cast())?,
            _ => return None,
        };
        if name.is_null() {
            return None;
        }
        let database = pg_sys::get_database_oid(name, true);
        (database != pg_sys::InvalidOid && compat::owns_database(database)).then_some(database)
    }
}

/// The database that `CREATE DATABASE` copies, where it names one.
///
/// # Safety
/// `statement` is valid.
unsafe fn template_of(statement: *mut pg_sys::CreatedbStmt) -> Option<*const c_char> {
    // SAFETY: the options of the statement are a list of DefElem.
    unsafe {
        let options = pgrx::PgList::<pg_sys::DefElem>::from_pg((*statement).options);
        let option = options.iter_ptr().find(|&o| CStr::from_ptr((*o).defname) == c"template")?;
        if (*option).arg.is_null() {
            return None;
        }
        Some(pg_sys::defGetString(option))
    }
}

/// Ends our visits to a database, and its builder. Their jobs are tried again later.
fn make_way(database: pg_sys::Oid) {
    for visit in process::find(Some(database), |kind| kind == VISIT || kind == BUILDER) {
        process::terminate(visit);
    }
}
