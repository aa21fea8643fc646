//! The companion of a compressed chunk: one row is one batch.
//!
//! A batch has its number of rows, and for each column of the chunk, by its number and kind,
//! `c3_i64` with the encoded values, and `c3_nulls`, how many rows are null. Numbers have `c3_min`, `c3_max` `c3_sum`, `c3_first` and `c3_last` as well,
//! the sum where it is one of the type's; values of any length have the first two where a batch has the same one in all rows
//! that aren't null: its fingerprint, twice. The table is owned by the extension's owner, nobody else may read it: what a
//! role sees of compressed rows it sees through the chunk. It is a member of the extension, so that
//! pg_dump leaves it out and dumps the chunk's rows.
//!
//! `pg_upgrade_needs_series_decompress_chunk` is never written: a column of its type makes
//! `pg_upgrade --check` refuse, and name it, where it is not certain that the batches come along.

use super::column::{self, Builder};
use super::custom::ordered;
use crate::access;
use crate::compat;
use crate::error::{Error, Result};
use crate::names;
use crate::spi;
use lake_codec::{Bits, Column, Kind, Stats, Values};
use pgrx::{PgTupleDesc, pg_sys};

const SCHEMA: &str = "_lake";

/// A column of the chunk as the companion has it.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    /// The number of the chunk's column.
    pub attnum: i16,
    pub kind: Kind,
    /// The companion's column with the values.
    pub data: i16,
    /// Where the smallest and the largest are, of integers (`int8`) and floats (`float8`); the fingerprint of the only one, of
    /// values of any length.
    pub range: Option<(i16, i16)>,
    /// Where the sum is, of integers (`int8`) and floats (`float8`).
    pub sum: Option<i16>,
    /// Where the first and the last are, of integers (`int8`) and floats (`float8`) that aren't null.
    pub edges: Option<(i16, i16)>,
    /// Where it is how many rows are null.
    pub nulls: i16,
}

impl Stored {
    /// A statistic as a value of the column, of numbers that are passed as such.
    pub fn value(&self, statistic: pg_sys::Datum) -> Option<pg_sys::Datum> {
        let (integer, bits) = (statistic.value() as i64, statistic.value() as u64);
        Some(match self.kind {
            Kind::I16 => pg_sys::Datum::from(integer as i16),
            Kind::I32 => pg_sys::Datum::from(integer as i32),
            Kind::I64 | Kind::F64 => statistic,
            Kind::F32 => pg_sys::Datum::from((f64::from_bits(bits) as f32).to_bits() as i32),
            _ => return None,
        })
    }

    /// An end of the range as an integer, in whose order the column's values are.
    pub fn in_order(&self, end: pg_sys::Datum) -> i64 {
        if is_float(self.kind) {
            ordered(f64::from_bits(end.value() as u64))
        } else {
            end.value() as i64
        }
    }
}

/// The companion's first column.
pub const ROWS: i16 = 1;
const FIXED: i16 = 2;

/// How the companion of a chunk with these columns is laid out.
pub fn layout(columns: &[(i16, Kind)]) -> Vec<Stored> {
    let mut next = FIXED;
    let mut take = || {
        next += 1;
        next
    };
    columns
        .iter()
        .map(|&(attnum, kind)| Stored {
            attnum,
            kind,
            data: take(),
            range: has_range(kind).then(|| (take(), take())),
            sum: is_number(kind).then(&mut take),
            edges: is_number(kind).then(|| (take(), take())),
            nulls: take(),
        })
        .collect()
}

const fn has_range(kind: Kind) -> bool {
    is_number(kind) || matches!(kind, Kind::Bytes)
}

const fn is_number(kind: Kind) -> bool {
    is_integer(kind) || is_float(kind)
}

const fn is_float(kind: Kind) -> bool {
    matches!(kind, Kind::F32 | Kind::F64)
}

pub const fn is_integer(kind: Kind) -> bool {
    matches!(kind, Kind::I16 | Kind::I32 | Kind::I64)
}

/// What stands for a value of any length.
pub fn fingerprint(bytes: &[u8]) -> i64 {
    lake_codec::fingerprint(bytes).into()
}

/// The smallest, the largest, the sum, the first and the last of a column's values, as the companion has them; `None` for what isn't
/// known.
fn statistics(column: &Column) -> [Option<pg_sys::Datum>; 5] {
    if let Values::Bytes(values) = &column.values {
        let one = values.get(0).filter(|first| values.iter().all(|value| value == *first));
        let one = one.map(|one| fingerprint(one).into());
        return [one, one, None, None, None];
    }
    let float = |value: f64| pg_sys::Datum::from(value.to_bits() as i64);
    match column.stats() {
        Stats::Integer(stats) => [
            Some(stats.min.into()),
            Some(stats.max.into()),
            i64::try_from(stats.sum).ok().map(Into::into),
            Some(stats.first.into()),
            Some(stats.last.into()),
        ],
        Stats::Float(stats) => [
            Some(float(stats.min)),
            Some(float(stats.max)),
            stats.sum.map(float),
            Some(float(stats.first)),
            Some(float(stats.last)),
        ],
        _ => [None; 5],
    }
}

/// Makes an empty one.
pub fn create(chunk: pg_sys::Oid, layout: &[Stored]) -> Result<pg_sys::Oid> {
    let mut columns = String::from(
        "rows pg_catalog.int4 NOT NULL, \
         pg_upgrade_needs_series_decompress_chunk pg_catalog.regnamespace",
    );
    for stored in layout {
        let (attnum, kind) = (stored.attnum, column::kind_name(stored.kind));
        columns += &format!(", c{attnum}_{kind} pg_catalog.bytea NOT NULL");
        let statistic = if is_float(stored.kind) { "float8" } else { "int8" };
        if stored.range.is_some() {
            for what in ["min", "max"] {
                columns += &format!(", c{attnum}_{what} pg_catalog.{statistic}");
            }
        }
        if stored.sum.is_some() {
            for what in ["sum", "first", "last"] {
                columns += &format!(", c{attnum}_{what} pg_catalog.{statistic}");
            }
        }
        columns += &format!(", c{attnum}_nulls pg_catalog.int4 NOT NULL");
    }
    access::as_extension_owner(|| {
        let number = spi::scalar::<i64>(
            "SELECT pg_catalog.nextval('_lake.series_batches_seq'::pg_catalog.regclass)",
            &[],
        )?;
        let table = names::qualified(SCHEMA, &format!("batches_{}_{number}", chunk.to_u32()));
        spi::execute(&format!("CREATE TABLE {table} ({columns}) USING heap"), &[])?;
        for stored in layout {
            let (attnum, kind) = (stored.attnum, column::kind_name(stored.kind));
            spi::execute(
                &format!("ALTER TABLE {table} ALTER COLUMN c{attnum}_{kind} SET STORAGE EXTERNAL"),
                &[],
            )?;
        }
        let oid = spi::scalar::<pg_sys::Oid>(
            "SELECT $1::pg_catalog.regclass::pg_catalog.oid",
            &[table.as_str().into()],
        )?;
        // What default privileges gave.
        let others = spi::rows(
            "SELECT DISTINCT a.grantee FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a \
             WHERE c.oid = $1 AND a.grantee <> c.relowner",
            &[oid.into()],
            |row| spi::need::<pg_sys::Oid>(row, 1),
        )?;
        for role in others {
            let role = spi::one::<String>(
                "SELECT rolname::text FROM pg_catalog.pg_roles WHERE oid = $1",
                &[role.into()],
            )?
            .map_or_else(|| "PUBLIC".to_owned(), |role| names::ident(&role));
            spi::execute(&format!("REVOKE ALL ON TABLE {table} FROM {role} CASCADE"), &[])?;
        }
        let (companion, extension) = members(oid);
        // SAFETY: both objects exist.
        unsafe {
            pg_sys::recordDependencyOn(
                &raw const companion,
                &raw const extension,
                pg_sys::DependencyType::DEPENDENCY_EXTENSION,
            );
        }
        Ok(oid)
    })?
}

/// A companion and the extension, whose member it is. `ALTER EXTENSION` would lock the extension to the end of the
/// transaction, and let one chunk at a time be compressed.
fn members(companion: pg_sys::Oid) -> (pg_sys::ObjectAddress, pg_sys::ObjectAddress) {
    let address = |class: u32, object| pg_sys::ObjectAddress {
        classId: pg_sys::Oid::from_u32(class),
        objectId: object,
        objectSubId: 0,
    };
    // SAFETY: looks a name up.
    let extension = unsafe { pg_sys::get_extension_oid(c"lake_stores".as_ptr(), false) };
    // pg_class and pg_extension.
    (address(1259, companion), address(3079, extension))
}

/// Drops one, which nobody reads any more: whoever calls holds the chunk's lock against everybody, or the
/// chunk is gone.
pub fn drop(batches: pg_sys::Oid) -> Result<()> {
    let Ok(table) = names::Relation::by_oid(batches) else { return Ok(()) };
    access::as_extension_owner(|| {
        let (companion, extension) = members(batches);
        // SAFETY: takes any numbers.
        unsafe {
            pg_sys::deleteDependencyRecordsForClass(
                companion.classId,
                companion.objectId,
                extension.classId,
                pg_sys::DependencyType::DEPENDENCY_EXTENSION as std::ffi::c_char,
            );
            pg_sys::CommandCounterIncrement();
        }
        spi::execute(&format!("DROP TABLE {table}"), &[])?;
        Ok(())
    })?
}

/// Drops the companions of chunks that are gone, or have let go of them, and forgets them. A chunk that is locked by somebody is left for the next time.
pub fn sweep() -> Result<u64> {
    let left = spi::rows(
        "SELECT s.chunk, s.batches FROM _lake.series_compressed s \
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c \
                           WHERE c.oid = s.chunk AND c.relfilenode = s.storage)",
        &[],
        |row| Ok((spi::need::<pg_sys::Oid>(row, 1)?, spi::get::<pg_sys::Oid>(row, 2)?)),
    )?;
    let mut swept = 0;
    for (chunk, batches) in left {
        pgrx::check_for_interrupts!();
        // SAFETY: asks for locks by number; neither table need be there.
        let free = unsafe {
            let lock = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
            pg_sys::ConditionalLockRelationOid(chunk, lock)
                && batches.is_none_or(|batches| pg_sys::ConditionalLockRelationOid(batches, lock))
        };
        if !free {
            continue;
        }
        let forgotten = access::as_extension_owner(|| {
            spi::execute(
                "DELETE FROM _lake.series_compressed s WHERE s.chunk = $1 \
                 AND s.batches IS NOT DISTINCT FROM $2 \
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c \
                                 WHERE c.oid = s.chunk AND c.relfilenode = s.storage)",
                &[chunk.into(), batches.into()],
            )
        })??;
        if let (1, Some(batches)) = (forgotten, batches) {
            drop(batches)?;
        }
        swept += forgotten;
    }
    Ok(swept)
}

/// What a companion that is open holds.
pub fn stored(columns: &PgTupleDesc<'_>) -> Result<Vec<Stored>> {
    let mut found: Vec<Stored> = vec![];
    for att in columns.iter().skip(usize::from(FIXED.unsigned_abs())) {
        let fault = || Error::internal(format!("the companion has a column \"{}\"", att.name()));
        let (number, what) =
            att.name().strip_prefix('c').and_then(|n| n.split_once('_')).ok_or_else(fault)?;
        let attnum: i16 = number.parse().map_err(|_| fault())?;
        let last = found.last_mut().ok_or_else(fault);
        match what {
            "min" => last?.range = Some((att.attnum, att.attnum + 1)),
            "max" => {}
            "sum" => last?.sum = Some(att.attnum),
            "first" => last?.edges = Some((att.attnum, att.attnum + 1)),
            "last" => {}
            "nulls" => last?.nulls = att.attnum,
            kind => {
                let kind = column::kind_named(kind).ok_or_else(fault)?;
                let data = att.attnum;
                found.push(Stored {
                    attnum,
                    kind,
                    data,
                    range: None,
                    sum: None,
                    edges: None,
                    nulls: 0,
                });
            }
        }
    }
    Ok(found)
}

/// Writes batches into a companion.
pub struct Writer<'a> {
    companion: pg_sys::Relation,
    layout: &'a [Stored],
    columns: Vec<Builder>,
    rows: usize,
    pub written: i64,
    /// The column that a batch ends with a value of, once it is large enough; and that value.
    segment: Option<i16>,
    value: Vec<u8>,
    /// There are other values in the batch.
    is_mixed: bool,
}

/// At most so many rows make a batch, and about so many bytes.
pub const BATCH_ROWS: usize = 4_096;
const BATCH_BYTES: usize = 16 << 20;

/// So many rows make a batch where the segment ends, of one segment alone and of several: what holds several is read for each
/// of them, many small ones take space.
const SEGMENT_ROWS: usize = 256;
const SEGMENTS_ROWS: usize = 1_024;

impl<'a> Writer<'a> {
    /// # Safety
    /// The companion is open for writing, and has this layout.
    pub unsafe fn new(
        companion: pg_sys::Relation,
        layout: &'a [Stored],
        segment: Option<i16>,
    ) -> Self {
        let columns = builders(layout);
        let value = vec![];
        Self { companion, layout, columns, rows: 0, written: 0, segment, value, is_mixed: false }
    }

    /// # Safety
    /// The slot holds a row of the chunk, with all its columns read.
    pub unsafe fn push(&mut self, slot: *mut pg_sys::TupleTableSlot) -> Result<()> {
        // SAFETY: as the caller says, and the layout's numbers are those of the chunk's columns.
        unsafe {
            if let Some(segment) = self.segment {
                let at = usize::from(segment.unsigned_abs()) - 1;
                let att = compat::attribute((*slot).tts_tupleDescriptor, at);
                let is_null = *(*slot).tts_isnull.add(at);
                let value = column::bytes_of(*(*slot).tts_values.add(at), is_null, att);
                if value != self.value {
                    let least = if self.is_mixed { SEGMENTS_ROWS } else { SEGMENT_ROWS };
                    if self.rows >= least {
                        self.flush()?;
                    }
                    self.is_mixed = self.rows > 0;
                    self.value = value;
                }
            }
            for (stored, column) in self.layout.iter().zip(&mut self.columns) {
                let at = usize::from(stored.attnum.unsigned_abs()) - 1;
                let attlen = compat::attribute((*slot).tts_tupleDescriptor, at).attlen;
                column.push(*(*slot).tts_values.add(at), *(*slot).tts_isnull.add(at), attlen);
            }
        }
        self.rows += 1;
        let bytes: usize = self.columns.iter().map(|c| c.size).sum();
        if self.rows >= BATCH_ROWS || bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what was gathered.
    pub fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let columns = std::mem::replace(&mut self.columns, builders(self.layout));
        let rows = std::mem::take(&mut self.rows);
        self.is_mixed = false;
        // SAFETY: opened by whoever made this.
        let width = unsafe { (*(*self.companion).rd_att).natts }.unsigned_abs() as usize;
        let mut values = vec![None; width];
        let mut set = |attnum: i16, datum: Option<pg_sys::Datum>| {
            values[usize::from(attnum.unsigned_abs()) - 1] = datum;
        };
        set(ROWS, i32::try_from(rows).ok().map(pg_sys::Datum::from));
        let mut allocated = vec![];
        for (stored, column) in self.layout.iter().zip(columns) {
            let column = column.finish();
            let bytes = lake_codec::encode(&column)
                .map_err(|refused| Error::unsupported(refused.to_string()))?;
            // SAFETY: a copy as a varlena.
            let datum = unsafe { column::allocated(&bytes, true) };
            allocated.push(datum);
            set(stored.data, Some(datum));
            let [smallest, largest, total, first, last] = statistics(&column);
            if let Some((min, max)) = stored.range {
                set(min, smallest);
                set(max, largest);
            }
            if let Some(sum) = stored.sum {
                set(sum, total);
            }
            if let Some(edges) = stored.edges {
                set(edges.0, first);
                set(edges.1, last);
            }
            let nulls = column.nulls.as_ref().map_or(0, Bits::count_ones);
            set(stored.nulls, i32::try_from(nulls).ok().map(Into::into));
        }
        let mut nulls: Vec<bool> = values.iter().map(Option::is_none).collect();
        let mut values: Vec<pg_sys::Datum> =
            values.into_iter().map(|v| v.unwrap_or_else(pg_sys::Datum::null)).collect();
        // SAFETY: as many values as the companion has columns; both copies are freed after.
        unsafe {
            let tuple = pg_sys::heap_form_tuple(
                (*self.companion).rd_att,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
            pg_sys::simple_heap_insert(self.companion, tuple);
            pg_sys::heap_freetuple(tuple);
            for datum in allocated {
                pg_sys::pfree(datum.cast_mut_ptr());
            }
        }
        self.written += i64::try_from(rows).unwrap_or(i64::MAX);
        Ok(())
    }
}

fn builders(layout: &[Stored]) -> Vec<Builder> {
    layout.iter().map(|stored| Builder::new(stored.kind)).collect()
}
