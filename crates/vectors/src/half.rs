//! Half-precision floats (IEEE 754 binary16), as pgvector's `halfvec` holds them.

/// The bits of the half-precision float nearest to `value`, ties to even; infinity beyond its range.
#[must_use]
pub fn half_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00; // NaN
    }
    if magnitude >= 0x4780_0000 {
        return sign | 0x7c00; // 65,536 and above
    }
    let (fraction, drop) = if magnitude >= 0x3880_0000 {
        // Normal: from the bias of 127 to that of 15; rounding may carry into the exponent.
        (magnitude - (112 << 23), 13)
    } else {
        let shift = 126 - (magnitude >> 23);
        if shift > 24 {
            return sign; // less than half of the smallest
        }
        ((magnitude & 0x007f_ffff) | 0x0080_0000, shift)
    };
    let half = 1_u32 << (drop - 1);
    let kept = fraction >> drop;
    let rest = fraction & ((1 << drop) - 1);
    let up = rest > half || (rest == half && kept & 1 == 1);
    sign | (kept + u32::from(up)) as u16
}

#[cfg(test)]
mod tests {
    use super::half_bits;

    fn value(bits: u16) -> f32 {
        let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
        let magnitude = match exponent {
            0 => fraction * 2_f32.powi(-24),
            31 if fraction == 0.0 => f32::INFINITY,
            31 => f32::NAN,
            _ => (1.0 + fraction / 1024.0) * 2_f32.powi(exponent - 15),
        };
        if bits >> 15 == 1 { -magnitude } else { magnitude }
    }

    #[test]
    fn every_half_comes_back() {
        for bits in 0..=u16::MAX {
            if !value(bits).is_nan() {
                assert_eq!(half_bits(value(bits)), bits, "{bits:#x}");
            }
        }
        assert!(value(half_bits(f32::NAN)).is_nan());
    }

    #[test]
    fn between_two_halves_the_nearer_wins_and_ties_go_to_even() {
        for low in (0..0x7bff_u16).chain(0x8000..0xfbff) {
            let (a, b) = (value(low), value(low + 1));
            let middle = f32::midpoint(a, b);
            let even = if low % 2 == 0 { low } else { low + 1 };
            assert_eq!(half_bits(middle), even, "{low:#x}");
            assert_eq!(half_bits(f32::from_bits(middle.to_bits() - 1)), low, "{low:#x}");
            assert_eq!(half_bits(f32::from_bits(middle.to_bits() + 1)), low + 1, "{low:#x}");
        }
        assert_eq!(half_bits(65_519.99), 0x7bff);
        assert_eq!(half_bits(65_520.0), 0x7c00);
        assert_eq!(half_bits(f32::MIN), 0xfc00);
    }
}
