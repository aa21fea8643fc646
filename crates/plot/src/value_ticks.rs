//! The axis of values: its range, its ticks, and what stands at them.

use std::ops::Range;

/// The largest magnitude that is drawn: the distance of two of them is still a number.
const LARGEST: f64 = 1e300;

/// The range of an axis that holds all the values, which must be finite, with some air above and below.
pub fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.map(clamp) {
        low = low.min(value);
        high = high.max(value);
    }
    if low > high {
        return 0.0..1.0;
    }
    // Values that are the same, or so near that no tick fits between, are given room.
    let least = (low.abs().max(high.abs()) * 1e-9).max(1e-290);
    let mut air = (high - low) * 0.05;
    if high - low < least {
        air = if high == 0.0 { 1.0 } else { high.abs() * 0.1 };
        air = air.max(1e-290);
    }
    // Values that are never negative aren't given an axis that is.
    let floor = if low >= 0.0 && low - air < 0.0 { 0.0 } else { low - air };
    floor..high + air
}

/// A value within what can be drawn.
pub fn clamp(value: f64) -> f64 {
    value.clamp(-LARGEST, LARGEST)
}

/// Round values within the range: at most `most` + 1, at the multiples of 1, 2 or 5 times a power of ten.
pub fn ticks(range: &Range<f64>, most: usize) -> Vec<f64> {
    let rough = (range.end - range.start) / most.max(1) as f64;
    if !rough.is_finite() || rough <= 0.0 {
        return vec![];
    }
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= rough * 0.999_999);
    let step = power * factor.unwrap_or(10.0);
    let first = (range.start / step).ceil();
    let count = ((range.end / step).floor() - first).clamp(-1.0, most as f64 + 1.0) as i64;
    // `+ 0.0`: no negative zero.
    (0..=count).map(|i| (first + i as f64) * step + 0.0).filter(|tick| tick.is_finite()).collect()
}

/// A number at a tick, short: `1.5`, `250000`, `2.5e9`. `step` is from one tick to the next.
pub fn label(value: f64, step: f64) -> String {
    let magnitude = value.abs().max(step.abs());
    if value == 0.0 {
        return "0".into();
    }
    if !(1e-4..1e7).contains(&magnitude) || step.abs() < 1e-6 {
        // As many digits as tell it from its neighbours.
        let digits = (value.abs().log10().floor() - step.abs().log10().floor()).clamp(0.0, 12.0);
        let text = format!("{value:.*e}", digits as usize);
        return match text.split_once('e') {
            Some((mantissa, exponent)) if mantissa.contains('.') => {
                format!("{}e{exponent}", mantissa.trim_end_matches('0').trim_end_matches('.'))
            }
            _ => text,
        };
    }
    let digits = (-step.abs().log10().floor()).clamp(0.0, 6.0);
    format!("{value:.*}", digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn round_numbers() {
        assert_eq!(ticks(&(0.0..10.0), 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(&(-0.3..0.3), 4), [-0.2, 0.0, 0.2]);
        assert_eq!(label(0.2, 0.2), "0.2");
        assert_eq!(label(250_000.0, 50_000.0), "250000");
        assert_eq!(label(2.5e9, 5e8), "2.5e9");
        assert_eq!(label(-2e-7, 1e-7), "-2e-7");
        assert_eq!(label(0.0, 1e-7), "0");
    }

    #[test]
    fn a_flat_line_has_room() {
        for value in [0.0, 1.0, -5.0, 1e16, 1e300, -1e308, 1e-308] {
            let range = range([value].into_iter());
            assert!(range.start < range.end, "{value}: {range:?}");
            assert!(range.contains(&clamp(value)), "{value}: {range:?}");
        }
        assert_eq!(range(std::iter::empty()), 0.0..1.0);
    }

    proptest! {
        #[test]
        fn ticks_are_few_rising_and_within(a in any::<f64>(), b in any::<f64>(), most in 1usize..12) {
            prop_assume!(a.is_finite() && b.is_finite());
            let range = range([a, b].into_iter());
            prop_assert!(range.start < range.end && (range.end - range.start).is_finite());
            prop_assert!(range.contains(&clamp(a)) && range.contains(&clamp(b)));
            let ticks = ticks(&range, most);
            prop_assert!(ticks.len() <= most + 2, "{:?}", ticks);
            prop_assert!(ticks.windows(2).all(|w| w[0] < w[1]), "{:?} {:?}", range, ticks);
            let slack = (range.end - range.start) * 1e-6;
            prop_assert!(ticks.iter().all(|t| *t >= range.start - slack && *t <= range.end + slack));
        }
    }
}
