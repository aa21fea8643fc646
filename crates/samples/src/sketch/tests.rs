use super::*;
use proptest::prelude::*;

fn sketch(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::default();
    for value in values {
        sketch.add(*value);
    }
    sketch
}

/// The value at the rank that `quantile` means.
fn exact(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(q * (sorted.len() - 1) as f64) as usize]
}

fn close(ours: f64, exact: f64) -> bool {
    ours == exact || (ours - exact).abs() <= exact.abs() * ALPHA * (1.0 + 1e-9)
}

#[test]
fn empty_and_single() {
    assert_eq!(Sketch::default().quantile(0.5), None);
    assert_eq!(sketch(&[42.0]).quantile(0.5), Some(42.0));
    assert_eq!(sketch(&[0.0, -0.0]).quantile(1.0), Some(0.0));
}

#[test]
fn infinities_and_nan_keep_their_place() {
    let sketch = sketch(&[f64::NAN, 1.0, f64::INFINITY, f64::NEG_INFINITY, -1.0]);
    assert_eq!(sketch.quantile(0.0), Some(f64::NEG_INFINITY));
    assert_eq!(sketch.quantile(0.25), Some(-1.0));
    assert_eq!(sketch.quantile(0.5), Some(1.0));
    assert_eq!(sketch.quantile(0.75), Some(f64::INFINITY));
    assert!(sketch.quantile(1.0).is_some_and(f64::is_nan));
    assert_eq!(sketch.count(), 5);
}

#[test]
fn the_extremes_of_a_double() {
    let values = [f64::MIN_POSITIVE / 4.0, f64::MAX, f64::MIN, -5e-324];
    let sketch = sketch(&values);
    assert_eq!(sketch.quantile(0.0), Some(f64::MIN));
    assert_eq!(sketch.quantile(1.0), Some(f64::MAX));
    assert_eq!(Sketch::from_bytes(&sketch.to_bytes()), Ok(sketch));
}

#[test]
fn too_wide_a_range_costs_the_smallest_only() {
    let mut values: Vec<f64> = (0..1000).map(|i| 1e-200 * f64::from(i + 1)).collect();
    values.extend((0..1000).map(|i| 1e10 + f64::from(i) * 1e8));
    let (a, b) = (sketch(&values), {
        let mut backwards = values.clone();
        backwards.reverse();
        sketch(&backwards)
    });
    for q in [0.6, 0.75, 0.9, 1.0] {
        assert!(close(a.quantile(q).unwrap(), exact(&values, q)), "{q}");
    }
    assert_eq!(a, b, "the order of arrival does not matter");
}

#[test]
fn damaged_bytes_are_refused() {
    let bytes = sketch(&[1.0, 2.0, -3.0, 0.0]).to_bytes();
    for cut in 0..bytes.len() {
        assert!(Sketch::from_bytes(&bytes[..cut]).is_err(), "{cut}");
    }
    assert_eq!(Sketch::from_bytes(&[&bytes[..], &[0]].concat()), Err(DamagedSketch::Long));
    assert_eq!(Sketch::from_bytes(&[9]), Err(DamagedSketch::Version(9)));
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![-1e3..1e3f64, 1e-6..1e9f64, Just(0.0), (-100i32..100).prop_map(f64::from)]
}

proptest! {
    #[test]
    fn quantiles_are_within_the_bound(values in prop::collection::vec(value(), 1..400), q in 0.0..=1.0f64) {
        let ours = sketch(&values).quantile(q).unwrap();
        let exact = exact(&values, q);
        prop_assert!(close(ours, exact), "{ours} for {exact}");
    }

    #[test]
    fn merging_is_adding(values in prop::collection::vec(value(), 1..200), at in 0usize..200) {
        let at = at.min(values.len());
        let mut merged = sketch(&values[..at]);
        merged.merge(&sketch(&values[at..]));
        prop_assert_eq!(merged, sketch(&values));
    }

    #[test]
    fn bytes_come_back(values in prop::collection::vec(any::<f64>(), 0..100)) {
        let sketch = sketch(&values);
        prop_assert_eq!(Sketch::from_bytes(&sketch.to_bytes()), Ok(sketch));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() { *first = 1; }
        if let Ok(sketch) = Sketch::from_bytes(&bytes) { sketch.quantile(0.5); }
    }
}
