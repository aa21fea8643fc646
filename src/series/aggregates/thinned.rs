//! The result of `lake.downsample_lttb`: an array of the composite type `lake.sample`.

use super::samples::Collected;
use crate::error::{Error, SqlResult};
use crate::series::time;
use lake_samples::{Sample, lttb};
use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Internal;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;
use pgrx::{IntoDatum, pg_sys};

/// The type's name, qualified.
const SAMPLE: &str = "lake.sample";

/// A datum of type `lake.sample[]`.
pub struct SampleArray(pg_sys::Datum);

impl SampleArray {
    fn new(samples: Vec<Sample>) -> SqlResult<Self> {
        let failed =
            |e: pgrx::heap_tuple::PgHeapTupleError| Error::internal(format!("{SAMPLE}: {e}"));
        let mut rows = Vec::with_capacity(samples.len());
        for sample in samples {
            pgrx::check_for_interrupts!();
            let mut row = PgHeapTuple::new_composite_type(SAMPLE).map_err(failed)?;
            let set = row.set_by_name("ts", time::to_pg(sample.ts)?);
            set.and_then(|()| row.set_by_name("value", sample.value))
                .map_err(|e| Error::internal(format!("{SAMPLE}: {e}")))?;
            rows.push(row);
        }
        rows.into_datum()
            .map(Self)
            .ok_or_else(|| Error::internal(format!("no array of {SAMPLE}")).into())
    }
}

// SAFETY: the result is an array in the current memory context, made by `new`.
unsafe impl BoxRet for SampleArray {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        // SAFETY: as above.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

// SAFETY: names the SQL type that `new` makes.
unsafe impl SqlTranslatable for SampleArray {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(SampleArray);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> =
        Ok(SqlMappingRef::literal("lake.sample[]"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("lake.sample[]")));
}

/// Declared in SQL, which makes the type first.
#[pg_extern(schema = "_lake", immutable, parallel_safe, sql = false)]
pub fn lttb_final(state: Option<Internal>) -> SqlResult<Option<SampleArray>> {
    let Some(mut state) = state else { return Ok(None) };
    // SAFETY: a state of the aggregate.
    let Some(collected) = (unsafe { state.get_mut::<Collected>() }) else { return Ok(None) };
    let n = collected.n.and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
    let thinned = lttb::lttb(collected.sorted(), n, || -> SqlResult<()> {
        pgrx::check_for_interrupts!();
        Ok(())
    })?;
    SampleArray::new(thinned).map(Some)
}
