//! `jsonb` as its bytes: tags of a million points repeat, so they are compared as they come and
//! parsed once for each series.

use crate::error::{Error, Result};
use crate::jsonb::JsonbCopy;
use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, UnboxDatum};
use pgrx::nullable::Nullable;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, IntoDatum, JsonB, pg_sys};
use serde_json::Value;

/// A `jsonb` value, detoasted, not parsed. Equal bytes are equal values; the reverse doesn't hold
/// (`1` and `1.0`).
#[derive(Debug, Clone, Copy)]
pub struct RawJson<'a> {
    bytes: &'a [u8],
    datum: pg_sys::Datum,
}

impl<'a> RawJson<'a> {
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn parse(&self) -> Value {
        // SAFETY: the datum is a jsonb that outlives self.
        unsafe { JsonB::from_datum(self.datum, false) }.map_or(Value::Null, |json| json.0)
    }
}

impl FromDatum for RawJson<'_> {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _typoid: pg_sys::Oid,
    ) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller vouches for a jsonb; a copy made by detoasting lives as long as the
        // memory context of the call, as the original does.
        unsafe {
            let varlena = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
            Some(Self {
                bytes: pgrx::varlena::varlena_to_byte_slice(varlena),
                datum: pg_sys::Datum::from(varlena),
            })
        }
    }
}

// SAFETY: reads the varlena that a jsonb is, for as long as the datum is valid.
unsafe impl UnboxDatum for RawJson<'_> {
    type As<'src>
        = RawJson<'src>
    where
        Self: 'src;

    unsafe fn unbox<'src>(datum: Datum<'src>) -> RawJson<'src>
    where
        Self: 'src,
    {
        // SAFETY: the caller vouches for a jsonb that is not null.
        unsafe {
            RawJson::from_datum(datum.sans_lifetime(), false).expect("jsonb must not be null")
        }
    }
}

// SAFETY: read as the varlena that jsonb is.
unsafe impl<'fcx> ArgAbi<'fcx> for RawJson<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller vouches for the argument's type.
        unsafe { arg.unbox_arg_using_from_datum().expect("jsonb argument must not be null") }
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: as above.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}

// SAFETY: names the SQL type whose representation is read above.
unsafe impl SqlTranslatable for RawJson<'_> {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(RawJson);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}

/// A `jsonb` that is made once and returned in many rows.
#[derive(Debug, Clone, Copy)]
pub struct SharedJson(pg_sys::Datum);

impl SharedJson {
    /// Made in the current memory context, which must outlive the rows: that of a set-returning
    /// function's body does.
    pub fn new(value: JsonbCopy) -> Result<Self> {
        let datum = value.into_datum();
        datum.map(Self).ok_or_else(|| Error::internal("a jsonb without a datum"))
    }
}

impl IntoDatum for SharedJson {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.0)
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

// SAFETY: the datum is a jsonb, as its maker saw to.
unsafe impl BoxRet for SharedJson {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: the datum outlives the call, by the contract of `new`.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

// SAFETY: names the SQL type whose representation is returned above.
unsafe impl SqlTranslatable for SharedJson {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(SharedJson);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}
