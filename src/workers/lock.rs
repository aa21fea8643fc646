//! Locks of workers.
//!
//! Who works on a job: a lock that ends with its holder, whatever becomes of it. It is of a kind that
//! no SQL statement can take, so that nobody can block a job with it: an advisory lock on an object.
//!
//! That the extension stays: the lock that `DROP EXTENSION` takes first. To wait for anything later
//! (a table of the catalogue) could deadlock with it, and Postgres might choose the wrong victim.

use crate::error::Result;
use crate::spi::{self, LocalSettings};
use pgrx::pg_sys;

/// OID of `pg_extension`.
const PG_EXTENSION: u32 = 3079;

/// What the lock is on: the row of the job, as an object of its table.
fn tag(job_id: i64) -> Result<pg_sys::LOCKTAG> {
    let table: pg_sys::Oid = spi::scalar("SELECT '_lake.job'::pg_catalog.regclass::oid", &[])?;
    Ok(pg_sys::LOCKTAG {
        // SAFETY: set at start-up of every process that is connected to a database.
        locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
        locktag_field2: table.to_u32(),
        // Job ids come from a sequence; two that differ by 2^32 would only wait for each other.
        locktag_field3: (job_id & 0xffff_ffff) as u32,
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        // The method of advisory locks, whose session locks outlive a failed transaction.
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    })
}

fn acquire(tag: &pg_sys::LOCKTAG, session: bool, wait: bool) -> bool {
    // SAFETY: a well-formed tag.
    let result = unsafe { pg_sys::LockAcquire(tag, pg_sys::ExclusiveLock as i32, session, !wait) };
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

/// Holds the job across transactions, until dropped or until this process ends.
pub struct JobLock(pg_sys::LOCKTAG);

impl JobLock {
    /// `None` where somebody else works on the job. Called in a transaction.
    pub fn try_take(job_id: i64) -> Result<Option<Self>> {
        let tag = tag(job_id)?;
        Ok(acquire(&tag, true, false).then(|| JobLock(tag)))
    }
}

impl Drop for JobLock {
    fn drop(&mut self) {
        // SAFETY: the tag was locked at session level.
        unsafe { pg_sys::LockRelease(&raw const self.0, pg_sys::ExclusiveLock as i32, true) };
    }
}

/// Holds the job to the end of this transaction; false where somebody else works on it.
pub fn take_for_transaction(job_id: i64) -> Result<bool> {
    Ok(acquire(&tag(job_id)?, false, false))
}

/// Whether somebody works on the job now.
pub fn is_held(job_id: i64) -> Result<bool> {
    Ok(JobLock::try_take(job_id)?.is_none())
}

/// The id that stands for the launcher of this database; jobs begin at 1.
const LAUNCHER: i64 = 0;

/// The id that stands for the process that does long jobs.
const BUILDER: i64 = -1;

/// Makes this process the builder of the database until dropped; `None` where there is one.
pub fn try_take_builder() -> Result<Option<JobLock>> {
    JobLock::try_take(BUILDER)
}

/// One starts a launcher for this database at a time: waits, and holds to the end of this transaction.
pub fn take_launcher() -> Result<()> {
    acquire(&tag(LAUNCHER)?, false, true);
    Ok(())
}

/// Whether the extension is here, complete and committed, as far as this transaction sees.
pub fn is_installed() -> bool {
    extension() != pg_sys::InvalidOid
}

fn extension() -> pg_sys::Oid {
    // SAFETY: a look into the system catalogs, inside a transaction.
    unsafe { pg_sys::get_extension_oid(c"lake_stores".as_ptr(), true) }
}

/// Keeps the extension to the end of this transaction; false where it isn't there. Where somebody is
/// dropping it, waits for their decision if `wait`, holding nothing; else false.
pub fn hold_extension(wait: bool) -> Result<bool> {
    let extension_oid = extension();
    if extension_oid == pg_sys::InvalidOid {
        return Ok(false);
    }
    let tag = pg_sys::LOCKTAG {
        // SAFETY: set at start-up of every process that is connected to a database.
        locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
        locktag_field2: PG_EXTENSION,
        locktag_field3: extension_oid.to_u32(),
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    };
    let settings = LocalSettings::new();
    settings.set("lock_timeout", "0");
    // SAFETY: a well-formed tag; what happened meanwhile is taken notice of before the second look.
    unsafe {
        let got = pg_sys::LockAcquire(&raw const tag, pg_sys::AccessShareLock as i32, false, !wait);
        if got == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
            return Ok(false);
        }
        pg_sys::AcceptInvalidationMessages();
    }
    Ok(extension() == extension_oid)
}
