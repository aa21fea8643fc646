//! What goes in comes out; what is known of it is true; what isn't a column is refused.

mod common;

use common::{column, same};
use lake_codec::{
    Bits, Bytes, Column, Corrupt, Kind, Refused, Stats, Values, checksum, decode, encode,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_goes_in_comes_out((kind, column) in column()) {
        let encoded = encode(&column).unwrap();
        let decoded = decode(&encoded, kind, column.rows()).unwrap();
        prop_assert!(same(&decoded, &column), "{decoded:?}");
    }

    #[test]
    fn another_number_of_rows_is_refused((kind, column) in column(), rows in 0..2_000_usize) {
        prop_assume!(rows != column.rows());
        prop_assert!(decode(&encode(&column).unwrap(), kind, rows).is_err());
    }

    #[test]
    fn a_flipped_bit_is_noticed((kind, column) in column(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut encoded = encode(&column).unwrap();
        let at = at.index(encoded.len());
        encoded[at] ^= 1_u8 << bit;
        prop_assert!(decode(&encoded, kind, column.rows()).is_err());
    }

    #[test]
    fn a_cut_is_noticed((kind, column) in column(), at in any::<prop::sample::Index>()) {
        let encoded = encode(&column).unwrap();
        let cut = &encoded[..at.index(encoded.len())];
        prop_assert!(decode(cut, kind, column.rows()).is_err());
    }

    /// With a checksum that is right, so that the rest is looked at: an error or some column.
    #[test]
    fn nonsense_does_no_harm(
        (kind, column) in column(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut encoded = encode(&column).unwrap();
        for (at, byte) in changes {
            let at = at.index(encoded.len());
            encoded[at] = byte;
        }
        if !whole {
            encoded.truncate(6.max(cut.index(encoded.len())));
        }
        encoded[1] = lake_codec::VERSION;
        let sum = checksum(&encoded);
        encoded[2..6].copy_from_slice(&sum.to_le_bytes());
        if let Ok(decoded) = decode(&encoded, kind, column.rows()) {
            prop_assert_eq!(decoded.rows(), column.rows());
        }
    }

    #[test]
    fn random_bytes_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 6..200), rows in 0..100_usize) {
        bytes[1] = lake_codec::VERSION;
        let sum = checksum(&bytes);
        bytes[2..6].copy_from_slice(&sum.to_le_bytes());
        for kind in [Kind::Bool, Kind::I16, Kind::I32, Kind::I64, Kind::F32, Kind::F64, Kind::Fixed(4), Kind::Bytes] {
            if let Ok(decoded) = decode(&bytes, kind, rows) {
                prop_assert_eq!(decoded.rows(), rows);
            }
        }
    }

    #[test]
    fn statistics_of_integers_are_right(values in prop::collection::vec(any::<i64>(), 1..300)) {
        let Stats::Integer(found) = Column::full(Values::I64(values.clone())).stats() else {
            panic!("no integers");
        };
        prop_assert_eq!(found.min, *values.iter().min().unwrap());
        prop_assert_eq!(found.max, *values.iter().max().unwrap());
        prop_assert_eq!((found.first, found.last), (values[0], *values.last().unwrap()));
        prop_assert_eq!(found.sum, values.iter().map(|v| i128::from(*v)).sum::<i128>());
    }

    #[test]
    fn statistics_of_floats_are_right(values in prop::collection::vec(
        prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(0.0), Just(-0.0), Just(f64::MAX)], 1..100)) {
        let Stats::Float(found) = Column::full(Values::F64(values.clone())).stats() else {
            panic!("no floats");
        };
        let mut sorted = values.clone();
        sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())));
        let equal = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        prop_assert!(equal(found.min, sorted[0]) && equal(found.max, *sorted.last().unwrap()));
        prop_assert!(equal(found.first, values[0]) && equal(found.last, *values.last().unwrap()));
        let mut sum = values[0];
        let mut overflow = false;
        for value in &values[1..] {
            overflow |= (sum + value).is_infinite() && sum.is_finite() && value.is_finite();
            sum += value;
        }
        prop_assert_eq!(found.sum.is_none(), overflow);
        prop_assert!(found.sum.is_none_or(|found| equal(found, sum)));
    }
}

#[test]
fn regular_columns_take_next_to_nothing() {
    let times = (0..4_320).map(|i| 1_700_000_000_000_000 + i * 10_000_000).collect();
    let host = vec!["host-17".as_bytes(); 4_320].into_iter().collect::<Bytes>();
    for (column, most) in [
        (Column::full(Values::I64(times)), 32),
        (Column::full(Values::F64(vec![98.6; 4_320])), 24),
        (Column::full(Values::Bytes(host)), 40),
        (
            Column { nulls: Some((0..4_320).map(|_| true).collect()), values: Values::I32(vec![]) },
            24,
        ),
        (Column::full(Values::Bool((0..4_320).map(|_| true).collect())), 16),
    ] {
        let encoded = encode(&column).unwrap();
        assert!(encoded.len() <= most, "{} bytes for {:?}", encoded.len(), encoded);
    }
}

#[test]
fn a_value_that_is_repeated_is_there_once() {
    let column = Column::full(Values::Bytes((0..500).map(|_| &b"host_7"[..]).collect()));
    let decoded = decode(&encode(&column).unwrap(), Kind::Bytes, 500).unwrap();
    assert_eq!(decoded, column);
    let Values::Bytes(mut bytes) = decoded.values else { panic!("another kind") };
    assert_eq!((bytes.repeated(), bytes.len(), bytes.size()), (Some(&b"host_7"[..]), 500, 3_000));
    assert_eq!((bytes.get(499), bytes.get(500)), (Some(&b"host_7"[..]), None));
    let again = encode(&Column::full(Values::Bytes(bytes.clone()))).unwrap();
    assert_eq!(again, encode(&column).unwrap());
    bytes.push(b"host_8");
    assert_eq!((bytes.repeated(), bytes.len()), (None, 501));
    assert_eq!((bytes.get(0), bytes.get(500)), (Some(&b"host_7"[..]), Some(&b"host_8"[..])));
    assert_eq!(Bytes::repeat(b"", 0), Bytes::default());
    for repeats in 0..3 {
        let column = Column::full(Values::Bytes(Bytes::repeat(b"x", repeats)));
        assert_eq!(decode(&encode(&column).unwrap(), Kind::Bytes, repeats).unwrap(), column);
    }
}

#[test]
fn what_can_t_be_a_column_is_refused() {
    let many = Column::full(Values::Bool((0..=lake_codec::MAX_ROWS).map(|_| true).collect()));
    assert_eq!(encode(&many), Err(Refused::Rows(lake_codec::MAX_ROWS + 1)));
    let nulls: Bits = [true, false].into_iter().collect();
    let wrong = Column { nulls: Some(nulls), values: Values::I16(vec![]) };
    assert_eq!(encode(&wrong), Err(Refused::Nulls { rows: 2, nulls: 1, values: 0 }));
}

#[test]
fn faults_say_what_is_wrong() {
    let encoded = encode(&Column::full(Values::I32(vec![1, 2, 4]))).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = encoded.clone();
        change(&mut bytes);
        let sum = checksum(&bytes);
        if bytes.len() >= 6 {
            bytes[2..6].copy_from_slice(&sum.to_le_bytes());
        }
        decode(&bytes, Kind::I32, 3).unwrap_err()
    };
    assert_eq!(with(&|bytes| bytes.truncate(3)), Corrupt::Short);
    assert_eq!(with(&|bytes| bytes[1] = 9), Corrupt::Version(9));
    assert_eq!(with(&|bytes| bytes[0] = 77), Corrupt::Codec(77));
    assert_eq!(with(&|bytes| bytes.push(0)), Corrupt::Long(1));
    assert_eq!(with(&|bytes| bytes.truncate(bytes.len() - 1)), Corrupt::Short);
    assert_eq!(decode(&encoded, Kind::I32, 4), Err(Corrupt::Rows { written: 3, wanted: 4 }));
    let mut flipped = encoded.clone();
    flipped[8] ^= 1;
    assert_eq!(decode(&flipped, Kind::I32, 3), Err(Corrupt::Checksum));
}

/// Bytes as version 1 wrote them, of every codec, stay readable.
#[test]
fn version_1_is_read() {
    let texts = |values: &[&str]| Values::Bytes(values.iter().map(|v| v.as_bytes()).collect());
    let nulls: Bits = (0..40).map(|row| row >= 5).collect();
    let few: Bits = [false, true, false, true, true].into_iter().collect();
    let long =
        "one two three one two three one two three one two three one two three one two three";
    let walk: Vec<i64> = (0..64).map(|i| i * i % 17 + 1_000).collect();
    for (kind, column, hex) in [
        (
            Kind::Bool,
            Column::full(Values::Bool([true, true].into_iter().collect())),
            "01012f62221d020001",
        ),
        (Kind::Bool, Column::full(Values::Bool(few.clone())), "0201e6da36a805001a"),
        (Kind::I32, Column::full(Values::I32(vec![42; 3])), "0101537cad0703002a000000"),
        (
            Kind::I64,
            Column::full(Values::I64(vec![5, 3, 1])),
            "0201a1d6b9c303000500000000000000feffffffffffffff",
        ),
        (
            Kind::I64,
            Column::full(Values::I64(walk)),
            "03019ec66e35400070636f21030006100401043f0000001000401f0000000000002c002090049178ad3d8160220104922012afb527104c2480401244e2b5f60482890410488248bcd69e4000",
        ),
        (
            Kind::F64,
            Column::full(Values::F64(vec![1.5, -0.0])),
            "0401824a22360200000000000000f83f0000000000000080",
        ),
        (
            Kind::I16,
            Column { nulls: Some(few), values: Values::I16(vec![7, -9]) },
            "02011a3d1bf705011a0700f0ff",
        ),
        (
            Kind::I32,
            Column { nulls: Some(nulls), values: Values::I32(vec![1; 5]) },
            "01011ebff735280202052301000000",
        ),
        (
            Kind::Bytes,
            Column::full(texts(&["a", "", "bc"])),
            "010104f58bee0300040c010000000000000002000000616263",
        ),
        (
            Kind::Bytes,
            Column::full(texts(&[long])),
            "0201f4b1dc3401000104530000001e28b52ffd2053ad0000706f6e652074776f20746872656520010012e85402",
        ),
        (
            Kind::Bytes,
            Column::full(texts(&["x", "y", "x", "x", "y"])),
            "03017b3be98d05000201010401000000787904140000000001000000000000000000000001000000",
        ),
    ] {
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let now: String = encode(&column).unwrap().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(decode(&bytes, kind, column.rows()).as_ref(), Ok(&column), "now: {now}");
    }
}
