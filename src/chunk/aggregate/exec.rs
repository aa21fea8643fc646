//! Runs the node: gathers groups from the heap and from batches, and returns them when all are, or when they take too much memory.

use super::NAME;
use super::function::Function;
use super::plan::{Output, Private};
use super::runs::{Keys, Part};
use super::state::{Kind, State};
use super::statistics;
use crate::chunk::block::Block;
use crate::chunk::column::{Builder, kind_of};
use crate::chunk::evaluate::{Evaluator, columns_of};
use crate::chunk::routine::heap_call;
use crate::chunk::select::Selection;
use crate::chunk::{or_raise, scan};
use crate::compat;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};
use std::collections::HashMap;
use std::ptr;

pub struct ScanMethods(pub pg_sys::CustomScanMethods);
// SAFETY: a constant: addresses of a name and of functions.
unsafe impl Sync for ScanMethods {}

pub static SCAN: ScanMethods = ScanMethods(pg_sys::CustomScanMethods {
    CustomName: NAME.as_ptr(),
    CreateCustomScanState: Some(create),
});

struct ExecMethods(pg_sys::CustomExecMethods);
// SAFETY: as above.
unsafe impl Sync for ExecMethods {}

static EXEC: ExecMethods = ExecMethods(pg_sys::CustomExecMethods {
    CustomName: NAME.as_ptr(),
    BeginCustomScan: Some(begin),
    ExecCustomScan: Some(exec),
    EndCustomScan: Some(end),
    ReScanCustomScan: Some(rescan),
    MarkPosCustomScan: None,
    RestrPosCustomScan: None,
    EstimateDSMCustomScan: None,
    InitializeDSMCustomScan: None,
    ReInitializeDSMCustomScan: None,
    InitializeWorkerCustomScan: None,
    ShutdownCustomScan: None,
    ExplainCustomScan: Some(explain),
});

/// Postgres' state of the node, with ours behind it.
#[repr(C)]
struct Node {
    base: pg_sys::CustomScanState,
    work: *mut Work,
}

pub struct Work {
    outputs: Vec<Output>,
    /// The aggregates among the outputs, in their order.
    pub functions: Vec<(Function, Kind)>,
    pub keys: Keys,
    pub selection: Selection,
    pub evaluator: Evaluator,
    /// For the condition's text, in EXPLAIN.
    conditions: *mut pg_sys::List,
    /// All columns that are read.
    columns: Vec<i16>,
    /// The plain scan; null before the first group is asked for.
    scan: pg_sys::TableScanDesc,
    /// Where rows of the heap come to.
    slot: *mut pg_sys::TupleTableSlot,
    phase: Phase,
    groups: Groups,
    /// Of the groups gathered, the next to be returned.
    next: usize,
    from_statistics: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Heap,
    Batches,
    Done,
}

#[derive(Default)]
struct Groups {
    found: HashMap<Vec<Part>, usize>,
    groups: Vec<(Vec<Part>, Vec<State>)>,
    /// The bytes they take, about.
    size: usize,
}

/// How many rows of the heap make a block.
const ROWS: usize = 1_024;

#[pg_guard]
unsafe extern "C-unwind" fn create(_scan: *mut pg_sys::CustomScan) -> *mut pg_sys::Node {
    // SAFETY: zeroed, which is an empty node of its type; Postgres frees it with the query's memory.
    unsafe {
        let node = pg_sys::palloc0(size_of::<Node>()).cast::<Node>();
        (*node).base.ss.ps.type_ = pg_sys::NodeTag::T_CustomScanState;
        (*node).base.methods = &raw const EXEC.0;
        node.cast()
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn begin(
    state: *mut pg_sys::CustomScanState,
    _estate: *mut pg_sys::EState,
    _flags: std::ffi::c_int,
) {
    // SAFETY: the executor's own node, made by `create`, of a plan made by us.
    unsafe {
        let node = &raw mut (*state).ss.ps;
        let chunk = (*(*state).ss.ss_currentRelation).rd_att;
        let private = Private::of((*node).plan.cast());
        let functions = private.outputs.iter().filter_map(|output| match output {
            Output::Aggregate(function) => Some((*function, Kind::new(*function, chunk))),
            Output::Key(_) => None,
        });
        let functions: Vec<_> = functions.collect();
        let mut columns = columns_of(private.conditions.cast());
        for key in &private.keys {
            columns.extend(columns_of((*key).cast()));
        }
        columns.extend(functions.iter().flat_map(|(function, _)| [function.attnum, function.by]));
        columns.sort_unstable();
        columns.dedup();
        columns.retain(|attnum| *attnum > 0);
        let work = Work {
            functions,
            keys: Keys::begin(&private.keys, node),
            selection: Selection::begin(private.conditions, node),
            evaluator: Evaluator::new(node, chunk),
            conditions: private.conditions,
            outputs: private.outputs,
            columns,
            scan: ptr::null_mut(),
            slot: ptr::null_mut(),
            phase: Phase::Heap,
            groups: Groups::default(),
            next: 0,
            from_statistics: 0,
        };
        (*state.cast::<Node>()).work =
            PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(work);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn exec(
    state: *mut pg_sys::CustomScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node.
    unsafe { pg_sys::ExecScan(&raw mut (*state).ss, Some(next), Some(recheck)) }
}

/// Groups need no second look: conditions were about rows.
#[pg_guard]
unsafe extern "C-unwind" fn recheck(
    _state: *mut pg_sys::ScanState,
    _slot: *mut pg_sys::TupleTableSlot,
) -> bool {
    true
}

#[pg_guard]
unsafe extern "C-unwind" fn next(state: *mut pg_sys::ScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node, whose relation is open; its slot is a virtual one of the outputs.
    unsafe {
        let work = &mut *(*state.cast::<Node>()).work;
        let slot = (*state).ss_ScanTupleSlot;
        pg_sys::ExecClearTuple(slot);
        while work.next == work.groups.groups.len() {
            work.groups = Groups::default();
            work.next = 0;
            if work.phase == Phase::Done {
                return slot;
            }
            work.gather(state);
        }
        let memory = (*(*state).ps.ps_ExprContext).ecxt_per_tuple_memory;
        let before = pg_sys::MemoryContextSwitchTo(memory);
        work.put(slot);
        pg_sys::MemoryContextSwitchTo(before);
        work.next += 1;
        pg_sys::ExecStoreVirtualTuple(slot)
    }
}

impl Work {
    /// Reads on, until there is no more or the groups take as much memory as a hash table may.
    unsafe fn gather(&mut self, state: *mut pg_sys::ScanState) {
        // SAFETY: the executor's own node.
        unsafe {
            let rel = (*state).ss_currentRelation;
            if self.scan.is_null() {
                let query = (*state).ps.state;
                // The scan lasts as long as the query, whoever asks for its first row.
                let before = pg_sys::MemoryContextSwitchTo((*query).es_query_cxt);
                self.slot = pg_sys::table_slot_create(rel, ptr::null_mut());
                self.scan = pg_sys::table_beginscan(rel, (*query).es_snapshot, 0, ptr::null_mut());
                pg_sys::MemoryContextSwitchTo(before);
                let ranges = self.selection.telling.refresh(&raw mut (*state).ps);
                scan::with_batches(self.scan, |reader| reader.ranges = ranges);
            }
            let limit = pg_sys::get_hash_memory_limit();
            while self.phase != Phase::Done && self.groups.size < limit {
                match self.phase {
                    Phase::Heap => self.rows_of_heap(rel),
                    _ => {
                        let scan = self.scan;
                        let any = scan::with_batches(scan, |reader| {
                            let any = reader.advance();
                            if any {
                                self.batch(reader, (*rel).rd_att);
                            }
                            any
                        });
                        if any != Some(true) {
                            self.phase = Phase::Done;
                        }
                    }
                }
            }
        }
    }

    /// Takes some rows of the heap.
    unsafe fn rows_of_heap(&mut self, rel: pg_sys::Relation) {
        // SAFETY: the scan is of this relation, and the slot for its rows.
        unsafe {
            let attribute = |attnum: &i16| {
                compat::attribute((*rel).rd_att, usize::from(attnum.unsigned_abs()) - 1)
            };
            let mut builders: Vec<_> = self
                .columns
                .iter()
                .map(|attnum| Builder::new(or_raise(kind_of(attribute(attnum)))))
                .collect();
            let mut rows = 0;
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            while rows < ROWS {
                if !heap_call!(scan_getnextslot(self.scan, forward, self.slot)) {
                    self.phase = Phase::Batches;
                    break;
                }
                rows += 1;
                for (attnum, builder) in self.columns.iter().zip(&mut builders) {
                    let mut is_null = false;
                    let value = pg_sys::slot_getattr(self.slot, (*attnum).into(), &raw mut is_null);
                    builder.push(value, is_null, attribute(attnum).attlen);
                }
            }
            pgrx::check_for_interrupts!();
            if rows > 0 {
                let columns = builders.into_iter().map(Builder::finish);
                let columns = self.columns.iter().copied().zip(columns).collect();
                self.block(Block::of_rows(rows, columns, (*rel).rd_att));
            }
        }
    }

    unsafe fn batch(&mut self, reader: &scan::Reader, columns_of: pg_sys::TupleDesc) {
        // SAFETY: the reader is at a batch of the relation.
        unsafe {
            match statistics::answer(self, reader) {
                Some((parts, known)) => {
                    self.from_statistics += 1;
                    let kinds = self.functions.iter().map(|(_, kind)| *kind);
                    let states = self.groups.of(parts, kinds.clone());
                    for ((state, kind), known) in states.iter_mut().zip(kinds).zip(known) {
                        kind.add_known(state, known);
                    }
                }
                None => self.block(Block::of_batch(reader, columns_of)),
            }
        }
    }

    unsafe fn block(&mut self, mut block: Block) {
        // SAFETY: of the relation that is being read.
        let runs = unsafe {
            self.selection.apply(&mut block, &self.evaluator);
            if block.rows() == 0 {
                return;
            }
            self.keys.cut(&mut block, &self.evaluator)
        };
        for (function, _) in &self.functions {
            [function.attnum, function.by]
                .iter()
                .filter(|attnum| **attnum > 0)
                .for_each(|attnum| block.load(*attnum));
        }
        let kinds = self.functions.iter().map(|(_, kind)| *kind);
        let ends: Vec<usize> = runs.iter().skip(1).map(|run| run.0).chain([block.rows()]).collect();
        for ((begin, parts), end) in runs.into_iter().zip(ends) {
            let states = self.groups.of(parts, kinds.clone());
            for (state, (function, kind)) in states.iter_mut().zip(&self.functions) {
                match (function.attnum, function.by, &mut *state) {
                    (0, _, State::Count(count)) => *count += (end - begin) as i64,
                    (attnum, 0, state) => kind.add(state, block.column(attnum), begin..end),
                    (attnum, by, state) => {
                        let (column, by) = (block.column(attnum), block.column(by));
                        kind.add_edge(state, column, by, begin..end);
                    }
                }
            }
        }
    }

    /// The next group, as a row.
    unsafe fn put(&self, slot: *mut pg_sys::TupleTableSlot) {
        let (parts, states) = &self.groups.groups[self.next];
        let mut aggregates = self.functions.iter().zip(states);
        for (at, output) in self.outputs.iter().enumerate() {
            let value = match output {
                Output::Key(key) => self.keys.keys[*key].1.datum(&parts[*key]),
                Output::Aggregate(_) => {
                    aggregates.next().and_then(|((_, kind), state)| kind.finish(state))
                }
            };
            // SAFETY: the slot has as many columns as there are outputs.
            unsafe {
                *(*slot).tts_isnull.add(at) = value.is_none();
                *(*slot).tts_values.add(at) = value.unwrap_or_else(pg_sys::Datum::null);
            }
        }
    }
}

impl Groups {
    /// The states of a group.
    fn of(&mut self, parts: Vec<Part>, kinds: impl Iterator<Item = Kind>) -> &mut Vec<State> {
        let at = match self.found.get(&parts) {
            Some(at) => *at,
            None => {
                let states: Vec<State> = kinds.map(Kind::start).collect();
                let bytes: usize = parts
                    .iter()
                    .map(|part| {
                        size_of::<Part>() + if let Part::Bytes(b) = part { b.len() } else { 0 }
                    })
                    .sum();
                self.size += 2 * bytes + states.len() * size_of::<State>() + 100;
                self.found.insert(parts.clone(), self.groups.len());
                self.groups.push((parts, states));
                self.groups.len() - 1
            }
        };
        &mut self.groups[at].1
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn rescan(state: *mut pg_sys::CustomScanState) {
    // SAFETY: the executor's own node.
    unsafe {
        let work = &mut *(*state.cast::<Node>()).work;
        pg_sys::ExecClearTuple((*state).ss.ss_ScanTupleSlot);
        if !work.scan.is_null() {
            pg_sys::table_rescan(work.scan, ptr::null_mut());
            let ranges = work.selection.telling.refresh(&raw mut (*state).ss.ps);
            scan::with_batches(work.scan, |reader| reader.ranges = ranges);
        }
        work.groups = Groups::default();
        work.next = 0;
        work.phase = Phase::Heap;
        pg_sys::ExecScanReScan(&raw mut (*state).ss);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn end(state: *mut pg_sys::CustomScanState) {
    // SAFETY: the executor's own node, once.
    unsafe {
        let work = &mut *(*state.cast::<Node>()).work;
        pg_sys::ExecClearTuple((*state).ss.ss_ScanTupleSlot);
        work.evaluator.end();
        work.groups = Groups::default();
        if !work.scan.is_null() {
            pg_sys::ExecDropSingleTupleTableSlot(work.slot);
            pg_sys::table_endscan(work.scan);
            work.scan = ptr::null_mut();
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn explain(
    state: *mut pg_sys::CustomScanState,
    _ancestors: *mut pg_sys::List,
    to: *mut pg_sys::ExplainState,
) {
    // SAFETY: the executor's own node; labels are constants.
    unsafe {
        let work = &*(*state.cast::<Node>()).work;
        if !work.conditions.is_null() {
            let rel = (*state).ss.ss_currentRelation;
            let name = (*(*rel).rd_rel).relname.data.as_ptr();
            let context = pg_sys::deparse_context_for(name, (*rel).rd_id);
            let all = pg_sys::make_ands_explicit(work.conditions);
            let text = pg_sys::deparse_expression(all.cast(), context, false, false);
            pg_sys::ExplainPropertyText(c"Filter".as_ptr(), text, to);
        }
        if !(*to).analyze || work.scan.is_null() {
            return;
        }
        let counts = scan::counts(work.scan);
        for (label, count) in [
            (c"Batches Read", counts.read - work.from_statistics),
            (c"Batches Skipped", counts.skipped),
            (c"Batches Answered by Statistics", work.from_statistics),
        ] {
            pg_sys::ExplainPropertyInteger(label.as_ptr(), ptr::null(), count, to);
        }
    }
}
