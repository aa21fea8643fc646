//! Rows that were refused under `on_error => 'reject'`, with their reason and what was sent.

use crate::access;
use crate::catalog::Store;
use crate::error::Result;
use crate::spi;
use pgrx::PgMemoryContexts;

/// What a batch does with a row that can't be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Nothing is written; the first fault is raised.
    Raise,
    /// Good rows are written, bad ones are recorded.
    Reject,
}

impl OnError {
    /// 22023 for anything but `raise` and `reject`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "raise" => Ok(OnError::Raise),
            "reject" => Ok(OnError::Reject),
            other => Err(crate::error::Error::invalid_parameter(format!(
                "on_error can't be \"{other}\""
            ))
            .hint("It is 'raise' (nothing is written if a row is bad) or 'reject' (good rows are written, bad ones go to lake.rejects).")),
        }
    }
}

/// One refused row.
#[derive(Debug, Clone)]
pub struct Reject {
    /// Position in the batch, from 1.
    pub ordinal: i64,
    pub id: Option<String>,
    /// A stable word for the kind of fault: `dimension`, `nan`, `duplicate_id`, a GeoJSON rule id …
    pub code: String,
    pub message: String,
    /// JSON Pointer into the row, where the fault is inside it.
    pub pointer: Option<String>,
    /// The row as sent, as JSON text.
    pub payload: String,
}

/// Records a batch of rejects and returns its number; `None` where there is nothing to record.
/// The caller has been checked to be allowed to write to the store.
pub fn record(store: &Store, rejects: &[Reject]) -> Result<Option<i64>> {
    record_each(store, rejects.iter().cloned())
}

/// As [`record`], one after the other, so that all of them needn't be there at a time.
pub fn record_each(
    store: &Store,
    rejects: impl IntoIterator<Item = Reject>,
) -> Result<Option<i64>> {
    let mut rejects = rejects.into_iter().peekable();
    if rejects.peek().is_none() {
        return Ok(None);
    }
    let user = access::current_user()?;
    access::as_extension_owner(|| {
        let batch: i64 = spi::scalar("SELECT pg_catalog.nextval('_lake.reject_batch_seq')", &[])?;
        // What one takes is given back before the next.
        let mut memory = PgMemoryContexts::new("lake_stores rejects");
        loop {
            pgrx::check_for_interrupts!();
            // SAFETY: nothing that Postgres allocates inside is used outside.
            let more = unsafe {
                let more = memory.switch_to(|_| match rejects.next() {
                    Some(reject) => write(store, batch, &user, &reject).map(|()| true),
                    None => Ok(false),
                })?;
                memory.reset();
                more
            };
            if !more {
                break;
            }
        }
        Ok(Some(batch))
    })?
}

fn write(store: &Store, batch: i64, user: &str, reject: &Reject) -> Result<()> {
    spi::cached_execute(
        "INSERT INTO _lake.reject \
             (relid, kind, batch, ordinal, row_id, code, message, pointer, payload, rejected_by) \
         VALUES ($1::pg_catalog.regclass, $2, $3, $4, $5, $6, $7, $8, \
                 $9::pg_catalog.json, $10::pg_catalog.name)",
        &[
            store.oid().into(),
            store.kind.as_str().into(),
            batch.into(),
            reject.ordinal.into(),
            reject.id.clone().into(),
            reject.code.as_str().into(),
            reject.message.as_str().into(),
            reject.pointer.clone().into(),
            reject.payload.as_str().into(),
            user.into(),
        ],
    )?;
    Ok(())
}

/// What came of rejected rows that were taken once more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    pub accepted: i64,
    pub rejected: i64,
}
