//! What the node does: gathers groups from the heap and from batches, and returns them when all are, or when they take too much
//! memory.

use super::function::Function;
use super::groups::Groups;
use super::plan::{Output, Private};
use super::runs::Keys;
use super::state::{Kind, State};
use super::statistics;
use crate::chunk::block::Block;
use crate::chunk::column::{Builder, kind_of};
use crate::chunk::evaluate::{Evaluator, columns_of};
use crate::chunk::reader::Counts;
use crate::chunk::routine::heap_call;
use crate::chunk::select::Selection;
use crate::chunk::{or_raise, scan};
use crate::compat;
use pgrx::pg_sys;
use std::ptr;

/// How many rows of the heap make a block.
const ROWS: usize = 1_024;

pub struct Work {
    outputs: Vec<Output>,
    /// The aggregates among the outputs, in their order.
    pub functions: Vec<(Function, Kind)>,
    pub keys: Keys,
    pub selection: Selection,
    pub evaluator: Evaluator,
    /// For the condition's text, in EXPLAIN.
    pub conditions: *mut pg_sys::List,
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
    pub from_statistics: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Heap,
    Batches,
    Done,
}

impl Work {
    /// # Safety
    /// A node of ours that is being begun, and its chunk.
    pub unsafe fn begin(node: *mut pg_sys::PlanState, rel: pg_sys::Relation) -> Self {
        // SAFETY: as the caller says.
        unsafe {
            let chunk = (*rel).rd_att;
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
            columns
                .extend(functions.iter().flat_map(|(function, _)| [function.attnum, function.by]));
            columns.sort_unstable();
            columns.dedup();
            columns.retain(|attnum| *attnum > 0);
            Self {
                functions,
                keys: Keys::begin(&private.keys, node),
                selection: Selection::begin(private.conditions, node),
                evaluator: Evaluator::new(node, rel),
                conditions: private.conditions,
                outputs: private.outputs,
                columns,
                scan: ptr::null_mut(),
                slot: ptr::null_mut(),
                phase: Phase::Heap,
                groups: Groups::default(),
                next: 0,
                from_statistics: 0,
            }
        }
    }

    /// Puts the next group into a slot; false at the end.
    ///
    /// # Safety
    /// The node is being run; the slot is a virtual one of its outputs.
    pub unsafe fn next(
        &mut self,
        state: *mut pg_sys::ScanState,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> bool {
        // SAFETY: as the caller says.
        unsafe {
            while self.next == self.groups.len() {
                self.groups = Groups::default();
                self.next = 0;
                if self.phase == Phase::Done {
                    return false;
                }
                self.gather(state);
            }
            let memory = (*(*state).ps.ps_ExprContext).ecxt_per_tuple_memory;
            let before = pg_sys::MemoryContextSwitchTo(memory);
            self.put(slot);
            pg_sys::MemoryContextSwitchTo(before);
            self.next += 1;
            true
        }
    }

    /// From the first row again, with the values that conditions have now.
    ///
    /// # Safety
    /// The node is being run.
    pub unsafe fn restart(&mut self, node: *mut pg_sys::PlanState) {
        // SAFETY: as the caller says.
        unsafe {
            if !self.scan.is_null() {
                pg_sys::table_rescan(self.scan, ptr::null_mut());
                self.narrow(node);
            }
        }
        self.groups = Groups::default();
        self.next = 0;
        self.phase = Phase::Heap;
    }

    /// # Safety
    /// The node is being ended.
    pub unsafe fn end(&mut self) {
        self.groups = Groups::default();
        // SAFETY: as the caller says; what was opened is closed, once.
        unsafe {
            self.evaluator.end();
            if !self.scan.is_null() {
                pg_sys::ExecDropSingleTupleTableSlot(self.slot);
                pg_sys::table_endscan(self.scan);
                self.scan = ptr::null_mut();
            }
        }
    }

    /// Batches that the scan has come to; `None` before it is opened.
    pub fn counts(&self) -> Option<Counts> {
        (!self.scan.is_null()).then(|| scan::counts(self.scan))
    }

    unsafe fn narrow(&mut self, node: *mut pg_sys::PlanState) {
        // SAFETY: the node is being run.
        unsafe {
            let ranges = self.selection.telling.refresh(node);
            scan::with_batches(self.scan, |reader| reader.ranges = ranges);
        }
    }

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
                self.narrow(&raw mut (*state).ps);
            }
            let limit = pg_sys::get_hash_memory_limit();
            while self.phase != Phase::Done && self.groups.size() < limit {
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
        let (parts, states) = self.groups.get(self.next);
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
