//! The aggregates `lake.first(value, ts)` and `lake.last(value, ts)`: the value at the earliest or
//! latest time, of any type, on any table, in parallel.
//!
//! A row without a time is passed over; a null value with a time counts like any other. Of rows with
//! the same time any one may be taken.

use super::in_aggregate;
use pgrx::datum::{AnyElement, Internal, TimestampWithTimeZone};
use pgrx::pg_sys;
use pgrx::prelude::*;

/// The best row so far. Lives in the aggregate's memory context, as does what `value` points to.
struct Edge {
    ts: i64,
    is_null: bool,
    value: pg_sys::Datum,
    kind: Kind,
}

/// How values of the type are held.
#[derive(Clone, Copy)]
struct Kind {
    oid: pg_sys::Oid,
    len: i16,
    by_value: bool,
}

impl Kind {
    fn of(oid: pg_sys::Oid) -> Self {
        let (mut len, mut by_value) = (0, false);
        // SAFETY: fills both from the catalogue; raises for a type that isn't there.
        unsafe { pg_sys::get_typlenbyval(oid, &raw mut len, &raw mut by_value) }
        Self { oid, len, by_value }
    }

    /// The bytes of a value that is held by reference.
    ///
    /// # Safety
    /// `value` is a detoasted value of this type, not null.
    unsafe fn bytes<'a>(self, value: pg_sys::Datum) -> &'a [u8] {
        // SAFETY: the caller's; each kind of type says itself how long it is.
        unsafe {
            let ptr = value.cast_mut_ptr::<u8>();
            let len = match self.len {
                -1 => pgrx::varlena::varsize_any(ptr.cast()),
                -2 => std::ffi::CStr::from_ptr(ptr.cast()).to_bytes_with_nul().len(),
                fixed => usize::try_from(fixed).unwrap_or(0),
            };
            std::slice::from_raw_parts(ptr, len)
        }
    }

    /// A copy in the current memory context.
    ///
    /// # Safety
    /// `value` is a value of this type, not null.
    unsafe fn copy(self, value: pg_sys::Datum) -> pg_sys::Datum {
        if self.by_value {
            return value;
        }
        // SAFETY: the caller's; detoasting flattens whatever form the value is in.
        unsafe {
            if self.len == -1 {
                pg_sys::Datum::from(pg_sys::pg_detoast_datum_copy(value.cast_mut_ptr()))
            } else {
                palloc_copy(self.bytes(value))
            }
        }
    }
}

fn palloc_copy(bytes: &[u8]) -> pg_sys::Datum {
    // SAFETY: palloc returns that many writable bytes, or raises.
    unsafe {
        let copy = pg_sys::palloc(bytes.len()).cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
        pg_sys::Datum::from(copy)
    }
}

fn transition(
    mut state: Internal,
    value: Option<AnyElement>,
    ts: Option<TimestampWithTimeZone>,
    fcinfo: pg_sys::FunctionCallInfo,
    better: fn(i64, i64) -> bool,
) -> Internal {
    let Some(ts) = ts.map(TimestampWithTimeZone::into_inner) else { return state };
    in_aggregate(fcinfo, || {
        // SAFETY: the state is one of this file's, or not made yet.
        match unsafe { state.get_mut::<Edge>() } {
            Some(edge) => {
                if better(ts, edge.ts) {
                    edge.set(ts, value.map(|v| v.datum()));
                }
                state
            }
            None => {
                // SAFETY: asks for the type of the aggregate's first argument.
                let oid = unsafe { pg_sys::get_fn_expr_argtype((*fcinfo).flinfo, 1) };
                let mut edge =
                    Edge { ts, is_null: true, value: pg_sys::Datum::from(0), kind: Kind::of(oid) };
                edge.set(ts, value.map(|v| v.datum()));
                Internal::new(edge)
            }
        }
    })
}

impl Edge {
    /// Replaces the row. Runs in the aggregate's memory context.
    fn set(&mut self, ts: i64, value: Option<pg_sys::Datum>) {
        if !self.is_null && !self.kind.by_value {
            // SAFETY: allocated by `copy` in this context, and nobody else holds it.
            unsafe { pg_sys::pfree(self.value.cast_mut_ptr()) }
        }
        self.ts = ts;
        self.is_null = value.is_none();
        // SAFETY: the value is of the aggregate's type.
        self.value = value.map_or(pg_sys::Datum::from(0), |v| unsafe { self.kind.copy(v) });
    }
}

fn combine(
    left: Option<Internal>,
    right: Option<Internal>,
    fcinfo: pg_sys::FunctionCallInfo,
    better: fn(i64, i64) -> bool,
) -> Option<Internal> {
    let mut left = left.unwrap_or_default();
    let Some(right) = right else { return Some(left) };
    // SAFETY: both are states of this file.
    let Some(other) = (unsafe { right.get::<Edge>() }) else { return Some(left) };
    Some(in_aggregate(fcinfo, || {
        let value = (!other.is_null).then_some(other.value);
        // SAFETY: as above.
        match unsafe { left.get_mut::<Edge>() } {
            Some(edge) => {
                if better(other.ts, edge.ts) {
                    edge.set(other.ts, value);
                }
                left
            }
            None => {
                let mut edge = Edge {
                    ts: other.ts,
                    is_null: true,
                    value: pg_sys::Datum::from(0),
                    kind: other.kind,
                };
                edge.set(other.ts, value);
                Internal::new(edge)
            }
        }
    }))
}

fn earlier(new: i64, old: i64) -> bool {
    new < old
}

fn later(new: i64, old: i64) -> bool {
    new > old
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn first_transition(
    state: Internal,
    value: Option<AnyElement>,
    ts: Option<TimestampWithTimeZone>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    transition(state, value, ts, fcinfo, earlier)
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn last_transition(
    state: Internal,
    value: Option<AnyElement>,
    ts: Option<TimestampWithTimeZone>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    transition(state, value, ts, fcinfo, later)
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn first_combine(
    left: Option<Internal>,
    right: Option<Internal>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Option<Internal> {
    combine(left, right, fcinfo, earlier)
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn last_combine(
    left: Option<Internal>,
    right: Option<Internal>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Option<Internal> {
    combine(left, right, fcinfo, later)
}

#[pg_extern(schema = "_lake", immutable, parallel_safe)]
pub fn edge_final(
    state: Option<Internal>,
    _value: Option<AnyElement>,
    _ts: Option<TimestampWithTimeZone>,
) -> Option<AnyElement> {
    let state = state?;
    // SAFETY: a state of this file.
    let edge = unsafe { state.get::<Edge>() }?;
    // SAFETY: the value is of the type it is said to be.
    unsafe { AnyElement::from_polymorphic_datum(edge.value, edge.is_null, edge.kind.oid) }
}

/// The state as bytes, from one process of this server to another: the type, the time, whether there
/// is a value, and the value as it is in memory.
#[pg_extern(schema = "_lake", immutable, parallel_safe, strict)]
pub fn edge_serialize(state: Internal) -> Vec<u8> {
    // SAFETY: a state of this file.
    let Some(edge) = (unsafe { state.get::<Edge>() }) else { return Vec::new() };
    let value = (!edge.is_null).then(|| match edge.kind.by_value {
        true => edge.value.value().to_ne_bytes().to_vec(),
        // SAFETY: a value of this type, flattened when it was copied.
        false => unsafe { edge.kind.bytes(edge.value) }.to_vec(),
    });
    packed(edge.kind.oid, edge.ts, value.as_deref())
}

/// The bytes of a state: the value as it is in memory, eight bytes of what is passed by value.
pub fn packed(kind: pg_sys::Oid, ts: i64, value: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    out.extend_from_slice(&kind.to_u32().to_ne_bytes());
    out.extend_from_slice(&ts.to_ne_bytes());
    out.push(u8::from(value.is_none()));
    out.extend_from_slice(value.unwrap_or_default());
    out
}

#[pg_extern(schema = "_lake", immutable, parallel_safe, strict)]
pub fn edge_deserialize(bytes: &[u8], _unused: Internal) -> Internal {
    let (Some((oid, rest)), true) = (bytes.split_first_chunk::<4>(), bytes.len() >= 13) else {
        return Internal::default();
    };
    let kind = Kind::of(pg_sys::Oid::from(u32::from_ne_bytes(*oid)));
    let (ts, rest) = rest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    let (is_null, value) = rest.split_first().unwrap_or((&1, &[]));
    let is_null = *is_null != 0;
    let value = match value.first_chunk::<{ size_of::<usize>() }>() {
        _ if is_null => pg_sys::Datum::from(0),
        Some(word) if kind.by_value => pg_sys::Datum::from(usize::from_ne_bytes(*word)),
        _ => palloc_copy(value),
    };
    // In the short-lived context of the call: combining copies what it keeps.
    Internal::new(Edge { ts: i64::from_ne_bytes(*ts), is_null, value, kind })
}
