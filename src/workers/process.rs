//! What every process of ours sets up: signals, settings, what others see of it.

use crate::compat;
use pgrx::bgworkers::{BackgroundWorker, SignalWakeFlags};
use pgrx::{PgLogLevel, pg_sys};
use std::ffi::{CStr, CString, c_int};

unsafe extern "C-unwind" {
    /// Postgres' own handler for SIGTERM. pgrx's wrapper of it can't be given to `pqsignal`.
    #[link_name = "die"]
    fn pg_die(signal: c_int);
    /// Asks the process to end by itself, at a moment of its choice.
    #[link_name = "SignalHandlerForShutdownRequest"]
    fn pg_shutdown_request(signal: c_int);
}

unsafe extern "C" {
    fn kill(pid: c_int, signal: c_int) -> c_int;
}

const SIGHUP: c_int = 1;
const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;
/// "There is nothing left to do": from a visit to the launcher of its database.
const SIGUSR2: c_int = 12;

/// SIGTERM ends a running statement at once, SIGHUP has the configuration read again, SIGUSR2 asks
/// to end.
pub fn install_signals() {
    // SAFETY: the handlers are Postgres' own, made for this.
    unsafe {
        compat::set_signal_handler(SIGTERM, pg_die);
        compat::set_signal_handler(SIGUSR2, pg_shutdown_request);
    }
    // Unblocks all signals too.
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP);
}

/// Takes back a request to end, and says whether there was one.
pub fn asked_to_end() -> bool {
    // SAFETY: a flag that only this process and its signal handler touch.
    unsafe {
        let flag = &raw mut pg_sys::ShutdownRequestPending;
        let asked = flag.read_volatile() != 0;
        flag.write_volatile(0);
        asked
    }
}

/// Sends a signal that [`install_signals`] knows to another process of ours.
pub fn ask_to_end(pid: i32) {
    if pid > 1 {
        // SAFETY: a plain system call; a process that is gone makes it fail, which is as good.
        unsafe { kill(pid, SIGUSR2) };
    }
}

/// Ends another process of ours at once.
pub fn terminate(pid: i32) {
    if pid > 1 {
        // SAFETY: a plain system call; a process that is gone makes it fail, which is as good.
        unsafe { kill(pid, SIGTERM) };
    }
}

/// Cancels the statement that another process of ours is at.
pub fn cancel(pid: i32) {
    if pid > 1 {
        // SAFETY: a plain system call; a process that is gone makes it fail, which is as good.
        unsafe { kill(pid, SIGINT) };
    }
}

/// Has another process of ours read its configuration again, which for a launcher includes a look for
/// due jobs.
pub fn wake(pid: i32) {
    if pid > 1 {
        // SAFETY: a plain system call; a process that is gone makes it fail, which is as good.
        unsafe { kill(pid, SIGHUP) };
    }
}

/// Process ids of background workers whose type fits, in one database or in any. Needs no rights, no
/// snapshot and no catalog.
pub fn find(database: Option<pg_sys::Oid>, fits: impl Fn(&str) -> bool) -> Vec<i32> {
    let mut found = Vec::new();
    // SAFETY: reads a copy of what processes report about themselves, made for this call.
    unsafe {
        pg_sys::pgstat_clear_backend_activity_snapshot();
        for index in 1..=pg_sys::pgstat_fetch_stat_numbackends() {
            let Some(entry) = compat::backend_entry(index).as_ref() else { continue };
            let backend = &entry.backendStatus;
            if database.is_some_and(|oid| oid != backend.st_databaseid) {
                continue;
            }
            let kind = pg_sys::GetBackgroundWorkerTypeByPid(backend.st_procpid);
            if !kind.is_null() && CStr::from_ptr(kind).to_str().is_ok_and(&fits) {
                found.push(backend.st_procpid);
            }
        }
    }
    found
}

/// Reads the configuration again where that was asked for, and says whether it was.
pub fn reload_if_asked() -> bool {
    let asked = BackgroundWorker::sighup_received();
    if asked {
        // SAFETY: called between transactions, as in Postgres' own processes.
        unsafe {
            (&raw mut pg_sys::ConfigReloadPending).write_volatile(0);
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
    asked
}

/// Sets a parameter for the whole life of this process, over what the database or the configuration
/// says.
pub fn set(name: &str, value: &str) {
    set_from(name, value, pg_sys::GucSource::PGC_S_OVERRIDE);
}

/// As [`set`], for settings that jobs may be given other values of, for their own time.
pub fn set_default(name: &str, value: &str) {
    set_from(name, value, pg_sys::GucSource::PGC_S_SESSION);
}

fn set_from(name: &str, value: &str, source: pg_sys::GucSource::Type) {
    let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) else { return };
    // SAFETY: both strings outlive the call.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            source,
        );
    }
}

/// A parameter's present value, as `SHOW` has it; `None` for one that isn't there.
pub fn setting(name: &str) -> Option<String> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name outlives the call, and the answer is copied.
    unsafe {
        let value = pg_sys::GetConfigOptionByName(name.as_ptr(), std::ptr::null_mut(), true);
        (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
    }
}

/// Shows what this process does in `pg_stat_activity`; nothing for "idle".
pub fn report(activity: Option<&str>) {
    let text = activity.and_then(|text| CString::new(text).ok());
    // SAFETY: the text is copied.
    unsafe {
        match &text {
            Some(text) => {
                pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr());
            }
            None => {
                pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null())
            }
        }
    }
}

/// The name that `pg_stat_activity.application_name` shows to everybody.
pub fn name(name: &str) {
    set_default("application_name", name);
}

/// A line in the server's log.
pub fn log(message: &str) {
    pgrx::ereport!(
        PgLogLevel::LOG,
        pgrx::PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        message.to_owned()
    );
}
