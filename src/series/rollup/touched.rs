//! Which instants a statement touched: the time column of its transition tables.

use crate::error::{Error, Result};
use crate::series::time;
use crate::trigger;
use lake_chunks::{DAY, Micros};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::{FromDatum, PgSqlErrorCode, PgTupleDesc, pg_sys};
use std::collections::BTreeMap;
use std::ffi::CString;

/// First and last instants of days that were touched.
#[derive(Default)]
pub struct Touched(BTreeMap<Micros, (Micros, Micros)>);

impl Touched {
    /// The rows of what a trigger sees, before and after the statement.
    ///
    /// # Safety
    /// `data` is of a trigger that is running.
    pub unsafe fn read(data: *const pg_sys::TriggerData, column: &str) -> Result<Self> {
        // SAFETY: as the caller promises; the relation is open while its trigger runs.
        let (relation, mut tables) =
            unsafe { ((*data).tg_relation, trigger::tables(data).peekable()) };
        if tables.peek().is_none() {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                "_lake.rollup_changed needs transition tables",
            )
            .hint("lake.series_add_rollup makes the triggers that call it."));
        }
        // SAFETY: as above.
        let attribute = unsafe { time_attribute((*relation).rd_id, column) }?;
        let mut touched = Self::default();
        for table in tables {
            // SAFETY: a transition table lives as long as the trigger and has its relation's columns, of
            // which the attribute is a timestamptz.
            unsafe { touched.read_table(table, (*relation).rd_att, attribute) };
        }
        Ok(touched)
    }

    /// # Safety
    /// `table` is a transition table of rows as `columns` says, of which `attribute` is a timestamptz.
    unsafe fn read_table(
        &mut self,
        table: *mut pg_sys::Tuplestorestate,
        columns: pg_sys::TupleDesc,
        attribute: i16,
    ) {
        // The day of the row before: most rows are of the same.
        let mut open: Option<(Micros, (Micros, Micros))> = None;
        let read = |datum| {
            // SAFETY: the attribute is a timestamptz, and not null.
            let at = unsafe { TimestampWithTimeZone::from_datum(datum, false) };
            let Some(at) = at.map(time::from_pg) else { return };
            let day = at.div_euclid(DAY);
            match &mut open {
                Some((of, (first, last))) if *of == day => {
                    *first = at.min(*first);
                    *last = at.max(*last);
                }
                other => {
                    if let Some((of, ends)) = other.replace((day, (at, at))) {
                        self.add(of, ends);
                    }
                }
            }
        };
        // SAFETY: as the caller promises.
        unsafe { trigger::each(table, columns, attribute, read) };
        if let Some((day, ends)) = open {
            self.add(day, ends);
        }
    }

    fn add(&mut self, day: Micros, (first, last): (Micros, Micros)) {
        let ends = self.0.entry(day).or_insert((first, last));
        *ends = (ends.0.min(first), ends.1.max(last));
    }

    /// First and last instants, in the same order; empty where no row was touched.
    pub fn ends(&self) -> Result<(Vec<TimestampWithTimeZone>, Vec<TimestampWithTimeZone>)> {
        let ends = self.0.values();
        ends.map(|(first, last)| Ok((time::to_pg(*first)?, time::to_pg(*last)?))).collect()
    }
}

/// Whether the transition tables may hold rows that aren't laid out as the relation says. TimescaleDB
/// before 2.27 puts rows of chunks there as they are, and a chunk lacks the columns that the hypertable
/// lost before it was made.
///
/// # Safety
/// `relation` is open.
pub unsafe fn has_foreign_rows(relation: pg_sys::Relation) -> bool {
    // SAFETY: an open relation has both.
    let (class, columns) =
        unsafe { ((*relation).rd_rel, PgTupleDesc::from_pg_unchecked((*relation).rd_att)) };
    // SAFETY: as above. Partitions are Postgres' own, which converts their rows.
    let partitioned =
        unsafe { (*class).relkind } == pg_sys::RELKIND_PARTITIONED_TABLE as std::ffi::c_char;
    !partitioned && columns.iter().any(|column| column.attisdropped)
}

/// The number of the time column. 42703 where there is none of the name and type.
///
/// # Safety
/// `table` is open.
unsafe fn time_attribute(table: pg_sys::Oid, column: &str) -> Result<i16> {
    let name = CString::new(column).unwrap_or_default();
    // SAFETY: both look into the catalogue.
    unsafe {
        let attribute = pg_sys::get_attnum(table, name.as_ptr());
        if attribute > 0 && pg_sys::get_atttype(table, attribute) == pg_sys::TIMESTAMPTZOID {
            return Ok(attribute);
        }
    }
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
        format!(
            "rollups read the time column \"{column}\", which is gone or no timestamptz any more"
        ),
    )
    .hint("Give it its name and type back, or drop the rollups: lake.series_drop_rollup(…)."))
}
