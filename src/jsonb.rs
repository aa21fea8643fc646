//! `jsonb` as its text. Numbers keep all their digits and any depth is taken, neither of which is so
//! for pgrx's `JsonB`, which parses on the way in.

use crate::error::{Error, Result};
use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, UnboxDatum};
use pgrx::nullable::Nullable;
use pgrx::pg_sys;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, IntoDatum, PgSqlErrorCode, direct_function_call_as_datum};
use serde_json::Value;
use std::ffi::{CStr, CString};

/// A `jsonb` value as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonbText(pub String);

impl JsonbText {
    /// Parsed; 22023 where it is nested deeper, or holds larger numbers, than a filter or an options
    /// object may. `what` names the argument.
    pub fn parse(&self, what: &str) -> Result<Value> {
        serde_json::from_str(&self.0).map_err(|error| {
            Error::new(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                format!("{what} can't be used: {error}"),
            )
        })
    }
}

/// A `jsonb` value as it is stored, copied: for what is passed on and not looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonbCopy(Vec<u8>);

impl JsonbCopy {
    /// Parsed; `None` where it holds what a [`Value`] can't (numbers and depths beyond its range).
    pub fn parse(&self) -> Option<Value> {
        // SAFETY: the datum was made from these bytes, which were a jsonb.
        let text = unsafe { JsonbText::from_datum(self.clone().into_datum()?, false) }?;
        serde_json::from_str(&text.0).ok()
    }
}

impl FromDatum for JsonbCopy {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _: pg_sys::Oid,
    ) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller vouches that the datum is a varlena; detoasted, its whole size is
        // readable, and what was made for that is freed.
        unsafe {
            let stored = datum.cast_mut_ptr::<pg_sys::varlena>();
            let plain = pg_sys::pg_detoast_datum(stored);
            let bytes =
                std::slice::from_raw_parts(plain.cast::<u8>(), pgrx::varsize_4b(plain)).to_vec();
            if plain != stored {
                pg_sys::pfree(plain.cast());
            }
            Some(Self(bytes))
        }
    }
}

impl IntoDatum for JsonbCopy {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        // SAFETY: palloc returns that much memory, aligned for a varlena, or raises.
        unsafe {
            let copy = pg_sys::palloc(self.0.len()).cast::<u8>();
            std::ptr::copy_nonoverlapping(self.0.as_ptr(), copy, self.0.len());
            Some(pg_sys::Datum::from(copy))
        }
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

// SAFETY: the result is a jsonb datum allocated in the current memory context.
unsafe impl BoxRet for JsonbCopy {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: see above.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}

// SAFETY: names the SQL type whose representation is used above.
unsafe impl SqlTranslatable for JsonbCopy {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(JsonbCopy);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> =
        Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}

impl FromDatum for JsonbText {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _: pg_sys::Oid,
    ) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller vouches that the datum is a jsonb; the function detoasts it and returns
        // a palloc'd, NUL-terminated string in the database's encoding, which is freed here.
        unsafe {
            let text = direct_function_call_as_datum(pg_sys::jsonb_out, &[Some(datum)])?;
            let text = text.cast_mut_ptr::<std::ffi::c_char>();
            let owned = CStr::from_ptr(text).to_string_lossy().into_owned();
            pg_sys::pfree(text.cast());
            Some(Self(owned))
        }
    }
}

impl IntoDatum for JsonbText {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        let text = CString::new(self.0).ok()?;
        // SAFETY: jsonb_in takes a NUL-terminated string and copies what it needs.
        unsafe { direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(text.as_ptr().into())]) }
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

// SAFETY: the result owns its text and borrows nothing from the datum.
unsafe impl UnboxDatum for JsonbText {
    type As<'src> = JsonbText;

    unsafe fn unbox<'src>(datum: Datum<'src>) -> Self::As<'src>
    where
        Self: 'src,
    {
        // SAFETY: the caller vouches that the datum is a jsonb that isn't null.
        unsafe { Self::from_datum(datum.sans_lifetime(), false) }
            .unwrap_or(JsonbText("null".into()))
    }
}

// SAFETY: read through FromDatum, which matches the type named below.
unsafe impl<'fcx> ArgAbi<'fcx> for JsonbText {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller vouches for the argument's type.
        unsafe { arg.unbox_arg_using_from_datum().expect("jsonb argument must not be null") }
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: as above.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}

// SAFETY: the result is a jsonb datum allocated in the current memory context.
unsafe impl BoxRet for JsonbText {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: see above.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}

// SAFETY: names the SQL type whose representation is used above.
unsafe impl SqlTranslatable for JsonbText {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(JsonbText);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> =
        Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}
