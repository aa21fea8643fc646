//! Compressed rows that are changed or locked: their batch is thawed, that is deleted from the companion and
//! its rows inserted into the heap, with their index entries, in the same transaction.
//!
//! The statement goes on reading the batch, as of its snapshot, and knows its rows by the addresses that
//! they had ([`Address`]); where each went is kept to the end of the transaction. What is thawed by a
//! command is written by a later one, as no command may change what it has inserted itself.
//!
//! Whoever thaws a batch holds its row in the companion: others wait, and run again when it is gone.

use super::address::{Address, parts};
use super::companion;
use super::routine::heap_call;
use super::rows::{self, NOWHERE};
use super::{link, name, or_raise, raise, refuse};
use crate::compat;
use crate::error::Error;
use pgrx::{PgSqlErrorCode, PgTupleDesc, pg_sys};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr;

type Outcome = pg_sys::TM_Result::Type;

/// A row that was thawed.
#[derive(Clone, Copy)]
struct Thawed {
    tid: pg_sys::ItemPointerData,
    /// The transaction, perhaps a subtransaction, and its command.
    xid: pg_sys::TransactionId,
    command: pg_sys::CommandId,
}

/// What this transaction has thawed.
#[derive(Default)]
struct Moves {
    top: u32,
    /// By companion and place of the batch, in the order of its rows.
    batches: HashMap<(u32, u32, u16), Vec<Thawed>>,
    /// By chunk and place of the row in its heap.
    rows: HashMap<(u32, u32, u16), Thawed>,
    /// Which command writes what was thawed by one, in the stead of one.
    writers: HashMap<(pg_sys::CommandId, pg_sys::CommandId), pg_sys::CommandId>,
    /// Commands that wrote in the stead of one.
    later: HashMap<pg_sys::CommandId, pg_sys::CommandId>,
}

thread_local! {
    static MOVES: RefCell<Moves> = RefCell::default();
}

/// Of the present transaction; those of the last are forgotten.
fn with_moves<T>(f: impl FnOnce(&mut Moves) -> T) -> T {
    // SAFETY: reads a variable of this process.
    let top = unsafe { pg_sys::GetTopTransactionIdIfAny() }.into_inner();
    MOVES.with_borrow_mut(|moves| {
        if moves.top != top {
            *moves = Moves { top, ..Moves::default() };
        }
        f(moves)
    })
}

fn holds(thawed: &Thawed) -> bool {
    // SAFETY: takes any transaction's number; that of a subtransaction rolled back is no current one.
    unsafe { pg_sys::TransactionIdIsCurrentTransactionId(thawed.xid) }
}

/// A row's place in the heap, and the command that is to write it in the caller's stead.
pub struct Place {
    pub tid: pg_sys::ItemPointerData,
    pub command: pg_sys::CommandId,
    asked: pg_sys::CommandId,
}

impl Place {
    /// What a caller, who compares commands, is told of a row that it has written itself.
    ///
    /// # Safety
    /// The failure is of a write to this place.
    pub unsafe fn tell(&self, outcome: Outcome, failure: *mut pg_sys::TM_FailureData) -> Outcome {
        if outcome == pg_sys::TM_Result::TM_SelfModified {
            // SAFETY: as the caller says.
            let cmax = unsafe { &mut (*failure).cmax };
            if with_moves(|moves| moves.later.get(cmax).copied()) == Some(self.asked) {
                *cmax = self.asked;
            }
        }
        outcome
    }
}

/// Where to write a row. That of a batch is thawed first; `Err` where somebody holds it and that isn't waited for.
///
/// # Safety
/// The relation is open and locked.
pub unsafe fn place(
    rel: pg_sys::Relation,
    tid: pg_sys::ItemPointerData,
    asked: pg_sys::CommandId,
    wait: pg_sys::LockWaitPolicy::Type,
) -> Result<Place, Outcome> {
    // SAFETY: as the caller says.
    unsafe {
        if tid.ip_posid == NOWHERE.ip_posid {
            refuse(rel, "this statement would change, lock or merge one of them");
        }
        let thawed = match Address::read(tid) {
            Some(address) => match moved(rel, address) {
                Some(thawed) => Some(thawed),
                None => {
                    batch(rel, address, wait)?;
                    moved(rel, address)
                }
            },
            None => {
                let (block, offset) = parts(tid);
                let key = ((*rel).rd_id.to_u32(), block, offset);
                with_moves(|moves| moves.rows.get(&key).copied()).filter(holds)
            }
        };
        let Some(thawed) = thawed else { return Ok(Place { tid, command: asked, asked }) };
        if thawed.command < asked {
            return Ok(Place { tid: thawed.tid, command: asked, asked });
        }
        let command = writer(thawed.command, asked);
        Ok(Place { tid: thawed.tid, command, asked })
    }
}

/// The command that writes what `thawed` has thawed, in the stead of `asked` and of no other.
fn writer(thawed: pg_sys::CommandId, asked: pg_sys::CommandId) -> pg_sys::CommandId {
    if let Some(command) = with_moves(|moves| moves.writers.get(&(thawed, asked)).copied()) {
        return command;
    }
    // The one that was set aside when the batch was thawed, or one more.
    let mut command = thawed + 1;
    if with_moves(|moves| moves.later.contains_key(&command)) {
        command = set_aside();
    }
    with_moves(|moves| {
        moves.writers.insert((thawed, asked), command);
        moves.later.insert(command, asked);
    });
    command
}

/// A command after all that there were; whatever comes next is a later one.
fn set_aside() -> pg_sys::CommandId {
    // SAFETY: in a transaction that writes.
    unsafe {
        pg_sys::GetCurrentCommandId(true);
        pg_sys::CommandCounterIncrement();
        let command = pg_sys::GetCurrentCommandId(true);
        pg_sys::CommandCounterIncrement();
        command
    }
}

/// Where a row of a batch is now, if this transaction has thawed it.
unsafe fn moved(rel: pg_sys::Relation, address: Address) -> Option<Thawed> {
    // SAFETY: as the callers say.
    let companion = unsafe { link::now(rel) }?.batches?.to_u32();
    let key = (companion, address.block, address.place);
    with_moves(|moves| {
        moves.batches.get(&key).and_then(|rows| rows.get(usize::from(address.row))).copied()
    })
    .filter(holds)
}

/// Reads a row of a batch by its address, wherever it is now.
///
/// # Safety
/// As for [`place`]; the slot is one of the chunk's.
pub unsafe fn fetch(
    rel: pg_sys::Relation,
    address: Address,
    snapshot: pg_sys::Snapshot,
    slot: *mut pg_sys::TupleTableSlot,
) -> bool {
    // SAFETY: as the caller says.
    unsafe {
        let writes = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
        if moved(rel, address).is_none() && pg_sys::CheckRelationLockedByMe(rel, writes, true) {
            // To be written next, with its neighbours.
            let _ = batch(rel, address, pg_sys::LockWaitPolicy::LockWaitBlock);
        }
        if let Some(thawed) = moved(rel, address) {
            let mut tid = thawed.tid;
            return heap_call!(tuple_fetch_row_version(rel, &raw mut tid, snapshot, slot));
        }
        let mut found = false;
        each_row(rel, address, |at, tuple| {
            if at == usize::from(address.row) {
                (*tuple).t_tableOid = (*rel).rd_id;
                pg_sys::ExecForceStoreHeapTuple(tuple, slot, false);
                pg_sys::ExecMaterializeSlot(slot);
                (*slot).tts_tid = address.tid();
                (*slot).tts_tableOid = (*rel).rd_id;
                found = true;
            }
        });
        found
    }
}

/// The rows of a batch as tuples, each until the next; false where the batch is gone.
unsafe fn each_row(
    rel: pg_sys::Relation,
    address: Address,
    mut f: impl FnMut(usize, pg_sys::HeapTuple),
) -> bool {
    // SAFETY: the companion is there as long as the chunk is locked; what is opened is closed, or goes with an error.
    unsafe {
        let Some(batches) = link::now(rel).and_then(|link| link.batches) else { return false };
        let no_lock = pg_sys::NoLock as pg_sys::LOCKMODE;
        let companion = pg_sys::table_open(batches, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let columns =
            PgTupleDesc::from_pg_is_copy(pg_sys::CreateTupleDescCopy((*companion).rd_att));
        let stored = or_raise(companion::stored(&columns));
        let slot = pg_sys::table_slot_create(companion, ptr::null_mut());
        let mut tid = address.batch();
        let any = &raw mut pg_sys::SnapshotAnyData;
        let found = heap_call!(tuple_fetch_row_version(companion, &raw mut tid, any, slot));
        if found {
            let memory = rows::row_memory();
            let (rows, mut cursors) = or_raise(rows::decode(slot, &stored));
            for at in 0..rows {
                pgrx::check_for_interrupts!();
                pg_sys::MemoryContextReset(memory);
                let before = pg_sys::MemoryContextSwitchTo(memory);
                let tuple = rows::form(&stored, &mut cursors, (*rel).rd_att);
                pg_sys::MemoryContextSwitchTo(before);
                f(at, tuple);
            }
            pg_sys::MemoryContextDelete(memory);
        }
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::table_close(companion, no_lock);
        found
    }
}

/// Thaws a batch. 40001 where another transaction has, since the statement's snapshot.
///
/// # Safety
/// As for [`place`].
pub unsafe fn batch(
    rel: pg_sys::Relation,
    address: Address,
    wait: pg_sys::LockWaitPolicy::Type,
) -> Result<(), Outcome> {
    // SAFETY: as the caller says.
    unsafe {
        // Whoever only locks rows keeps no compression out yet.
        pg_sys::LockRelationOid((*rel).rd_id, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE);
        let Some(batches) = link::now(rel).and_then(|link| link.batches) else { gone(rel) };
        let command = pg_sys::GetCurrentCommandId(true);
        let waits = wait == pg_sys::LockWaitPolicy::LockWaitBlock;
        match delete(batches, address, command, waits) {
            pg_sys::TM_Result::TM_Ok => {}
            pg_sys::TM_Result::TM_WouldBlock if wait == pg_sys::LockWaitPolicy::LockWaitError => {
                raise(Error::new(
                    PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
                    format!("could not obtain lock on compressed rows of {}", name(rel)),
                ))
            }
            pg_sys::TM_Result::TM_WouldBlock => return Err(pg_sys::TM_Result::TM_WouldBlock),
            _ => gone(rel),
        }
        let xid = pg_sys::GetCurrentTransactionId();
        let mut rows = vec![];
        let mut inserter = Inserter::new(rel);
        let found = each_row(rel, address, |_, tuple| {
            let tid = inserter.insert(tuple, command);
            rows.push(Thawed { tid, xid, command });
        });
        inserter.finish();
        if !found {
            gone(rel);
        }
        let chunk = (*rel).rd_id.to_u32();
        with_moves(|moves| {
            for row in &rows {
                let (block, offset) = parts(row.tid);
                moves.rows.insert((chunk, block, offset), *row);
            }
            moves.batches.insert((batches.to_u32(), address.block, address.place), rows);
        });
        // One command more, for writes to these rows.
        set_aside();
        Ok(())
    }
}

unsafe fn gone(rel: pg_sys::Relation) -> ! {
    // SAFETY: the relation is open.
    let name = unsafe { name(rel) };
    raise(
        Error::new(
            PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
            format!("compressed rows of {name} were changed by another transaction meanwhile"),
        )
        .hint("Run the statement again."),
    )
}

/// Deletes the batch's row from the companion.
unsafe fn delete(
    batches: pg_sys::Oid,
    address: Address,
    command: pg_sys::CommandId,
    waits: bool,
) -> Outcome {
    // SAFETY: opened with a lock that is kept; the address is of a row that was there.
    unsafe {
        let companion = pg_sys::table_open(batches, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE);
        let mut failure = pg_sys::TM_FailureData::default();
        let mut tid = address.batch();
        let mut outcome = pg_sys::TM_Result::TM_Ok;
        if !waits {
            let mode = pg_sys::LockTupleMode::LockTupleExclusive;
            let skip = pg_sys::LockWaitPolicy::LockWaitSkip;
            outcome = lock(companion, &mut tid, command, mode, skip);
        }
        if outcome == pg_sys::TM_Result::TM_Ok {
            let none = ptr::null_mut();
            outcome = heap_call!(tuple_delete(
                companion,
                &raw mut tid,
                command,
                none,
                none,
                true,
                &raw mut failure,
                false
            ));
        }
        pg_sys::table_close(companion, pg_sys::NoLock as pg_sys::LOCKMODE);
        outcome
    }
}

unsafe fn lock(
    companion: pg_sys::Relation,
    tid: &mut pg_sys::ItemPointerData,
    command: pg_sys::CommandId,
    mode: pg_sys::LockTupleMode::Type,
    wait: pg_sys::LockWaitPolicy::Type,
) -> Outcome {
    // SAFETY: as the callers say.
    unsafe {
        let slot = pg_sys::table_slot_create(companion, ptr::null_mut());
        let mut failure = pg_sys::TM_FailureData::default();
        let any = &raw mut pg_sys::SnapshotAnyData;
        let outcome = heap_call!(tuple_lock(
            companion,
            tid,
            any,
            slot,
            command,
            mode,
            wait,
            0,
            &raw mut failure
        ));
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        outcome
    }
}

/// Whether a batch is there, and stays to the end of the transaction. Whoever is thawing it is waited for.
///
/// # Safety
/// The companion's chunk is locked for writing.
pub unsafe fn stays(batches: pg_sys::Oid, mut batch: pg_sys::ItemPointerData) -> bool {
    // SAFETY: as the caller says.
    unsafe {
        let companion = pg_sys::table_open(batches, pg_sys::RowShareLock as pg_sys::LOCKMODE);
        let command = pg_sys::GetCurrentCommandId(true);
        let mode = pg_sys::LockTupleMode::LockTupleKeyShare;
        let wait = pg_sys::LockWaitPolicy::LockWaitBlock;
        let outcome = lock(companion, &mut batch, command, mode, wait);
        pg_sys::table_close(companion, pg_sys::NoLock as pg_sys::LOCKMODE);
        outcome == pg_sys::TM_Result::TM_Ok
    }
}

/// Inserts rows with their index entries: no trigger fires, nothing is checked or replicated, as no row is new.
struct Inserter {
    rel: pg_sys::Relation,
    estate: *mut pg_sys::EState,
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
}

impl Inserter {
    unsafe fn new(rel: pg_sys::Relation) -> Self {
        // SAFETY: the relation is open for writing; what is made here goes in `finish`, or with the transaction.
        unsafe {
            let estate = pg_sys::CreateExecutorState();
            let size = size_of::<pg_sys::ResultRelInfo>();
            let result = pg_sys::MemoryContextAllocZero((*estate).es_query_cxt, size)
                .cast::<pg_sys::ResultRelInfo>();
            (*result).type_ = pg_sys::NodeTag::T_ResultRelInfo;
            pg_sys::InitResultRelInfo(result, rel, 0, ptr::null_mut(), 0);
            pg_sys::ExecOpenIndices(result, false);
            Self { rel, estate, result, slot: pg_sys::table_slot_create(rel, ptr::null_mut()) }
        }
    }

    unsafe fn insert(
        &mut self,
        tuple: pg_sys::HeapTuple,
        command: pg_sys::CommandId,
    ) -> pg_sys::ItemPointerData {
        // SAFETY: the tuple is one of the relation's columns.
        unsafe {
            let options = pg_sys::TABLE_INSERT_NO_LOGICAL as i32;
            pg_sys::heap_insert(self.rel, tuple, command, options, ptr::null_mut());
            let tid = (*tuple).t_self;
            if (*self.result).ri_NumIndices > 0 {
                pg_sys::ExecForceStoreHeapTuple(tuple, self.slot, false);
                (*self.slot).tts_tid = tid;
                (*self.slot).tts_tableOid = (*self.rel).rd_id;
                compat::insert_index_tuples(self.result, self.slot, self.estate);
                pg_sys::ExecClearTuple(self.slot);
                let context = (*self.estate).es_per_tuple_exprcontext;
                if !context.is_null() {
                    pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
                }
            }
            tid
        }
    }

    unsafe fn finish(self) {
        // SAFETY: made in `new`.
        unsafe {
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
            pg_sys::ExecCloseIndices(self.result);
            pg_sys::FreeExecutorState(self.estate);
        }
    }
}
