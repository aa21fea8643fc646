//! Batches whose statistics answer what is asked of them.

use super::function::What;
use super::runs::{self, Part};
use super::state::{Kind, Known};
use super::work::Work;
use crate::chunk::companion::{self, Stored};
use crate::chunk::reader::Reader;
use pgrx::pg_sys;

/// The group that all rows of the present batch are of, and what each aggregate adds to it; `None` where the values have to be
/// looked at.
///
/// # Safety
/// The reader is at a batch, and the plan is being run.
pub unsafe fn answer(work: &Work, reader: &Reader) -> Option<(Vec<Part>, Vec<Known>)> {
    let batch = Batch(reader);
    if !work.selection.takes_all(|attnum| batch.ends(attnum)) {
        return None;
    }
    let known: Option<Vec<Known>> = work
        .functions
        .iter()
        .map(|(function, kind)| match function.what {
            What::Rows => Some(Known::Count(batch.rows())),
            What::First | What::Last => batch.edge(function.what, function.attnum, function.by),
            _ => batch.known(*kind, function.attnum),
        })
        .collect();
    let known = known?;
    let parts = work.keys.keys.iter().map(|key| {
        // SAFETY: as the caller says.
        unsafe {
            let kind = |attnum| reader.find(attnum).map(|stored| stored.kind);
            runs::of_range(key, &work.evaluator, |attnum| batch.range(attnum), kind)
                .or_else(|| batch.only(key))
        }
    });
    Some((parts.collect::<Option<_>>()?, known))
}

struct Batch<'a>(&'a Reader);

impl Batch<'_> {
    fn rows(&self) -> i64 {
        // SAFETY: the reader is at a batch.
        i64::try_from(unsafe { self.0.rows() }).unwrap_or(i64::MAX)
    }

    fn number(&self, attnum: i16) -> Option<pg_sys::Datum> {
        // SAFETY: the reader is at a batch, of whose companion this is a column.
        unsafe { self.0.statistic(attnum) }
    }

    /// How many values of a column aren't null.
    fn values(&self, stored: &Stored) -> Option<i64> {
        let nulls = self.number(stored.nulls)?.value() as i32;
        Some(self.rows() - i64::from(nulls))
    }

    /// The smallest and the largest of integers none of which is null.
    fn range(&self, attnum: i16) -> Option<(i64, i64)> {
        let stored = self.0.find(attnum).filter(|stored| companion::is_integer(stored.kind))?;
        (self.values(&stored)? == self.rows()).then_some(())?;
        let (min, max) = stored.range?;
        Some((self.number(min)?.value() as i64, self.number(max)?.value() as i64))
    }

    /// The ends of the range of a column without a null, in whose order conditions are.
    fn ends(&self, attnum: i16) -> Option<(i64, i64)> {
        let stored = self.0.find(attnum)?;
        (self.values(&stored)? == self.rows()).then_some(())?;
        let (min, max) = stored.range?;
        Some((stored.in_order(self.number(min)?), stored.in_order(self.number(max)?)))
    }

    /// The value at the earliest or the latest time, where that is the batch's first or last row.
    fn edge(&self, what: What, attnum: i16, by: i16) -> Option<Known> {
        let (value, time) = (self.0.find(attnum)?, self.0.find(by)?);
        let full = |stored| self.values(stored).is_some_and(|values| values == self.rows());
        if !full(&value) || !full(&time) {
            return None;
        }
        let ((first, last), (min, max)) = (value.edges?, time.range?);
        let (first_time, last_time) = time.edges?;
        let (edge, of_edge, best) = match what {
            What::First => (first, first_time, min),
            _ => (last, last_time, max),
        };
        let ts = self.number(best)?.value();
        (self.number(of_edge)?.value() == ts).then_some(())?;
        Some(Known::Edge(ts as i64, value.value(self.number(edge)?)?.value()))
    }

    fn known(&self, kind: Kind, attnum: i16) -> Option<Known> {
        let stored = self.0.find(attnum)?;
        let count = self.values(&stored)?;
        if kind.what == What::Count {
            return Some(Known::Count(count));
        }
        if count == 0 {
            return Some(Known::Nothing);
        }
        let number = match kind.what {
            What::Min => self.number(stored.range?.0)?,
            What::Max => self.number(stored.range?.1)?,
            _ => self.number(stored.sum?)?,
        };
        let (integer, float) = (number.value() as i64, f64::from_bits(number.value() as u64));
        Some(match (kind.what, companion::is_integer(stored.kind)) {
            (What::Min | What::Max, true) => Known::Integer(integer),
            (What::Min | What::Max, false) => Known::Float(float),
            (_, true) => Known::Integers(count, integer),
            (_, false) => Known::Floats(count, float),
        })
    }

    /// The value of a key that is a column of texts, where the batch has one alone.
    unsafe fn only(&self, key: &(runs::Key, runs::Width)) -> Option<Part> {
        let runs::Key::Column(attnum) = key.0 else { return None };
        let stored = self.0.find(attnum)?;
        self.number(stored.range?.0)?;
        if self.values(&stored)? != self.rows() {
            return None;
        }
        // SAFETY: as the caller says; a value of the key's type.
        unsafe {
            let column = crate::chunk::or_raise(self.0.column(&stored));
            crate::chunk::block::is_constant(&column).then(|| key.1.of(&column, 0))
        }
    }
}
