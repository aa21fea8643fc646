//! A statement that Postgres takes at the top level only (`CREATE INDEX CONCURRENTLY`, which commits
//! several times as it goes), run by a worker as the owner of a store.
//!
//! It goes the way of a client's statement: parsed, and run through a portal, which is what carries over
//! from one of its transactions to the next (event triggers find their snapshot there). It needs no
//! connection back to the server.

use crate::catalog::run::Failure;
use crate::compat;
use crate::error::{Error, Result};
use crate::workers::actions::Statement;
use crate::workers::{process, transaction};
use pgrx::{PgBox, PgList, pg_sys};
use std::ffi::{CStr, CString};

/// Runs it with the rights of `role`, outside of any transaction.
///
/// It waits as long as it must, or as its own `lock_timeout` says, for the end of transactions that began
/// before it above all: while it does, it holds nothing that readers or writers wait for.
///
/// The role is set without a security context, which Postgres allows inside a transaction only. That
/// opens no door: what is the owner's (functions of index expressions) is run by Postgres itself in a
/// restricted operation, where roles can't be set.
pub fn run(statement: &Statement, role: pg_sys::Oid) -> Result<(), Failure> {
    let _settings = Settings::apply(&statement.settings);
    let _role = ActAs::new(role);
    let text = CString::new(statement.sql.as_str())
        .map_err(|_| Failure::from(Error::internal("a statement holds a NUL")))?;
    let memory = Memory::new();
    // SAFETY: outside of any transaction; an error ends in the abort of `catch`.
    transaction::catch(|| unsafe { utility(&text, &memory) })
}

/// # Safety
/// Called outside of a transaction.
unsafe fn utility(text: &CStr, memory: &Memory) -> Result<()> {
    // SAFETY: as `exec_simple_query` does. What is parsed lives in `memory`, which no commit frees;
    // it is also the current context that errors are reported in.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::MemoryContextSwitchTo(memory.0);
        let parsed = PgList::<pg_sys::RawStmt>::from_pg(pg_sys::pg_parse_query(text.as_ptr()));
        let (Some(raw), 1) = (parsed.get_ptr(0), parsed.len()) else {
            return Err(Error::internal("not one statement"));
        };
        let mut planned = PgBox::<pg_sys::PlannedStmt>::alloc_node(pg_sys::NodeTag::T_PlannedStmt);
        planned.commandType = pg_sys::CmdType::CMD_UTILITY;
        planned.canSetTag = true;
        planned.utilityStmt = (*raw).stmt;
        planned.stmt_location = (*raw).stmt_location;
        planned.stmt_len = (*raw).stmt_len;
        let mut list = PgList::<pg_sys::PlannedStmt>::new();
        list.push(planned.into_pg());
        let portal = pg_sys::CreatePortal(c"".as_ptr(), true, true);
        (*portal).visible = false;
        pg_sys::PortalDefineQuery(
            portal,
            std::ptr::null(),
            text.as_ptr(),
            pg_sys::CreateCommandTag((*raw).stmt),
            list.into_pg(),
            std::ptr::null_mut(),
        );
        pg_sys::PortalStart(portal, std::ptr::null_mut(), 0, std::ptr::null_mut());
        compat::run_portal(portal);
        pg_sys::PortalDrop(portal, false);
        pg_sys::CommitTransactionCommand();
    }
    Ok(())
}

/// A memory context that outlives transactions.
struct Memory(pg_sys::MemoryContext);

impl Memory {
    fn new() -> Self {
        // SAFETY: a child of the context that lives as long as the process; the name is a constant.
        Self(unsafe {
            pg_sys::AllocSetContextCreateInternal(
                pg_sys::TopMemoryContext,
                c"lake_stores statement".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: nothing refers to what was parsed any more; the current context is not this one.
        unsafe {
            pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            pg_sys::MemoryContextDelete(self.0);
        }
    }
}

/// The user of this process is `role` while this lives.
struct ActAs(pg_sys::Oid);

impl ActAs {
    fn new(role: pg_sys::Oid) -> Self {
        // SAFETY: outside of a transaction; undone in drop.
        unsafe {
            let before = pg_sys::GetUserId();
            pg_sys::SetUserIdAndSecContext(role, 0);
            Self(before)
        }
    }
}

impl Drop for ActAs {
    fn drop(&mut self) {
        // SAFETY: puts back what was there before.
        unsafe { pg_sys::SetUserIdAndSecContext(self.0, 0) }
    }
}

/// Settings of this process while this lives, across transactions.
struct Settings(Vec<(&'static str, String)>);

impl Settings {
    fn apply(settings: &[(&'static str, String)]) -> Self {
        let patient = [("lock_timeout", "0".to_owned())];
        let impatient = settings.iter().any(|(name, _)| *name == "lock_timeout");
        let before = settings
            .iter()
            .chain(patient.iter().filter(|_| !impatient))
            .filter_map(|(name, value)| {
                let before = process::setting(name)?;
                process::set_default(name, value);
                Some((*name, before))
            })
            .collect();
        Self(before)
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        for (name, value) in &self.0 {
            process::set_default(name, value);
        }
    }
}
