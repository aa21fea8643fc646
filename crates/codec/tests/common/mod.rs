//! Random columns of every kind and of the shapes that data has.

use lake_codec::{Bits, Bytes, Column, Kind, Values};
use proptest::prelude::*;

fn numbers<T, S>(one: S, shapes: fn(i64, i64, usize) -> T) -> impl Strategy<Value = Vec<T>>
where
    T: Clone + std::fmt::Debug + 'static,
    S: Strategy<Value = T> + Clone + 'static,
{
    prop_oneof![
        prop::collection::vec(one.clone(), 0..600),
        (one, 0..600_usize).prop_map(|(value, n)| vec![value; n]),
        // Walks and steps.
        (any::<i64>(), any::<i64>(), 0..600_usize)
            .prop_map(move |(start, step, n)| (0..n).map(|i| shapes(start, step, i)).collect()),
    ]
}

fn walk(start: i64, step: i64, at: usize) -> i64 {
    start.wrapping_add(step.wrapping_mul(at as i64))
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[a-c]{0,3}".prop_map(String::into_bytes),
        "(the |quick |brown |fox ){0,30}".prop_map(String::into_bytes),
    ]
}

fn texts() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        prop::collection::vec(value(), 0..300)
            .prop_map(|values| values.iter().map(Vec::as_slice).collect()),
        // Few different ones.
        (prop::collection::vec(value(), 1..5), prop::collection::vec(any::<u16>(), 0..300))
            .prop_map(|(values, picks)| {
                picks.iter().map(|p| values[*p as usize % values.len()].as_slice()).collect()
            }),
    ]
}

/// A kind and values of it.
fn values() -> impl Strategy<Value = (Kind, Values)> {
    prop_oneof![
        prop_oneof![
            prop::collection::vec(any::<bool>(), 0..600),
            (any::<bool>(), 0..600_usize).prop_map(|(bit, n)| vec![bit; n])
        ]
        .prop_map(|v| (Kind::Bool, Values::Bool(v.into_iter().collect()))),
        numbers(any::<i16>(), |a, b, i| walk(a, b, i) as i16)
            .prop_map(|v| (Kind::I16, Values::I16(v))),
        numbers(any::<i32>(), |a, b, i| walk(a, b, i) as i32)
            .prop_map(|v| (Kind::I32, Values::I32(v))),
        numbers(any::<i64>(), walk).prop_map(|v| (Kind::I64, Values::I64(v))),
        // Any bits: all NaNs, infinities, both zeros, subnormals.
        numbers(any::<u32>().prop_map(f32::from_bits), |a, b, i| (walk(a, b, i) % 1000) as f32)
            .prop_map(|v| (Kind::F32, Values::F32(v))),
        numbers(any::<u64>().prop_map(f64::from_bits), |a, b, i| {
            (walk(a, b, i) % 100_000) as f64 / 100.0
        })
        .prop_map(|v| (Kind::F64, Values::F64(v))),
        texts().prop_map(|v| (Kind::Bytes, Values::Bytes(v))),
        prop::collection::vec(any::<[u8; 16]>(), 0..100).prop_map(|v| {
            (Kind::Fixed(16), Values::Bytes(v.iter().map(<[u8; 16]>::as_slice).collect()))
        }),
    ]
}

/// A column with nulls before, between and after its values, or none.
pub fn column() -> impl Strategy<Value = (Kind, Column)> {
    (values(), prop::collection::vec(0..4_usize, 0..8), any::<bool>()).prop_map(
        |((kind, values), gaps, full)| {
            if full {
                return (kind, Column::full(values));
            }
            let mut nulls = Bits::default();
            let mut gaps = gaps.iter().cycle();
            for row in 0..values.len() {
                if row % 7 == 0 {
                    (0..*gaps.next().unwrap_or(&0)).for_each(|_| nulls.push(true));
                }
                nulls.push(false);
            }
            (0..*gaps.next().unwrap_or(&1)).for_each(|_| nulls.push(true));
            let nulls = Some(nulls).filter(|nulls| nulls.count_ones() > 0);
            (kind, Column { nulls, values })
        },
    )
}

/// Equal bit for bit.
pub fn same(a: &Column, b: &Column) -> bool {
    a.nulls == b.nulls
        && match (&a.values, &b.values) {
            (Values::F32(a), Values::F32(b)) => {
                a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
            }
            (Values::F64(a), Values::F64(b)) => {
                a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
            }
            (a, b) => a == b,
        }
}
