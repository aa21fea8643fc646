//! Whether a new row repeats a key of compressed ones.
//!
//! Batches are made under a lock that keeps writers out, and thawed one by one, which puts their keys into the
//! indexes: what is found here stays so to the end of the transaction. A batch is decoded only where the row's
//! key lies between its smallest and its largest, and
//! values are compared by their bytes where that is what the index's equality comes to; where it isn't, and
//! the answer therefore isn't certain, the row is refused.

use super::address::Address;
use super::batches::{self, Batches, Gone};
use super::{link, name, raise, refuse, thaw};
use crate::error::Error;
use lake_codec::{Column, Values};
use pgrx::{PgList, PgSqlErrorCode, pg_sys};

/// Refuses a row that repeats a key of compressed rows, or may: 23505, or 0A000 where it isn't certain. Where
/// conflicts are resolved the batch is thawed instead.
///
/// # Safety
/// The relation is open and locked for writing, the slot holds a row of it.
pub unsafe fn check(
    rel: pg_sys::Relation,
    slot: *mut pg_sys::TupleTableSlot,
    resolves_conflicts: bool,
) {
    // SAFETY: as the caller says.
    unsafe {
        let Some(companion) = link::now(rel).and_then(|link| link.batches) else { return };
        let keys = keys(rel, slot);
        if keys.is_empty() {
            return;
        }
        let batches = batches::of(companion);
        for key in &keys {
            let Some(batch) = repeated(key, &batches) else { continue };
            if !key.is_certain {
                refuse(rel, "the new row may repeat a key of theirs");
            }
            if resolves_conflicts {
                // The index finds the conflict, as soon as the row is in it.
                match Address::new(batch, 0) {
                    Some(address) => {
                        let wait = pg_sys::LockWaitPolicy::LockWaitBlock;
                        let _ = thaw::batch(rel, address, wait);
                        continue;
                    }
                    None => refuse(rel, "the new row is in conflict with one of them"),
                }
            }
            raise(
                Error::new(
                    PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION,
                    format!("duplicate key value violates unique constraint \"{}\"", key.index),
                )
                .detail(format!("The key is that of a compressed row of {}.", name(rel))),
            );
        }
    }
}

/// What an index lets no two rows share, and what the new row has there.
struct Key {
    index: String,
    probes: Vec<Probe>,
    /// Whether rows that agree with all probes are sure to be in conflict.
    is_certain: bool,
}

/// A value to look for in a column.
struct Probe {
    attnum: i16,
    value: Value,
}

enum Value {
    Integer(i64),
    Bytes(Vec<u8>),
}

/// The batch that holds the key.
unsafe fn repeated(key: &Key, batches: &Batches) -> Option<pg_sys::ItemPointerData> {
    let holds = |batch: usize| {
        let lies_in = |probe: &Probe| match &probe.value {
            Value::Integer(value) => batches.may_hold(batch, probe.attnum, *value),
            Value::Bytes(value) => batches.may_hold_bytes(batch, probe.attnum, value),
        };
        if !key.probes.iter().all(lies_in) {
            return false;
        }
        pgrx::check_for_interrupts!();
        let mut rows: Option<Vec<usize>> = None;
        for probe in &key.probes {
            // A column that came after the batch: its one value there isn't looked at.
            // SAFETY: the companion is there as long as the chunk is locked.
            let column = match unsafe { batches.column(batch, probe.attnum) } {
                Ok(Some(column)) => column,
                Ok(None) => continue,
                Err(Gone) => return false,
            };
            let found = rows_with(&column, &probe.value);
            rows = Some(match rows {
                None => found,
                Some(rows) => {
                    rows.into_iter().filter(|row| found.binary_search(row).is_ok()).collect()
                }
            });
        }
        rows.is_none_or(|rows| !rows.is_empty())
    };
    // One that was thawed has its keys in the indexes.
    (0..batches.len())
        .filter(|batch| holds(*batch))
        .map(|batch| batches.tid(batch))
        // SAFETY: the chunk is locked for writing.
        .find(|batch| unsafe { thaw::stays(batches.companion(), *batch) })
}

/// The rows whose value this is, in order.
fn rows_with(column: &Column, wanted: &Value) -> Vec<usize> {
    let mut at = 0;
    let mut rows = vec![];
    for row in 0..column.rows() {
        if column.nulls.as_ref().is_some_and(|nulls| nulls.get(row)) {
            continue;
        }
        let is_it = match (&column.values, wanted) {
            (Values::I16(v), Value::Integer(wanted)) => i64::from(v[at]) == *wanted,
            (Values::I32(v), Value::Integer(wanted)) => i64::from(v[at]) == *wanted,
            (Values::I64(v), Value::Integer(wanted)) => v[at] == *wanted,
            (Values::Bytes(v), Value::Bytes(wanted)) => v.get(at) == Some(wanted),
            // Stored otherwise than it is compared: may be.
            _ => true,
        };
        if is_it {
            rows.push(row);
        }
        at += 1;
    }
    rows
}

/// The keys that the row has in the table's unique and excluding indexes. One with a null, which is like no other, is left out.
unsafe fn keys(rel: pg_sys::Relation, slot: *mut pg_sys::TupleTableSlot) -> Vec<Key> {
    // SAFETY: the table is locked for writing, and so are indexes that exist.
    unsafe {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let list = PgList::<pg_sys::Oid>::from_pg(pg_sys::RelationGetIndexList(rel));
        let mut keys = vec![];
        for oid in list.iter_oid() {
            let index = pg_sys::index_open(oid, lock);
            keys.extend(key(index, slot));
            pg_sys::index_close(index, lock);
        }
        keys
    }
}

unsafe fn key(index: pg_sys::Relation, slot: *mut pg_sys::TupleTableSlot) -> Option<Key> {
    // SAFETY: the index is open; its arrays have an element for each key.
    unsafe {
        let form = &*(*index).rd_index;
        if !form.indisunique && !form.indisexclusion {
            return None;
        }
        let count = usize::from(form.indnkeyatts.unsigned_abs());
        let mut key = Key {
            index: std::ffi::CStr::from_ptr((*(*index).rd_rel).relname.data.as_ptr())
                .to_string_lossy()
                .into_owned(),
            probes: vec![],
            is_certain: form.indimmediate && pg_sys::RelationGetIndexPredicate(index).is_null(),
        };
        for (at, &attnum) in form.indkey.values.as_slice(count).iter().enumerate() {
            if form.indisexclusion || attnum <= 0 {
                key.is_certain = false;
                continue;
            }
            let mut is_null = false;
            let datum = pg_sys::slot_getattr(slot, attnum.into(), &raw mut is_null);
            if is_null {
                if !form.indnullsnotdistinct {
                    return None;
                }
                key.is_certain = false;
                continue;
            }
            let family = *(*index).rd_opfamily.add(at);
            let collation = *(*index).rd_indcollation.add(at);
            match probe(slot, attnum, datum, family, collation) {
                Some(value) => key.probes.push(Probe { attnum, value }),
                None => key.is_certain = false,
            }
        }
        Some(key)
    }
}

/// The value as it is stored, where equality is that of what is stored: for Postgres' own types
/// that have one form of each value, by Postgres' own operators.
#[expect(clippy::cast_possible_truncation, reason = "a datum holds no more than its type")]
unsafe fn probe(
    slot: *mut pg_sys::TupleTableSlot,
    attnum: i16,
    datum: pg_sys::Datum,
    family: pg_sys::Oid,
    collation: pg_sys::Oid,
) -> Option<Value> {
    if family.to_u32() >= pg_sys::FirstNormalObjectId {
        return None;
    }
    let at = usize::from(attnum.unsigned_abs()) - 1;
    // SAFETY: a column of the table and its value.
    unsafe {
        let att = crate::compat::attribute((*slot).tts_tupleDescriptor, at);
        let raw = datum.value();
        match pg_sys::getBaseType(att.atttypid) {
            pg_sys::INT2OID => Some(Value::Integer(i64::from(raw as i16))),
            pg_sys::INT4OID | pg_sys::OIDOID | pg_sys::DATEOID => {
                Some(Value::Integer(i64::from(raw as i32)))
            }
            pg_sys::INT8OID | pg_sys::TIMEOID | pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => {
                Some(Value::Integer(raw as i64))
            }
            pg_sys::UUIDOID => {
                let bytes = std::slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), 16);
                Some(Value::Bytes(bytes.to_vec()))
            }
            pg_sys::TEXTOID | pg_sys::VARCHAROID
                if pg_sys::get_collation_isdeterministic(collation) =>
            {
                let stored = datum.cast_mut_ptr::<pg_sys::varlena>();
                let plain = pg_sys::pg_detoast_datum_packed(stored);
                let bytes = pgrx::varlena_to_byte_slice(plain).to_vec();
                if plain != stored {
                    pg_sys::pfree(plain.cast());
                }
                Some(Value::Bytes(bytes))
            }
            _ => None,
        }
    }
}
